//! The conditions of a Pgpool, and of a request about one: what they are called, why they hold, and how they change.
//!
//! A condition's transition time moves only when its status does. Time is an argument.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// An enum whose variants are written as they are called.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[doc = $doc:literal])* $word:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $doc])* $word,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// As written in a status.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => stringify!($word),)* }
            }

            /// What it says, as written above it.
            #[must_use]
            pub fn meaning(self) -> String {
                let text = match self { $(Self::$word => concat!($($doc, "\n"),*),)* };
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            }

            /// The value of a word, if it is one of these.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a condition is about, in the order in which a Pgpool usually gets them.
    pub enum ConditionType {
        /// The provisioner has seen the Pgpool and works on it.
        ProvisioningStarted,
        /// All pods are ready.
        ReplicaReady,
        /// The provisioner could log in through the pool.
        AcceptingConnection,
        /// The pool serves as asked: the check of its readiness succeeded.
        Ready,
        /// The pool was ready at least once. Never taken back.
        Provisioned,
        /// The provisioner works towards the present spec. Absent or `False` when there is nothing left to do.
        Reconciling,
        /// The provisioner cannot go on before somebody changes something; the message says what.
        Stalled,
        /// The pool does not know some users, or not as asked; the message says which. Absent when it knows all.
        UsersIncomplete,
        /// Every certificate is issued and fits.
        CertificatesReady,
        /// The objects by which Prometheus finds the metrics are as `spec.monitor` asks. Only while that is set.
        Monitored,
        /// An operation runs, and the provisioner keeps its hands off.
        Paused,
        /// A new certificate is not given to the pods yet, and the message says what it waits for. `False` when it is
        /// given to them although it should wait, or when a maintenance window cannot be read. Absent otherwise.
        RotationHeld,
        /// The scripts of `spec.init` have run. Absent when there are none. Says nothing about the pool itself: a
        /// script that fails takes no readiness away.
        Initialized,
    }
}

