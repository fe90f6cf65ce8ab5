{{- define "pgpool-operator.metrics" -}}
{{- if .Values.metrics.expose }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "pgpool-operator.fullname" . }}-metrics
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
    pgpool.kubedb.com/metrics: "true"
spec:
  # Headless: each replica has its own metrics.
  clusterIP: None
  selector:
    {{- include "pgpool-operator.selectorLabels" . | nindent 4 }}
  ports:
    - name: metrics
      port: 8081
      targetPort: metrics
{{- end }}
---
{{- if and .Values.metrics.expose .Values.metrics.serviceMonitor.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "pgpool-operator.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
    {{- with .Values.metrics.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "pgpool-operator.selectorLabels" . | nindent 6 }}
      pgpool.kubedb.com/metrics: "true"
  endpoints:
    - port: metrics
      # The metrics of an object name its namespace, which is not that of the operator.
      honorLabels: true
      interval: {{ .Values.metrics.serviceMonitor.interval | quote }}
{{- end }}
---
{{- if and .Values.metrics.expose .Values.metrics.prometheusRule.enabled }}
{{- $program := ternary "Provisioner" "OpsManager" (eq .Chart.Name "pgpool-provisioner") }}
{{- $thresholds := .Values.metrics.prometheusRule.thresholds }}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {{ include "pgpool-operator.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
    {{- with .Values.metrics.prometheusRule.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  groups:
    - name: {{ include "pgpool-operator.fullname" . }}
      rules:
        {{- include (printf "%s.alerts" .Chart.Name) . | nindent 8 }}
        - alert: Pgpool{{ $program }}ReconcileErrors
          expr: |-
            sum by (controller, class) (
              rate(controller_runtime_reconcile_errors_total{job="{{ include "pgpool-operator.fullname" . }}-metrics"}[10m])
            ) > 0
          for: {{ $thresholds.errorsFor }}
          labels:
            severity: warning
          annotations:
            summary: Reconciles of {{ .Chart.Name }} fail
            description: >-
              {{`Controller {{ $labels.controller }} keeps failing with errors of class {{ $labels.class }}`}}. The log of
              {{ .Chart.Name }} names the objects.
        # Computed from what is absent, so that it fires although no replica reports anything.
        - alert: Pgpool{{ $program }}Down
          expr: |-
            absent(leader_election_master_status{name="{{ include "pgpool-operator.fullname" . }}"} == 1)
          for: {{ $thresholds.downFor }}
          labels:
            severity: critical
          annotations:
            summary: No {{ .Chart.Name }} is active
            description: >-
              No replica of {{ .Chart.Name }} in namespace {{ .Release.Namespace }} holds the lease, or none is scraped.
              {{ include (printf "%s.down" .Chart.Name) . }}
{{- end }}
{{- end }}
