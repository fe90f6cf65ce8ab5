//! Certificate verdicts as both operators use them, and their conversion to and from the messages of
//! `VerdictService`. Pure.
//!
//! Encoding cannot fail. Decoding names the field that is missing or unreadable; a reason or an event that only a later
//! version knows is no error.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use shared_types::Alias;
use shared_types::conditions::Reason;
use shared_types::pgpool::CertificateStatus;
use tls_bundle::Fingerprint;

use crate::v1;
use crate::v1::watch_verdicts_response::Event as Message;

/// Names one Pgpool object. The UID distinguishes it from an earlier object of the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PgpoolId {
    pub namespace: String,
    pub name: String,
    /// Empty only in [`Event::Removed`] from a sender that does not know it.
    pub uid: String,
}

/// The result of verifying all certificates of a Pgpool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub pgpool: PgpoolId,
    /// `metadata.generation` of the spec that the certificates were verified against: another spec may need other names.
    pub generation: i64,
    /// Every certificate exists and fits.
    pub ready: bool,
    /// The reason of condition `CertificatesReady`; `None` when this version does not know it.
    pub reason: Option<Reason>,
    /// The message of condition `CertificatesReady`.
    pub message: String,
    /// In the order of [`Alias::ALL`].
    pub certificates: Vec<CertificateVerdict>,
}

/// The result of verifying one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateVerdict {
    pub alias: Alias,
    pub secret_name: String,
    /// The certificate exists and fits.
    pub ready: bool,
    /// `None` when this version does not know the reason.
    pub reason: Option<Reason>,
    /// One sentence, which does not repeat the name of the Secret.
    pub message: String,
    /// The leaf certificate that was verified; `None` when none could be read.
    pub fingerprint: Option<Fingerprint>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
}

impl CertificateVerdict {
    /// Reads back what ops-manager wrote to `status.certificates` of a Pgpool. An unreadable fingerprint counts as none.
    #[must_use]
    pub fn of_status(status: &CertificateStatus) -> Self {
        let fingerprint = status.fingerprint.as_deref();
        Self {
            alias: status.alias,
            secret_name: status.secret_name.clone().unwrap_or_default(),
            ready: status.ready,
            reason: status.reason.as_deref().and_then(Reason::from_word),
            message: status.message.clone().unwrap_or_default(),
            fingerprint: fingerprint.and_then(|text| text.parse().ok()),
            not_before: status.not_before.as_ref().map(|time| time.0),
            not_after: status.not_after.as_ref().map(|time| time.0),
        }
    }

    /// The same as an entry of `status.certificates`, without counted changes.
    #[must_use]
    pub fn to_status(&self) -> CertificateStatus {
        CertificateStatus {
            alias: self.alias,
            secret_name: Some(self.secret_name.clone()),
            fingerprint: self.fingerprint.map(|fingerprint| fingerprint.to_string()),
            not_before: self.not_before.map(Time),
            not_after: self.not_after.map(Time),
            ready: self.ready,
            reason: self.reason.map(|reason| reason.to_string()),
            message: Some(self.message.clone()).filter(|message| !message.is_empty()),
            changes: None,
        }
    }
}

/// One message of the verdict stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A verdict that is new, or differs from the one sent before.
    Verdict(Arc<Verdict>),
    /// The Pgpool was deleted, or no longer uses TLS.
    Removed(PgpoolId),
    /// Everything that was known when the stream began has been sent.
    Synced,
    /// Something that only a later version sends.
    Unknown,
}

