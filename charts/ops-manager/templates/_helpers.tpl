{{- define "pgpool-ops-manager.fullname" -}}
{{- default .Chart.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "pgpool-ops-manager.selectorLabels" -}}
app.kubernetes.io/name: pgpool-ops-manager
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgpool-ops-manager.labels" -}}
{{ include "pgpool-ops-manager.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: pgpool-operators
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pgpool-ops-manager.serviceAccount" -}}
{{- default (ternary (include "pgpool-ops-manager.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end }}

{{- define "pgpool-ops-manager.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pgpool-ops-manager.channelSecret" -}}
{{- default (printf "%s-channel" (include "pgpool-ops-manager.fullname" .)) .Values.channel.secretName -}}
{{- end }}

{{- /* Says "true" when objects of cert-manager are to be rendered. */ -}}
{{- define "pgpool-ops-manager.certManager" -}}
{{- $asked := toString .Values.channel.certManager -}}
{{- ternary (.Capabilities.APIVersions.Has "cert-manager.io/v1" | toString) $asked (eq $asked "auto") -}}
{{- end }}

{{- /* Cluster scoped objects bear the namespace, so that several namespaces can have their own operators. */ -}}
{{- define "pgpool-ops-manager.clusterName" -}}
{{ include "pgpool-ops-manager.fullname" . }}.{{ .Release.Namespace }}
{{- end }}

{{- define "pgpool-ops-manager.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "pgpool-ops-manager.serviceAccount" . }}
    namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* What is needed in every namespace that is served. Nothing here may be wider than what the code does. */ -}}
{{- define "pgpool-ops-manager.rules" -}}
# Changes the spec, but only to carry out a PgpoolOpsRequest.
- apiGroups: [kubedb.com]
  resources: [pgpools]
  verbs: [get, list, watch, patch]
- apiGroups: [kubedb.com]
  resources: [pgpools/status]
  verbs: [patch]
- apiGroups: [ops.kubedb.com]
  resources: [pgpoolopsrequests]
  verbs: [list, watch]
- apiGroups: [ops.kubedb.com]
  resources: [pgpoolopsrequests/status]
  verbs: [patch]
# Owner references that block the deletion of the owner ask for this.
- apiGroups: [kubedb.com]
  resources: [pgpools/finalizers]
  verbs: [update]
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
# Sets the condition Issuing, which asks for a new certificate.
- apiGroups: [cert-manager.io]
  resources: [certificates/status]
  verbs: [patch]
- apiGroups: [cert-manager.io]
  resources: [issuers, certificaterequests]
  verbs: [list, watch]
# Patches no more than the owner of what cert-manager wrote, and the password of the PCP user when a request asks for
# another. Reads by name what a request names.
- apiGroups: [""]
  resources: [secrets]
  verbs: [{{ ternary "get, list, watch, patch, delete" "get, list, watch, patch" .Values.rbac.enforcedOwnerReferences }}]
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- /* What is needed of kinds without a namespace. */ -}}
{{- define "pgpool-ops-manager.clusterRules" -}}
- apiGroups: [cert-manager.io]
  resources: [clusterissuers]
  verbs: [list, watch]
# Which updates the catalogue allows.
- apiGroups: [catalog.kubedb.com]
  resources: [pgpoolversions]
  verbs: [get]
{{- end }}

{{- /* The issuer of the channel: the one that was named, or our own. */ -}}
{{- define "pgpool-ops-manager.issuerRef" -}}
{{- $ref := .Values.channel.issuerRef -}}
{{- toYaml (ternary $ref (dict "group" "cert-manager.io" "kind" "Issuer" "name" "pgpool-channel") (ne $ref.name "")) -}}
{{- end }}

{{- /* Says "true" when the issuer of the channel is ours to make. */ -}}
{{- define "pgpool-ops-manager.ownIssuer" -}}
{{- and (eq (include "pgpool-ops-manager.certManager" .) "true") (eq .Values.channel.issuerRef.name "") -}}
{{- end }}
