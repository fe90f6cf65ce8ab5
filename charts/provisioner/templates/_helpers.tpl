{{- define "pgpool-provisioner.fullname" -}}
{{- default .Chart.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "pgpool-provisioner.selectorLabels" -}}
app.kubernetes.io/name: pgpool-provisioner
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgpool-provisioner.labels" -}}
{{ include "pgpool-provisioner.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: pgpool-operators
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pgpool-provisioner.serviceAccount" -}}
{{- default (ternary (include "pgpool-provisioner.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end }}

{{- define "pgpool-provisioner.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pgpool-provisioner.channelSecret" -}}
{{- default (printf "%s-channel" (include "pgpool-provisioner.fullname" .)) .Values.channel.secretName -}}
{{- end }}

{{- /* Says "true" when objects of cert-manager are to be rendered. */ -}}
{{- define "pgpool-provisioner.certManager" -}}
{{- $asked := toString .Values.channel.certManager -}}
{{- ternary (.Capabilities.APIVersions.Has "cert-manager.io/v1" | toString) $asked (eq $asked "auto") -}}
{{- end }}

{{- /* Cluster scoped objects bear the namespace, so that several namespaces can have their own operators. */ -}}
{{- define "pgpool-provisioner.clusterName" -}}
{{ include "pgpool-provisioner.fullname" . }}.{{ .Release.Namespace }}
{{- end }}

{{- define "pgpool-provisioner.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "pgpool-provisioner.serviceAccount" . }}
    namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* What is needed in every namespace that is served. Nothing here may be wider than what the code does. */ -}}
{{- define "pgpool-provisioner.rules" -}}
{{- $owned := ternary "get, list, watch, create, patch, delete" "get, list, watch, create, patch" .Values.rbac.enforcedOwnerReferences -}}
- apiGroups: [kubedb.com]
  resources: [pgpools]
  verbs: [list, watch]
- apiGroups: [kubedb.com]
  resources: [pgpools/status]
  verbs: [patch]
# Owner references that block the deletion of the owner ask for this.
- apiGroups: [kubedb.com]
  resources: [pgpools/finalizers]
  verbs: [update]
- apiGroups: [appcatalog.appscode.com]
  resources: [appbindings]
  verbs: [{{ $owned }}]
# Deletes copies of certificates that no pod uses any more.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# Deletes the Service of metrics when nobody scrapes any more.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [{{ $owned }}]
# Used only while a Pgpool names an agent that reads them.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [{{ $owned }}]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [{{ $owned }}]
# Runs the user's scripts once, and follows each Job by its name.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [{{ ternary "list, watch, create, delete" "list, watch, create" .Values.rbac.enforcedOwnerReferences }}]
# Asks whether the scripts are there, without which their pod would hang.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
# Gives a pod other CPU and memory while it runs.
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
# Tells a pod by an annotation that what is mounted in it has changed, and by a label that it has been resized. Starts a pod in which pgpool judges settings of users, and removes it.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- /* What is needed of kinds without a namespace. */ -}}
{{- define "pgpool-provisioner.clusterRules" -}}
- apiGroups: [catalog.kubedb.com]
  resources: [pgpoolversions]
  verbs: [list, watch]
{{- end }}
