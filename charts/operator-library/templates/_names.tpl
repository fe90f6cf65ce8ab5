{{- /*
Shared by the charts of both operators. A chart that uses it defines "<chart>.rules", "<chart>.clusterRules",
"<chart>.environment" and "<chart>.alerts"; templates/operator.yaml renders the rest.
*/ -}}
{{- define "pgpool-operator.fullname" -}}
{{- default .Chart.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- /* The program in the image: the name of the chart without its prefix. */ -}}
{{- define "pgpool-operator.program" -}}
{{ trimPrefix "pgpool-" .Chart.Name }}
{{- end }}

{{- define "pgpool-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgpool-operator.labels" -}}
{{ include "pgpool-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: pgpool-operators
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pgpool-operator.serviceAccount" -}}
{{- default (include "pgpool-operator.fullname" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "pgpool-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pgpool-operator.channelSecret" -}}
{{- default (printf "%s-channel" (include "pgpool-operator.fullname" .)) .Values.channel.secretName -}}
{{- end }}

{{- /* "true" if objects of cert-manager are rendered. */ -}}
{{- define "pgpool-operator.certManager" -}}
{{- $asked := toString .Values.channel.certManager -}}
{{- ternary (.Capabilities.APIVersions.Has "cert-manager.io/v1" | toString) $asked (eq $asked "auto") -}}
{{- end }}

{{- /* Names of cluster-scoped objects contain the namespace, so that several namespaces can have their own operators. */ -}}
{{- define "pgpool-operator.clusterName" -}}
{{ include "pgpool-operator.fullname" . }}.{{ .Release.Namespace }}
{{- end }}

{{- define "pgpool-operator.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "pgpool-operator.serviceAccount" . }}
    namespace: {{ .Release.Namespace }}
{{- end }}
