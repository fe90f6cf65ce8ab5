{{- define "pgpool-provisioner.environment" -}}
- name: PGPOOL_PEER_ADDRESS
  value: {{ default (printf "https://pgpool-ops-manager.%s.svc:8443" .Release.Namespace) .Values.peer.address | quote }}
{{- with .Values.peer.name }}
- name: PGPOOL_PEER_NAME
  value: {{ . | quote }}
{{- end }}
- name: PGPOOL_ACROSS_NAMESPACES
  value: {{ .Values.postgresRef.acrossNamespaces | quote }}
- name: PGPOOL_ALLOW_COMMANDS
  value: {{ .Values.configuration.allowCommands | quote }}
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
