{{- /* Permissions in every watched namespace. Grants nothing that the code does not use. */ -}}
{{- define "pgpool-ops-manager.rules" -}}
# Patches the spec only for a PgpoolOpsRequest.
- apiGroups: [kubedb.com]
  resources: [pgpools]
  verbs: [get, list, watch, patch]
- apiGroups: [kubedb.com]
  resources: [pgpools/status]
  verbs: [patch]
- apiGroups: [ops.kubedb.com]
  resources: [pgpoolopsrequests]
  # Requests that have finished expire.
  verbs: [list, watch, delete]
- apiGroups: [ops.kubedb.com]
  resources: [pgpoolopsrequests/status]
  verbs: [patch]
# Required to set blockOwnerDeletion in owner references.
- apiGroups: [kubedb.com]
  resources: [pgpools/finalizers]
  verbs: [update]
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
# Sets the condition Issuing, which requests a new certificate.
- apiGroups: [cert-manager.io]
  resources: [certificates/status]
  verbs: [patch]
- apiGroups: [cert-manager.io]
  resources: [issuers, certificaterequests]
  verbs: [list, watch]
# Patches only the owner of Secrets that cert-manager wrote, and the password of the PCP user for a PgpoolOpsRequest.
# Reads Secrets that a PgpoolOpsRequest names.
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

{{- /* Permissions for cluster-scoped kinds. */ -}}
{{- define "pgpool-ops-manager.clusterRules" -}}
- apiGroups: [cert-manager.io]
  resources: [clusterissuers]
  verbs: [list, watch]
# Reads which updates the catalog allows.
- apiGroups: [catalog.kubedb.com]
  resources: [pgpoolversions]
  verbs: [get]
# Lets ops-manager write what the author of a PgpoolOpsRequest may request. The policy about authors of Pgpools asks for
# this right. No such kind exists.
- apiGroups: [operators.pgpool.kubedb.com]
  resources: [pgpoolopsrequests]
  verbs: [carryout]
# Refuses what a policy guards while the policy is missing.
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingadmissionpolicies, validatingadmissionpolicybindings]
  resourceNames: [rights.pgpools.kubedb.com, rights.pgpoolopsrequests.ops.kubedb.com]
  verbs: [list, watch]
{{- end }}

{{- /* "true" if this chart creates the issuer of the channel. */ -}}
{{- define "pgpool-ops-manager.ownIssuer" -}}
{{- and (eq (include "pgpool-operator.certManager" .) "true") (eq .Values.channel.issuerRef.name "") -}}
{{- end }}
