{{- define "pgpool-ops-manager.environment" -}}
- name: PGPOOL_CLUSTER_RESOURCE_NAMESPACE
  value: {{ .Values.certManager.clusterResourceNamespace | quote }}
- name: PGPOOL_BREAKER_REVISIONS
  value: {{ .Values.circuitBreaker.revisions | quote }}
- name: PGPOOL_BREAKER_OVERWRITES
  value: {{ .Values.circuitBreaker.overwrites | quote }}
- name: PGPOOL_BREAKER_WINDOW
  value: {{ .Values.circuitBreaker.window | quote }}
{{- end }}
