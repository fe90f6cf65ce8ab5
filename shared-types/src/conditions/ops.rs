//! Conditions of a `PgpoolOpsRequest` and their reasons.

words! {
    /// What a condition of a `PgpoolOpsRequest` is about, in the order in which a request gets them. The reason of a step
    /// that is done is the same word.
    pub enum OpsCondition {
        /// The operation has started: all pods are restarted.
        Restart,
        /// The operation has started: the number of pods changes.
        HorizontalScaling,
        /// The operation has started: the resources of the pods change.
        VerticalScaling,
        /// The operation has started: settings change.
        Reconfigure,
        /// The operation has started: certificates are added, changed, rotated or removed.
        ReconfigureTLS,
        /// The operation has started: the version changes.
        UpdateVersion,
        /// The operation has started: the password of the PCP user changes.
        RotateAuth,
        /// The spec of the Pgpool has the requested change. The provisioner applies it.
        UpdateDatabase,
        /// The Secret of the PCP user has the new password, and the previous one under `password.prev`.
        UpdateCredential,
        /// Every certificate was requested from cert-manager.
        IssueCertificates,
        /// Every certificate is issued and valid.
        CertificateSynced,
        /// Pods were replaced where the change requires it, and all are ready.
        RestartPods,
        /// Every pod has the requested resources. Only pods that could not be resized were replaced.
        ResizePods,
        /// The new settings are active in every pod. Pods were replaced only if a setting requires it.
        ConfigurationApplied,
        /// The requested number of pods is ready.
        HorizontalScale,
        /// The password file of the PCP user has the new password.
        ControlPortSynced,
        /// The request waits or is in progress; reason and message say for what. Absent when it has finished.
        Reconciling,
        /// The request failed and is not retried. Only together with `Failed`.
        Stalled,
        /// Everything that was requested is done.
        Successful,
        /// The request failed; reason and message say why.
        Failed,
        /// A later request of the same type superseded this one before it started.
        Skipped,
    }
}

words! {
    /// Why a `PgpoolOpsRequest` waits, or failed.
    pub enum OpsReason {
        /// Another request for the same Pgpool runs first.
        Queued,
        /// The request cannot be decoded: a field has a value that this version of the operator does not understand.
        /// The message names the field.
        DecodeFailed,
        /// The Pgpool in `spec.databaseRef` does not exist.
        PgpoolNotFound,
        /// `spec.apply` requires a Pgpool that is `Ready`, and it is not.
        PgpoolNotReady,
        /// A step is in progress.
        Progressing,
        /// The provisioner is working on the Pgpool; the message says what it waits for.
        WaitingForPgpool,
        /// Certificates are being issued, or not every pod serves them yet.
        WaitingForCertificates,
        /// The provisioner has not written the new password for pgpool yet.
        WaitingForControlPort,
        /// The step took longer than `spec.timeout`, or than an hour if that is unset.
        TimedOut,
        /// The API server rejects the change of the Pgpool, because of a rule, a policy or missing permissions.
        ChangeRejected,
        /// The provisioner cannot apply the change until someone fixes something.
        PgpoolStalled,
        /// The target version is not in the catalog.
        VersionNotFound,
        /// The catalog does not allow an update from the current version to the target version.
        VersionNotAllowed,
        /// The policy that checks the rights of authors is missing, or was installed after the request was created.
        RightsNotChecked,
        /// A Secret that the request names does not exist.
        SecretNotFound,
        /// A Secret that the request names lacks a required value.
        SecretInvalid,
        /// The Secret of the PCP user is externally managed, or was not generated for the Pgpool.
        SecretExternallyManaged,
        /// The Pgpool has no certificates that could be rotated.
        NoCertificates,
        /// A certificate changed so often that requests are suspended.
        CircuitOpen,
        /// A later request of the same type supersedes this one.
        Superseded,
        /// Too many requests for the same Pgpool are open.
        TooManyRequests,
    }
}
