//! The conditions of a Pgpool and of a `PgpoolOpsRequest`: their types and reasons, and how they change.
//!
//! The transition time of a condition changes only with its status. Time is an argument.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{limits, text};

/// An enum whose values are written as the names of its variants, with their documentation.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[doc = $doc:literal])* $word:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $doc])* $word,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// The value in a status.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => stringify!($word),)* }
            }

            /// The documentation of the value.
            #[must_use]
            pub fn meaning(self) -> String {
                let text = match self { $(Self::$word => concat!($($doc, "\n"),*),)* };
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            }

            /// Parses a value in a status.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

// After the macro, which they use.
mod ops;
mod reason;

pub use ops::{OpsCondition, OpsReason};
pub use reason::Reason;

/// Longest message that the schema of a condition admits, as in `metav1.Condition`. Ours are shorter: see [`cut`].
pub const LONGEST_MESSAGE: usize = 32_768;

words! {
    /// What a condition is about, in the order in which a Pgpool usually gets them.
    pub enum ConditionType {
        /// The provisioner has observed the Pgpool.
        ProvisioningStarted,
        /// All pods are ready.
        ReplicaReady,
        /// The provisioner can log in through the pool.
        AcceptingConnection,
        /// The pool accepts connections, and all pods are ready.
        Ready,
        /// The pool has been ready at least once. Never reverts.
        Provisioned,
        /// The provisioner is applying the current spec. Absent or `False` when there is nothing left to do.
        Reconciling,
        /// The provisioner cannot continue until someone fixes what the message names.
        Stalled,
        /// Some users are missing in the pool, or differ from their Secrets; the message names them. Absent when all
        /// are complete.
        UsersIncomplete,
        /// A policy that the Pgpool relies on is missing, so that nobody prevents a deletion or checks rights; the message
        /// names it. Absent when every policy is in force.
        Unprotected,
        /// Every certificate is issued and valid.
        CertificatesReady,
        /// Clients log in by certificate, and others can get such certificates too; the message says from whom. Absent
        /// otherwise, and if the annotation `pgpool.kubedb.com/shared-client-issuer` accepts it.
        ClientIssuerShared,
        /// The objects that Prometheus needs exist as `spec.monitor` says. Only present with `spec.monitor`.
        Monitored,
        /// An operation is running, and the provisioner makes no changes.
        Paused,
        /// A renewed certificate is not rolled out yet; the message says what it waits for. `False` if it is rolled out
        /// although it should wait, or if a maintenance window cannot be parsed. Absent otherwise.
        RotationHeld,
        /// The scripts of `spec.init` have completed. Absent if there are none. Does not affect readiness.
        Initialized,
    }
}

words! {
    /// Status of a condition.
    pub enum Status {
        /// The condition holds.
        True,
        /// The condition does not hold.
        False,
        /// Not known right now.
        Unknown,
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// A condition. Its transition time is that of the previous one if the status is the same, else `now`, in whole seconds.
/// A message that is too long for the schema is cut.
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
        message: cut(message.into()),
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| Time(whole_seconds(now))),
    }
}

/// The condition of a type.
#[must_use]
pub fn find(conditions: &[Condition], ty: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == ty.as_str())
}

/// Whether the condition is present and holds.
#[must_use]
pub fn is_true(conditions: &[Condition], ty: ConditionType) -> bool {
    find(conditions, ty).is_some_and(|condition| condition.status == Status::True.as_str())
}

/// Whether the condition is present and does not hold. `Unknown` does not count.
#[must_use]
pub fn is_false(conditions: &[Condition], ty: ConditionType) -> bool {
    find(conditions, ty).is_some_and(|condition| condition.status == Status::False.as_str())
}

/// The message, cut to [`limits::MESSAGE_BYTES`]: a status with the most and longest messages must fit into an object.
#[must_use]
pub fn cut(message: String) -> String {
    text::within_bytes(text::one_line(message), limits::MESSAGE_BYTES)
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    // The API server stores whole seconds: anything finer would differ after the first read.
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
