//! Turns messages of the channel into verdicts. Total and pure: what is missing or malformed is refused by name.

use kube::runtime::reflector::ObjectRef;
use proto::v1;
use shared_types::{Alias, Pgpool};
use tls_bundle::Fingerprint;

use super::{CertificateVerdict, Verdict};

#[cfg(test)]
mod tests;

/// Why a message cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that says what the message is about is not set.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// No such certificate is known to this version.
    #[error("there is no certificate called {0:?}")]
    UnknownAlias(String),
    /// The fingerprint is none.
    #[error("the fingerprint of the {} certificate: {source}", alias.as_str())]
    Fingerprint {
        /// Whose.
        alias: Alias,
        /// What is wrong with it.
        source: tls_bundle::NotAFingerprint,
    },
}

/// What happened, in our own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A verdict is new or has changed.
    Verdict(ObjectRef<Pgpool>, Verdict),
    /// There is no verdict on this `Pgpool` any more.
    Removed(ObjectRef<Pgpool>),
    /// All that was known when the stream began has been said.
    Synced,
    /// Something that a later version has to say.
    Unknown,
}

/// Reads one message of the stream.
///
/// # Errors
/// [`Malformed`] names the field that is missing or unreadable.
pub fn event(message: v1::WatchVerdictsResponse) -> Result<Event, Malformed> {
    use v1::watch_verdicts_response::Event as Wire;
    match message.event {
        Some(Wire::Verdict(verdict)) => {
            let about = verdict.pgpool.ok_or(Malformed::Missing("pgpool"))?;
            let key = reference(&about)?;
            if about.uid.is_empty() {
                return Err(Malformed::Missing("pgpool.uid"));
            }
            let certificates = verdict
                .certificates
                .into_iter()
                .map(certificate)
                .collect::<Result<_, _>>()?;
            Ok(Event::Verdict(
                key,
                Verdict {
                    uid: about.uid,
                    generation: verdict.generation,
                    certificates,
                },
            ))
        }
        Some(Wire::Removed(about)) => Ok(Event::Removed(reference(&about)?)),
        Some(Wire::Synced(v1::Synced {})) => Ok(Event::Synced),
        None => Ok(Event::Unknown),
    }
}

fn reference(about: &v1::PgpoolRef) -> Result<ObjectRef<Pgpool>, Malformed> {
    match (about.namespace.as_str(), about.name.as_str()) {
        ("", _) => Err(Malformed::Missing("pgpool.namespace")),
        (_, "") => Err(Malformed::Missing("pgpool.name")),
        (namespace, name) => Ok(ObjectRef::new(name).within(namespace)),
    }
}

fn certificate(wire: v1::CertificateVerdict) -> Result<CertificateVerdict, Malformed> {
    let alias = Alias::ALL
        .into_iter()
        .find(|alias| alias.as_str() == wire.alias)
        .ok_or(Malformed::UnknownAlias(wire.alias))?;
    let fingerprint = match wire.fingerprint.as_str() {
        "" => None,
        text => Some(
            text.parse::<Fingerprint>()
                .map_err(|source| Malformed::Fingerprint { alias, source })?,
        ),
    };
    Ok(CertificateVerdict {
        alias,
        fingerprint,
        ready: wire.ready,
        message: wire.message,
    })
}
