{{- define "pgpool-operator.environment" -}}
- name: PGPOOL_LEASE_NAME
  value: {{ include "pgpool-operator.fullname" . }}
- name: PGPOOL_LEASE_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: PGPOOL_LEASE_IDENTITY
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: PGPOOL_LEASE_DURATION
  value: {{ .Values.lease.duration | quote }}
- name: PGPOOL_LEASE_RENEW
  value: {{ .Values.lease.renew | quote }}
{{- with .Values.watchNamespaces }}
- name: PGPOOL_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: PGPOOL_CLUSTER_DOMAIN
  value: {{ .Values.clusterDomain | quote }}
- name: PGPOOL_MAX_CONCURRENT_RECONCILES
  value: {{ .Values.maxConcurrentReconciles | quote }}
- name: PGPOOL_LOG_FORMAT
  value: {{ .Values.log.format | quote }}
{{- with .Values.log.filter }}
- name: PGPOOL_LOG_FILTER
  value: {{ . | quote }}
{{- end }}
{{- if .Values.metrics.expose }}
- name: PGPOOL_ADMIN_ADDRESS
  value: 0.0.0.0:8081
{{- end }}
- name: PGPOOL_CHANNEL_TLS_DIR
  value: /etc/pgpool-operator/channel-tls
{{- $peer := ternary "pgpool-ops-manager" "pgpool-provisioner" (eq .Chart.Name "pgpool-provisioner") }}
- name: PGPOOL_CHANNEL_CLIENTS
  value: {{ join "," (default (list (printf "%s.%s.svc" $peer .Release.Namespace)) .Values.channel.clients) | quote }}
{{- end }}
