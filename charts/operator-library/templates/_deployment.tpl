{{- define "pgpool-operator.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "pgpool-operator.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pgpool-operator.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "pgpool-operator.selectorLabels" . | nindent 6 }}
  # The new pod is a warm standby before the old one releases the lease.
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        {{- $labels := include "pgpool-operator.labels" . | fromYaml }}
        {{- toYaml (mergeOverwrite $labels .Values.podLabels) | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: operator
        {{- with .Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "pgpool-operator.serviceAccount" . }}
      automountServiceAccountToken: true
      # Variables of Services start with the name of the Service, and could collide with those of the operator.
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      securityContext:
        {{- toYaml .Values.podSecurityContext | nindent 8 }}
      containers:
        - name: operator
          image: {{ include "pgpool-operator.image" . | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          command: [/usr/local/bin/{{ include "pgpool-operator.program" . }}, run]
          env:
            {{- include "pgpool-operator.environment" . | nindent 12 }}
            {{- include (printf "%s.environment" .Chart.Name) . | nindent 12 }}
          ports:
            - name: channel
              containerPort: 8443
            {{- if .Values.metrics.expose }}
            - name: metrics
              containerPort: 8081
            {{- end }}
          # The admin endpoint listens on loopback: only a program inside the pod reaches it.
          startupProbe:
            exec:
              command: [/usr/local/bin/{{ include "pgpool-operator.program" . }}, probe, livez]
            periodSeconds: 1
            timeoutSeconds: 5
            failureThreshold: 60
          livenessProbe:
            exec:
              command: [/usr/local/bin/{{ include "pgpool-operator.program" . }}, probe, livez]
            periodSeconds: 20
            timeoutSeconds: 5
          readinessProbe:
            exec:
              command: [/usr/local/bin/{{ include "pgpool-operator.program" . }}, probe, readyz]
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: channel-tls
              mountPath: /etc/pgpool-operator/channel-tls
              readOnly: true
      volumes:
        # Optional, so that the operator can start before cert-manager issues it. The kubelet mounts it later.
        - name: channel-tls
          secret:
            secretName: {{ include "pgpool-operator.channelSecret" . }}
            optional: true
            defaultMode: 288 # 0440, in a form that every YAML parser reads as a number
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- range . }}
        - {{ toYaml (merge (dict "labelSelector" (dict "matchLabels" (include "pgpool-operator.selectorLabels" $ | fromYaml))) .) | nindent 10 | trim }}
        {{- end }}
      {{- end }}
{{- end }}
