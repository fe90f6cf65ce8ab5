{{- define "pgpool-operator.rbac" -}}
{{- if .Values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "pgpool-operator.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# The pod mounts its token itself.
automountServiceAccountToken: false
{{- end }}
---
{{- if .Values.rbac.create }}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ include "pgpool-operator.clusterName" . }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
rules:
  {{- include (printf "%s.clusterRules" .Chart.Name) . | nindent 2 }}
  {{- if not .Values.watchNamespaces }}
  {{- include (printf "%s.rules" .Chart.Name) . | nindent 2 }}
  {{- end }}
{{- end }}
---
{{- if .Values.rbac.create }}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ include "pgpool-operator.clusterName" . }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ include "pgpool-operator.clusterName" . }}
{{ include "pgpool-operator.subjects" . }}
{{- end }}
---
{{- if .Values.rbac.create }}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "pgpool-operator.fullname" . }}-lease
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
rules:
  # RBAC cannot restrict create to a name.
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    verbs: [create]
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    resourceNames: [{{ include "pgpool-operator.fullname" . }}]
    verbs: [get, list, watch, update, patch]
{{- end }}
---
{{- if .Values.rbac.create }}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "pgpool-operator.fullname" . }}-lease
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "pgpool-operator.fullname" . }}-lease
{{ include "pgpool-operator.subjects" . }}
{{- end }}
{{- if .Values.rbac.create }}
{{- range .Values.watchNamespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "pgpool-operator.clusterName" $ }}
  namespace: {{ . | quote }}
  labels:
    {{- include "pgpool-operator.labels" $ | nindent 4 }}
rules:
  {{- include (printf "%s.rules" $.Chart.Name) $ | nindent 2 }}
{{- end }}
{{- end }}
{{- if .Values.rbac.create }}
{{- range .Values.watchNamespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "pgpool-operator.clusterName" $ }}
  namespace: {{ . | quote }}
  labels:
    {{- include "pgpool-operator.labels" $ | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "pgpool-operator.clusterName" $ }}
{{ include "pgpool-operator.subjects" $ }}
{{- end }}
{{- end }}
{{- end }}