words! {
    /// Why a condition holds or does not.
    pub enum Reason {
        // Provisioning.
        /// Work on the Pgpool has begun.
        DatabaseProvisioningStartedSuccessfully,
        /// All pods are ready.
        AllReplicasReady,
        /// Some pods are not ready.
        SomeReplicasNotReady,
        /// A login through the pool succeeded.
        DatabaseAcceptingConnectionRequest,
        /// A login through the pool failed.
        DatabaseNotAcceptingConnectionRequest,
        /// The pool serves as asked.
        ReadinessCheckSucceeded,
        /// The pool does not serve as asked.
        ReadinessCheckFailed,
        /// The pool was ready for the first time.
        DatabaseSuccessfullyProvisioned,

        // Inputs.
        /// There is no `PgpoolVersion` of the name in `spec.version`.
        VersionNotFound,
        /// There is no `AppBinding` of the name in `spec.postgresRef`.
        AppBindingNotFound,
        /// The `AppBinding` does not say how to reach a PostgreSQL.
        AppBindingInvalid,
        /// The operator may not read the `AppBinding`.
        AppBindingForbidden,
        /// The Secret that the `AppBinding` names does not exist.
        BackendSecretNotFound,
        /// The Secret that the `AppBinding` names lacks a user name or a password.
        BackendSecretInvalid,
        /// The operator may not read the Secret that the `AppBinding` names.
        BackendSecretForbidden,
        /// The Secret in `spec.authSecret` does not exist and is not the operator's to create.
        AuthSecretNotFound,
        /// The Secret in `spec.authSecret` lacks a user name or a password.
        AuthSecretInvalid,
        /// The Secret in `spec.configuration.secretName` does not exist.
        ConfigurationSecretNotFound,
        /// The user's configuration cannot be used.
        ConfigurationInvalid,
        /// An object of the needed name belongs to somebody else.
        NameConflict,
        /// The spec asks for something this operator does not do.
        NotSupported,
        /// The API server does not let the operator write an object: it lacks a right, a quota is used up, or an
        /// admission policy says no.
        WriteForbidden,

        // Scripts.
        /// The scripts wait for the pool to become ready for the first time.
        InitWaitingForPool,
        /// A Secret or `ConfigMap` that the scripts need does not exist.
        InitSourceNotFound,
        /// The Job that runs the scripts is at work.
        InitRunning,
        /// The scripts failed as often as they may.
        InitFailed,
        /// The scripts have run to their end.
        InitSucceeded,
        /// The user says that nothing is to be run: `spec.init.initialized` is `true`.
        InitSkipped,

        // Monitoring.
        /// The metrics Service exists, and the `ServiceMonitor` if the agent reads one.
        MetricsExposed,
        /// The API server does not know the kind `ServiceMonitor`: the Prometheus operator is not installed.
        PrometheusOperatorAbsent,
        /// A Secret of a user lacks a name or a password, or holds one that cannot be used.
        UserSecretInvalid,
        /// A Secret that a pair in the environment of container `pgpool` names does not exist.
        UserSecretNotFound,
        /// The operator may not read a Secret of a user.
        UserSecretForbidden,
        /// Two passwords are given for one user.
        UserConflict,
        /// A variable with a user name or password in the environment of container `pgpool` lacks its counterpart.
        UserVariableIncomplete,

        // Certificates.
        /// Every certificate is issued and fits.
        CertificatesIssued,
        /// Every certificate fits, but one has less than a third of its lifetime left and was not renewed in time.
        RenewalOverdue,
        /// Every certificate fits, but one has less than a tenth of its lifetime left and was not renewed in time.
        ExpiresSoon,
        /// The provisioner has not created the Secrets and Services yet.
        WaitingForProvisioner,
        /// The certificate keeps its issuer until every pod trusts the new one.
        WaitingForTrust,
        /// cert-manager is not installed in the cluster.
        CertManagerAbsent,
        /// The issuer does not exist.
        IssuerNotFound,
        /// The issuer is neither an `Issuer` nor a `ClusterIssuer` of cert-manager.
        IssuerKindUnsupported,
        /// The issuer is not ready.
        IssuerNotReady,
        /// Two certificates are to be written to one Secret, or the Secret is somebody else's.
        SecretNameConflict,
        /// cert-manager has not written the certificate yet.
        Issuing,
        /// cert-manager has been asked for the certificate, and for minutes nobody has done what comes next.
        IssueStalled,
        /// cert-manager could not issue the certificate.
        IssueFailed,
        /// The certificate was issued or overwritten so often that nothing is asked for any more before somebody
        /// resumes it. What runs keeps its certificate.
        CircuitOpen,
        /// The Secret lacks the certificate or its key.
        SecretIncomplete,
        /// The certificate cannot be read.
        CertificateUnreadable,
        /// The private key cannot be read.
        KeyUnreadable,
        /// The certificate of the authority cannot be read.
        CaUnreadable,
        /// The Secret lacks the certificate of the authority, `ca.crt`.
        CaMissing,
        /// The private key belongs to another certificate.
        KeyMismatch,
        /// The certificate does not chain to `ca.crt`.
        ChainBroken,
        /// The certificate lacks a name or address that clients use.
        NameMissing,
        /// The common name of the certificate is not the user it must log in as.
        CommonNameMismatch,
        /// The certificate is not allowed for its use.
        UsageMissing,
        /// The certificate is not valid yet.
        NotYetValid,
        /// The certificate is no longer valid.
        Expired,

        // Workload.
        /// A pod checks whether pgpool accepts the user's settings.
        CheckingConfiguration,
        /// Could not check whether pgpool accepts the user's settings. Running pods keep the settings they have.
        ConfigurationNotChecked,
        /// The pods wait for their certificates.
        WaitingForCertificates,
        /// Pods are starting.
        WaitingForPods,
        /// Pods are being replaced one by one: each when the one before is ready and was seen to serve as it should, and
        /// the `PodDisruptionBudget` lets it go.
        RollingOut,
        /// Settings, rules or users have changed, and running pods reload them. This takes a few seconds.
        ReloadingConfiguration,
        /// A pod that was replaced does not become ready, or does not serve as it should. The pods after it stay as they
        /// are; the work goes on when the pod mends, or with the next change.
        RolloutFailed,
        /// A new certificate waits for the maintenance window.
        WaitingForWindow,
        /// A new certificate waits for the cluster-wide limit on rotations.
        WaitingForRotationLimit,
        /// A new certificate is given to the pods outside the maintenance window, since the one that is served is about to
        /// end.
        WindowOverridden,
        /// A new certificate is given to the pods beyond the limits of the operator, since the one that is served is about
        /// to end.
        LimitsOverridden,
        /// The annotation `pgpool.kubedb.com/maintenance-window` cannot be read.
        MaintenanceWindowInvalid,
        /// A pod serves another certificate than it should, or none.
        PodsNotServing,
        /// PostgreSQL rejects pgpool before asking for a password. It may require a client certificate, which pgpool
        /// does not have.
        BackendRejectsPool,
        /// Pgpool does not trust the certificate of PostgreSQL.
        BackendCertificateUntrusted,
        /// Everything is as asked.
        Converged,
    }
}