/// Why a message cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("field {0} is missing")]
    Missing(&'static str),
    #[error("there is no certificate called {0:?}")]
    UnknownAlias(String),
    #[error("the fingerprint of the {alias} certificate: {source}")]
    Fingerprint {
        alias: Alias,
        source: tls_bundle::NotAFingerprint,
    },
    #[error("field {0} is not a time")]
    Time(&'static str),
}

impl From<&PgpoolId> for v1::PgpoolRef {
    fn from(id: &PgpoolId) -> Self {
        Self {
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            uid: id.uid.clone(),
        }
    }
}

impl TryFrom<v1::PgpoolRef> for PgpoolId {
    type Error = Malformed;

    fn try_from(message: v1::PgpoolRef) -> Result<Self, Malformed> {
        let v1::PgpoolRef { namespace, name, uid } = message;
        if namespace.is_empty() {
            return Err(Malformed::Missing("pgpool.namespace"));
        }
        if name.is_empty() {
            return Err(Malformed::Missing("pgpool.name"));
        }
        Ok(Self { namespace, name, uid })
    }
}

impl From<&CertificateVerdict> for v1::CertificateVerdict {
    fn from(verdict: &CertificateVerdict) -> Self {
        Self {
            alias: verdict.alias.to_string(),
            secret_name: verdict.secret_name.clone(),
            fingerprint: verdict
                .fingerprint
                .map(|fingerprint| fingerprint.to_string())
                .unwrap_or_default(),
            ready: verdict.ready,
            reason: encode_reason(verdict.reason),
            message: verdict.message.clone(),
            not_before: verdict.not_before.map(encode_time),
            not_after: verdict.not_after.map(encode_time),
        }
    }
}

impl TryFrom<v1::CertificateVerdict> for CertificateVerdict {
    type Error = Malformed;

    fn try_from(message: v1::CertificateVerdict) -> Result<Self, Malformed> {
        let alias = Alias::ALL
            .into_iter()
            .find(|alias| alias.as_str() == message.alias)
            .ok_or(Malformed::UnknownAlias(message.alias))?;
        let fingerprint = match message.fingerprint.as_str() {
            "" => None,
            text => {
                let parsed = text.parse::<Fingerprint>();
                Some(parsed.map_err(|source| Malformed::Fingerprint { alias, source })?)
            }
        };
        Ok(Self {
            alias,
            secret_name: message.secret_name,
            ready: message.ready,
            reason: Reason::from_word(&message.reason),
            message: message.message,
            fingerprint,
            not_before: decode_time("not_before", message.not_before)?,
            not_after: decode_time("not_after", message.not_after)?,
        })
    }
}

impl From<&Verdict> for v1::Verdict {
    fn from(verdict: &Verdict) -> Self {
        Self {
            pgpool: Some((&verdict.pgpool).into()),
            generation: verdict.generation,
            ready: verdict.ready,
            reason: encode_reason(verdict.reason),
            message: verdict.message.clone(),
            certificates: verdict.certificates.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Verdict> for Verdict {
    type Error = Malformed;

    fn try_from(message: v1::Verdict) -> Result<Self, Malformed> {
        let pgpool = PgpoolId::try_from(message.pgpool.ok_or(Malformed::Missing("pgpool"))?)?;
        // Without it the verdict might be about an earlier Pgpool of the same name.
        if pgpool.uid.is_empty() {
            return Err(Malformed::Missing("pgpool.uid"));
        }
        let certificates = message.certificates.into_iter().map(TryInto::try_into);
        Ok(Self {
            pgpool,
            generation: message.generation,
            ready: message.ready,
            reason: Reason::from_word(&message.reason),
            message: message.message,
            certificates: certificates.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Event> for v1::WatchVerdictsResponse {
    fn from(event: &Event) -> Self {
        let event = match event {
            Event::Verdict(verdict) => Some(Message::Verdict(verdict.as_ref().into())),
            Event::Removed(id) => Some(Message::Removed(id.into())),
            Event::Synced => Some(Message::Synced(v1::Synced {})),
            Event::Unknown => None,
        };
        Self { event }
    }
}

impl TryFrom<v1::WatchVerdictsResponse> for Event {
    type Error = Malformed;

    fn try_from(message: v1::WatchVerdictsResponse) -> Result<Self, Malformed> {
        Ok(match message.event {
            Some(Message::Verdict(verdict)) => Self::Verdict(Arc::new(verdict.try_into()?)),
            Some(Message::Removed(id)) => Self::Removed(id.try_into()?),
            Some(Message::Synced(v1::Synced {})) => Self::Synced,
            None => Self::Unknown,
        })
    }
}

fn encode_reason(reason: Option<Reason>) -> String {
    reason.map(|reason| reason.to_string()).unwrap_or_default()
}

/// Also used for the messages of `FlowService`.
#[must_use]
pub fn encode_time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

fn decode_time(
    field: &'static str,
    time: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Malformed> {
    let Some(time) = time else {
        return Ok(None);
    };
    let decoded = Timestamp::new(time.seconds, time.nanos);
    decoded.map(Some).map_err(|_| Malformed::Time(field))
}

#[cfg(test)]
mod tests;
