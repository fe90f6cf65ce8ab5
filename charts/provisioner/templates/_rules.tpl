{{- /* Permissions in every watched namespace. Grants nothing that the code does not use. */ -}}
{{- define "pgpool-provisioner.rules" -}}
{{- $owned := ternary "get, list, watch, create, patch, delete" "get, list, watch, create, patch" .Values.rbac.enforcedOwnerReferences -}}
- apiGroups: [kubedb.com]
  resources: [pgpools]
  verbs: [list, watch]
- apiGroups: [kubedb.com]
  resources: [pgpools/status]
  verbs: [patch]
# Required to set blockOwnerDeletion in owner references.
- apiGroups: [kubedb.com]
  resources: [pgpools/finalizers]
  verbs: [update]
- apiGroups: [appcatalog.appscode.com]
  resources: [appbindings]
  verbs: [{{ $owned }}]
# Deletes TLS copies that no pod uses any more.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# Deletes the stats Service when spec.monitor is removed.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [{{ $owned }}]
# Used only if a Pgpool names an agent that reads ServiceMonitors.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [{{ $owned }}]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [{{ $owned }}]
# Runs the user's scripts once, and watches each Job by name.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [{{ ternary "list, watch, create, delete" "list, watch, create" .Values.rbac.enforcedOwnerReferences }}]
# Checks that the ConfigMaps with the scripts exist, without which the pod would not start.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
# Changes CPU and memory of running pods.
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
# Annotates pods whose mounted Secrets have changed, and labels resized pods. Creates and deletes the pods of config
# checks.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- /* Permissions for cluster-scoped kinds. */ -}}
{{- define "pgpool-provisioner.clusterRules" -}}
- apiGroups: [catalog.kubedb.com]
  resources: [pgpoolversions]
  verbs: [list, watch]
# Refuses what a policy guards while the policy is missing, and reports it.
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingadmissionpolicies, validatingadmissionpolicybindings]
  resourceNames: [protection.pgpools.kubedb.com, rights.pgpools.kubedb.com]
  verbs: [list, watch]
{{- end }}
