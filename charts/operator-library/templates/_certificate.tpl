{{- /* The issuer of the channel: the one in the values, or the one that the chart of ops-manager creates. */ -}}
{{- define "pgpool-operator.issuerRef" -}}
{{- $ref := .Values.channel.issuerRef -}}
{{- toYaml (ternary $ref (dict "group" "cert-manager.io" "kind" "Issuer" "name" "pgpool-channel") (ne $ref.name "")) -}}
{{- end }}

{{- define "pgpool-operator.certificate" -}}
{{- if eq (include "pgpool-operator.certManager" .) "true" }}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ include "pgpool-operator.channelSecret" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
spec:
  secretName: {{ include "pgpool-operator.channelSecret" . }}
  commonName: {{ include "pgpool-operator.fullname" . }}
  dnsNames:
    {{- $name := include "pgpool-operator.fullname" . }}
    - {{ $name }}
    - {{ $name }}.{{ .Release.Namespace }}
    - {{ $name }}.{{ .Release.Namespace }}.svc
    - {{ $name }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
  # mTLS: both ends of the channel present a certificate.
  usages: [digital signature, server auth, client auth]
  duration: {{ .Values.channel.duration | quote }}
  renewBefore: {{ .Values.channel.renewBefore | quote }}
  revisionHistoryLimit: 1
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
  issuerRef:
    {{- include "pgpool-operator.issuerRef" . | nindent 4 }}
{{- end }}
{{- end }}
