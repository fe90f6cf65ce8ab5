{{- define "pgpool-provisioner.alerts" -}}
{{- $thresholds := .Values.metrics.prometheusRule.thresholds -}}
- alert: PgpoolServedCertificateDiffers
  expr: |-
    max(pgpool_served_fingerprint_mismatches) > 0
  for: {{ $thresholds.differsFor }}
  labels:
    severity: warning
  annotations:
    summary: Pods of Pgpools serve the wrong certificate
    description: >-
      {{`{{ $value }} pods serve another certificate than the one in their TLS copy`}}, or none. See status.pods of the
      Pgpools.
{{- end }}

{{- /* What an inactive operator means. */ -}}
{{- define "pgpool-provisioner.down" -}}
Running pools keep serving. No pool is created or changed, and no renewed certificate is rolled out.
{{- end }}
