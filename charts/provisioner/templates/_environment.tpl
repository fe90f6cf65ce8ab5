{{- define "pgpool-provisioner.environment" -}}
- name: PGPOOL_LEASE_NAME
  value: {{ include "pgpool-provisioner.fullname" . }}
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
{{- /* Where the verdicts come from. */}}
- name: PGPOOL_PEER_ADDRESS
  value: {{ default (printf "https://pgpool-ops-manager.%s.svc:8443" .Release.Namespace) .Values.peer.address | quote }}
{{- with .Values.peer.name }}
- name: PGPOOL_PEER_NAME
  value: {{ . | quote }}
{{- end }}
- name: PGPOOL_CA_OVERLAP
  value: {{ .Values.caOverlap | quote }}
- name: PGPOOL_ROTATION_AT_ONCE
  value: {{ .Values.rotation.atOnce | quote }}
- name: PGPOOL_ROTATION_PODS_PER_MINUTE
  value: {{ .Values.rotation.podsPerMinute | quote }}
{{- with .Values.rotation.maintenanceWindow }}
- name: PGPOOL_MAINTENANCE_WINDOW
  value: {{ . | quote }}
{{- end }}
- name: PGPOOL_HANDOFF_GRACE
  value: {{ .Values.handoffGrace | quote }}
{{- end }}
