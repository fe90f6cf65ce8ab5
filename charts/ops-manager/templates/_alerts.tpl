{{- define "pgpool-ops-manager.alerts" -}}
{{- $thresholds := .Values.metrics.prometheusRule.thresholds -}}
# These metrics are read from the cache during a scrape, even if no reconcile succeeds.
- alert: PgpoolCertificateExpiresSoon
  expr: |-
    max by (namespace, pgpool, alias) (pgpool_certificate_not_after_timestamp_seconds) - time()
      < {{ $thresholds.expiresSoon }} * (
        max by (namespace, pgpool, alias) (pgpool_certificate_not_after_timestamp_seconds)
        - max by (namespace, pgpool, alias) (pgpool_certificate_not_before_timestamp_seconds)
      )
      unless on (namespace, pgpool, alias) (
        max by (namespace, pgpool, alias) (pgpool_certificate_renewal_timestamp_seconds)
          + {{ $thresholds.renewalDelaySeconds }} > time()
      )
  labels:
    severity: critical
  annotations:
    summary: A certificate of a Pgpool expires soon
    description: >-
      {{`The {{ $labels.alias }} certificate of Pgpool {{ $labels.namespace }}/{{ $labels.pgpool }} expires in {{ $value | humanizeDuration }}`}}
      and was not renewed. The condition CertificatesReady says why.
- alert: PgpoolCertificateNotRenewed
  expr: |-
    max by (namespace, pgpool, alias) (pgpool_certificate_not_after_timestamp_seconds) - time()
      < {{ $thresholds.notRenewed }} * (
        max by (namespace, pgpool, alias) (pgpool_certificate_not_after_timestamp_seconds)
        - max by (namespace, pgpool, alias) (pgpool_certificate_not_before_timestamp_seconds)
      )
      unless on (namespace, pgpool, alias) (
        max by (namespace, pgpool, alias) (pgpool_certificate_renewal_timestamp_seconds)
          + {{ $thresholds.renewalDelaySeconds }} > time()
      )
  labels:
    severity: warning
  annotations:
    summary: A certificate of a Pgpool was not renewed in time
    description: >-
      {{`The {{ $labels.alias }} certificate of Pgpool {{ $labels.namespace }}/{{ $labels.pgpool }} expires in {{ $value | humanizeDuration }}`}}
      and should have been renewed. Check that cert-manager runs, and the condition CertificatesReady.
- alert: PgpoolCertificateCircuitOpen
  expr: |-
    max by (namespace, pgpool, alias) (pgpool_certificate_circuit_open) > 0
  labels:
    severity: critical
  annotations:
    summary: A certificate of a Pgpool changed too often and is not renewed any more
    description: >-
      {{`The {{ $labels.alias }} certificate of Pgpool {{ $labels.namespace }}/{{ $labels.pgpool }}`}} was issued or
      overwritten too often. The condition CertificatesReady names who did it, and the annotation that resumes renewal.
- alert: PgpoolCertificatesNotReady
  expr: |-
    sum by (reason) (
      pgpool_operator_objects{controller="certificates", outcome=~"waiting|rejected"}
    ) > 0
  for: {{ $thresholds.notReadyFor }}
  labels:
    severity: warning
  annotations:
    summary: Certificates of Pgpools are not ready
    description: >-
      {{`{{ $value }} Pgpools wait for certificates with the reason {{ $labels.reason }}`}}. See their condition
      CertificatesReady.
{{- end }}

{{- /* What an inactive operator means. */ -}}
{{- define "pgpool-ops-manager.down" -}}
Running pools keep serving, and cert-manager keeps renewing. No certificate is requested, and only the provisioner verifies certificates.
{{- end }}