words! {
    /// What a condition of a `PgpoolOpsRequest` is about, in the order in which a request gets them. The reason of a
    /// step that is done is the same word.
    pub enum OpsCondition {
        /// The operation has begun: all pods are restarted.
        Restart,
        /// The operation has begun: the number of pods changes.
        HorizontalScaling,
        /// The operation has begun: the resources of the pods change.
        VerticalScaling,
        /// The operation has begun: settings change.
        Reconfigure,
        /// The operation has begun: certificates are added, changed, rotated or removed.
        ReconfigureTLS,
        /// The operation has begun: another version is to run.
        UpdateVersion,
        /// The operation has begun: the password of the PCP user changes.
        RotateAuth,
        /// The spec of the Pgpool says what the request asks for. From here on the provisioner is at work.
        UpdateDatabase,
        /// The Secret of the PCP user holds the new password, and the one before under `password.prev`.
        UpdateCredential,
        /// cert-manager was asked for every certificate anew.
        IssueCertificates,
        /// Every certificate is issued as asked, and fits.
        CertificateSynced,
        /// Every pod was replaced where the change needs it, and all are ready.
        RestartPods,
        /// Every pod has the resources that were asked for. Pods were replaced only where they could not be resized.
        ResizePods,
        /// The new settings are in force in every pod. Pods were replaced only if a setting needs that.
        ConfigurationApplied,
        /// As many pods are there and ready as were asked for.
        HorizontalScale,
        /// The file by which pgpool knows the PCP user holds the new password.
        ControlPortSynced,
        /// The request waits or is at work; the reason and the message say for what. Absent when it is over.
        Reconciling,
        /// The request was given up, and nothing goes on by itself. Only together with `Failed`.
        Stalled,
        /// Everything that the request asked for is done.
        Successful,
        /// The request was given up; the reason and the message say why.
        Failed,
        /// A later request of the same type made this one needless before it started.
        Skipped,
    }
}

words! {
    /// Why a `PgpoolOpsRequest` waits, or was given up.
    pub enum OpsReason {
        /// Another request for the same Pgpool comes first.
        Queued,
        /// There is no Pgpool of the name in `spec.databaseRef`.
        PgpoolNotFound,
        /// `spec.apply` asks for a Pgpool that is `Ready`, and it is not.
        PgpoolNotReady,
        /// A step is being carried out.
        Progressing,
        /// The provisioner is at work on the Pgpool; the message passes on what it waits for.
        WaitingForPgpool,
        /// Certificates are being issued, or not served by every pod yet.
        WaitingForCertificates,
        /// The provisioner has not written the new password for pgpool yet.
        WaitingForControlPort,
        /// The step took longer than `spec.timeout`.
        TimedOut,
        /// The API server rejects the change of the Pgpool, because of a rule, a policy or missing permissions.
        ChangeRejected,
        /// The provisioner cannot carry the change out before somebody changes something.
        PgpoolStalled,
        /// The target is not in the catalogue.
        VersionNotFound,
        /// The catalogue does not allow an update from the present version to the target.
        VersionNotAllowed,
        /// A Secret that the request names does not exist.
        SecretNotFound,
        /// A Secret that the request names lacks what is needed of it.
        SecretInvalid,
        /// The Secret of the PCP user is managed by its owner alone.
        SecretExternallyManaged,
        /// The Pgpool has no certificates that could be rotated.
        NoCertificates,
        /// A certificate changed so often that requesting certificates is suspended.
        CircuitOpen,
        /// A later request of the same type.
        Superseded,
    }
}

words! {
    /// Status of a condition.
    pub enum Status {
        /// It holds.
        True,
        /// It does not hold.
        False,
        /// Nobody can tell at present.
        Unknown,
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// A condition with the time of its last transition: that of the previous one while the status is the
/// same, else `now`. Times in a status have whole seconds.
#[must_use]
pub fn condition(
    ty: ConditionType,
    status: impl Into<Status>,
    reason: Reason,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Timestamp,
    previous: &[Condition],
) -> Condition {
    let status = status.into().as_str();
    let since = find(previous, ty)
        .filter(|old| old.status == status)
        .map(|old| old.last_transition_time.clone());
    Condition {
        type_: ty.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.as_str().to_owned(),
        message: message.into(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| Time(whole_seconds(now))),
    }
}

/// The condition of a type.
#[must_use]
pub fn find(conditions: &[Condition], ty: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == ty.as_str())
}

/// The condition is there and holds.
#[must_use]
pub fn is_true(conditions: &[Condition], ty: ConditionType) -> bool {
    find(conditions, ty).is_some_and(|condition| condition.status == Status::True.as_str())
}

/// The condition is there and does not hold; unknown does not count.
#[must_use]
pub fn is_false(conditions: &[Condition], ty: ConditionType) -> bool {
    find(conditions, ty).is_some_and(|condition| condition.status == Status::False.as_str())
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    // The API server stores whole seconds: anything finer would differ after the first read.
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
