//! Reasons of the conditions of a Pgpool.

words! {
    /// Why a condition holds or does not.
    pub enum Reason {
        // Provisioning.
        /// Provisioning has started.
        DatabaseProvisioningStartedSuccessfully,
        /// All pods are ready.
        AllReplicasReady,
        /// Some pods are not ready.
        SomeReplicasNotReady,
        /// A login through the pool succeeded.
        DatabaseAcceptingConnectionRequest,
        /// A login through the pool failed.
        DatabaseNotAcceptingConnectionRequest,
        /// The readiness check succeeded.
        ReadinessCheckSucceeded,
        /// The readiness check failed.
        ReadinessCheckFailed,
        /// The pool became ready for the first time.
        DatabaseSuccessfullyProvisioned,

        // Inputs.
        /// The `PgpoolVersion` in `spec.version` does not exist.
        VersionNotFound,
        /// The `AppBinding` in `spec.postgresRef` does not exist.
        AppBindingNotFound,
        /// The `AppBinding` does not say how to connect to a PostgreSQL.
        AppBindingInvalid,
        /// The operator has no permission to read the `AppBinding`, or the `AppBinding` is in another namespace and does
        /// not allow Pgpools of this one. The latter reads the same if it does not exist.
        AppBindingForbidden,
        /// The Secret that the `AppBinding` names does not exist.
        BackendSecretNotFound,
        /// The Secret that the `AppBinding` names has no user name or password.
        BackendSecretInvalid,
        /// The operator has no permission to read the Secret that the `AppBinding` names.
        BackendSecretForbidden,
        /// The Secret in `spec.authSecret` does not exist, and the operator may not create it.
        AuthSecretNotFound,
        /// The Secret in `spec.authSecret` has no user name or password.
        AuthSecretInvalid,
        /// The Secret in `spec.configuration.secretName` does not exist.
        ConfigurationSecretNotFound,
        /// The custom configuration cannot be used.
        ConfigurationInvalid,
        /// An object with a required name exists and has another owner.
        NameConflict,
        /// The Pgpool cannot be decoded: a field has a value that this version of the operators does not understand.
        /// The message names the field. Nothing is changed until it is corrected.
        DecodeFailed,
        /// An object that the Pgpool refers to or owns cannot be decoded. The message names it and the field.
        ReferenceDecodeFailed,
        /// The spec requests something that the operator does not support.
        NotSupported,
        /// The policy that checks the rights of authors is missing, and the Pgpool has new fields that it guards. What runs
        /// keeps running.
        RightsNotChecked,
        /// A policy of the chart `pgpool-crds` that the Pgpool relies on is missing or was changed.
        NotProtected,
        /// The API server rejects a write of the operator: missing permissions, an exceeded quota, or an admission
        /// policy.
        WriteForbidden,

        // Scripts.
        /// The scripts wait for the pool to become ready for the first time.
        InitWaitingForPool,
        /// A Secret or `ConfigMap` that the scripts need does not exist.
        InitSourceNotFound,
        /// The Job with the scripts is running.
        InitRunning,
        /// The scripts failed, and the Job has no retries left.
        InitFailed,
        /// The scripts have completed.
        InitSucceeded,
        /// No scripts run, because `spec.init.initialized` is `true`.
        InitSkipped,

        // Monitoring.
        /// The metrics Service exists, and the `ServiceMonitor` if the agent uses one.
        MetricsExposed,
        /// The kind `ServiceMonitor` does not exist: the Prometheus operator is not installed.
        PrometheusOperatorAbsent,
        /// The Secret of a user has no name or password, or a value that cannot be used.
        UserSecretInvalid,
        /// The Secret of a user in the environment of container `pgpool` does not exist.
        UserSecretNotFound,
        /// The operator has no permission to read the Secret of a user.
        UserSecretForbidden,
        /// A user has two different passwords.
        UserConflict,
        /// A variable with a user name or password in the environment of container `pgpool` lacks its counterpart.
        UserVariableIncomplete,

        // Certificates.
        /// Every certificate is issued and valid.
        CertificatesIssued,
        /// Every certificate is valid, but `ca.crt` has no root certificate, or is missing: clients that verify the pool need
        /// the root certificate from elsewhere.
        RootNotPublished,
        /// Every certificate is valid, but one has less than a third of its lifetime left and was not renewed in time.
        RenewalOverdue,
        /// Every certificate is valid, but one has less than a tenth of its lifetime left and was not renewed in time.
        ExpiresSoon,
        /// The provisioner has not created the Secrets and Services yet.
        WaitingForProvisioner,
        /// The certificate keeps its issuer until every pod trusts the new CA.
        WaitingForTrust,
        /// cert-manager is not installed.
        CertManagerAbsent,
        /// The issuer does not exist.
        IssuerNotFound,
        /// The issuer is neither an `Issuer` nor a `ClusterIssuer` of cert-manager.
        IssuerKindUnsupported,
        /// The issuer is not ready.
        IssuerNotReady,
        /// Clients would log in by certificates of an issuer that serves every namespace, or whose scope is not known.
        ClientIssuerNotNamespaced,
        /// Clients would log in by certificates of a CA that has also signed certificates of a Pgpool in another
        /// namespace.
        ClientCaUsedElsewhere,
        /// The certificate would have the same subject as its CA, so that it would count as self-signed.
        SubjectOfCa,
        /// Two certificates use the same Secret, or the Secret has another owner.
        SecretNameConflict,
        /// cert-manager is issuing the certificate.
        Issuing,
        /// cert-manager has not made progress for minutes.
        IssueStalled,
        /// cert-manager could not issue the certificate.
        IssueFailed,
        /// The certificate was issued or overwritten too often. Requests are suspended until someone resumes them.
        /// Running pods keep their certificate.
        CircuitOpen,
        /// The Secret has no certificate or no key.
        SecretIncomplete,
        /// The certificate cannot be parsed.
        CertificateUnreadable,
        /// The private key cannot be parsed.
        KeyUnreadable,
        /// The CA certificate cannot be parsed.
        CaUnreadable,
        /// The Secret has no CA certificate (`ca.crt`).
        CaMissing,
        /// `ca.crt` has no self-signed CA above the certificate, and logins by certificate need one.
        RootMissing,
        /// The private key does not belong to the certificate.
        KeyMismatch,
        /// The certificate does not chain to `ca.crt`.
        ChainBroken,
        /// The certificate lacks a name or address that clients use.
        NameMissing,
        /// The common name of the certificate is not the user that it must log in as.
        CommonNameMismatch,
        /// The certificate lacks a required key usage.
        UsageMissing,
        /// The certificate is not valid yet.
        NotYetValid,
        /// The certificate has expired.
        Expired,

        // Workload.
        /// A pod checks whether pgpool accepts the custom settings.
        CheckingConfiguration,
        /// Could not check whether pgpool accepts the custom settings. Running pods keep their settings.
        ConfigurationNotChecked,
        /// The pods wait for their certificates.
        WaitingForCertificates,
        /// Pods are starting.
        WaitingForPods,
        /// Pods are being replaced one by one. The next pod is replaced when the previous one is ready and serves
        /// correctly, and the `PodDisruptionBudget` allows it.
        RollingOut,
        /// Settings, rules or users have changed, and running pods reload them. This takes a few seconds.
        ReloadingConfiguration,
        /// A replacement pod does not become ready or does not serve correctly. The rollout continues when the pod
        /// recovers, or with the next change.
        RolloutFailed,
        /// A renewed certificate waits for the maintenance window.
        WaitingForWindow,
        /// A renewed certificate waits for the cluster-wide rotation limit.
        WaitingForRotationLimit,
        /// A renewed certificate is rolled out outside of the maintenance window, because the served one expires soon.
        WindowOverridden,
        /// A renewed certificate is rolled out beyond the rotation limit, because the served one expires soon.
        LimitsOverridden,
        /// The annotation `pgpool.kubedb.com/maintenance-window` cannot be parsed.
        MaintenanceWindowInvalid,
        /// A pod serves the wrong certificate, or none.
        PodsNotServing,
        /// A pod with the name of a pod of the pool is not controlled by the StatefulSet of the pool. It is neither probed nor
        /// counted.
        PodNotControlled,
        /// The address in the status of a pod is not one that only this pod can have. No connection is opened to it.
        PodAddressRefused,
        /// A pod asks for the password in a way that would give it away. The operator did not answer.
        PasswordRequestRefused,
        /// A pod could not prove that it knows the password.
        PodNotAuthentic,
        /// A pod sends far more than a login and a query take.
        PodResponseInvalid,
        /// Clients have all children of pgpool, so new ones wait until one leaves.
        NoFreeChild,
        /// pgpool answers, but PostgreSQL does not let it complete a login in time.
        BackendNotAnswering,
        /// PostgreSQL rejects pgpool before asking for a password. It may require a client certificate, which pgpool
        /// does not have.
        BackendRejectsPool,
        /// pgpool does not trust the certificate of PostgreSQL.
        BackendCertificateUntrusted,
        /// The Pgpool matches its spec.
        Converged,
    }
}
