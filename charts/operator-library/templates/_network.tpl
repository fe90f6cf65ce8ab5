{{- define "pgpool-operator.network" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "pgpool-operator.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "pgpool-operator.selectorLabels" . | nindent 4 }}
  ports:
    - name: channel
      port: 8443
      targetPort: channel
      appProtocol: grpc
---
{{- if .Values.networkPolicy.enabled }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "pgpool-operator.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "pgpool-operator.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - ports:
        - port: 8443
      from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ ternary "pgpool-ops-manager" "pgpool-provisioner" (eq .Chart.Name "pgpool-provisioner") }}
        {{- with .Values.networkPolicy.channelFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- if .Values.metrics.expose }}
    - ports:
        - port: 8081
      {{- with .Values.networkPolicy.metricsFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
{{- end }}
---
{{- if .Values.podDisruptionBudget.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "pgpool-operator.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
spec:
  # Never blocks a drain: a single replica may be evicted; of two, one stays.
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "pgpool-operator.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}
