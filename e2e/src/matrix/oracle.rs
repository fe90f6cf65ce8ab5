//! What must come of a cell, by the rules of pgpool and libpq. Pure, and written from these rules: nothing here may
//! be changed to fit what was seen, unless a rule was misread.
//!
//! The rules, with pgpool's sources and documentation (4.3 to 4.7) and libpq's (15) behind them:
//! * The first line of `pool_hba.conf` that fits decides; without one the client is refused. `hostssl` fits TLS only,
//!   `host` both, neither fits a Unix socket.
//! * pgpool requests a certificate from clients when it has a store of CAs, and then rejects in the handshake one
//!   that the store does not vouch for or that is not for clients. It never insists on one: that is what the method
//!   `cert` does, which compares the common name with the user, ignoring case.
//! * The store is one for clients and PostgreSQL. It is there when clients log in by certificate, or when the
//!   `AppBinding` names PostgreSQL's CA.
//! * libpq tries `prefer` over TLS first. When the server answers with an error there, it tries once more in clear;
//!   an alert of TLS 1.3 is no such answer, as it comes after the handshake of the client.
//! * pgpool offers no channel binding.

use std::fmt;

use shared_types::{ClientAuthMode, SslMode};

use super::cells::{Cell, Certificate, Client, Expects, From, Password};
use super::pools::{Backend, Combination};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoEntry,
    WrongPassword,
    NoPassword,
    NoCertificate,
    UnknownCa,
    UnsupportedCertificate,
    NoTls,
    UntrustedServer,
    OtherName,
    NoChannelBinding,
    UntrustedBackend,
}

impl Refusal {
    /// All of them, each with a word for the table and a sentence for the legend.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 11] = [
        (
            Self::NoEntry,
            "no entry",
            "no line of pool_hba.conf fits the connection",
        ),
        (
            Self::WrongPassword,
            "bad pw",
            "the password is not that of the role",
        ),
        (
            Self::NoPassword,
            "no pw",
            "a password is required, and the client has none",
        ),
        (
            Self::NoCertificate,
            "no cert",
            "the client shows no certificate, or one that names another user",
        ),
        (
            Self::UnknownCa,
            "unknown CA",
            "the pool does not know the CA of the client's certificate",
        ),
        (
            Self::UnsupportedCertificate,
            "cert usage",
            "the client's certificate is not for clients",
        ),
        (
            Self::NoTls,
            "no TLS",
            "the pool has no TLS, and the client insists on it",
        ),
        (
            Self::UntrustedServer,
            "untrusted",
            "the client does not know the CA of the pool's certificate",
        ),
        (
            Self::OtherName,
            "other name",
            "the pool's certificate does not have the name that the client expects",
        ),
        (
            Self::NoChannelBinding,
            "no binding",
            "the client insists on channel binding, which pgpool does not offer",
        ),
        (
            Self::UntrustedBackend,
            "backend CA",
            "pgpool does not know the CA of PostgreSQL's certificate",
        ),
    ];

    pub(crate) fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(refusal, ..)| *refusal == self);
        found.map_or("", |(_, word, _)| word)
    }

    /// The server answers in the PostgreSQL protocol; it is neither an alert of TLS nor a decision of the client.
    fn answered(self) -> bool {
        matches!(
            self,
            Self::NoEntry | Self::WrongPassword | Self::NoCertificate | Self::UntrustedBackend
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The client gets in.
    Allowed { encrypted: bool },
    /// The client is refused, for the reason of each attempt that libpq makes.
    Refused(Vec<Refusal>),
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed { encrypted: true } => formatter.write_str("TLS"),
            Self::Allowed { encrypted: false } => formatter.write_str("clear"),
            Self::Refused(refusals) => {
                let words: Vec<_> = refusals.iter().map(|refusal| refusal.word()).collect();
                write!(formatter, "- {}", words.join(", "))
            }
        }
    }
}

pub(crate) fn verdict(pool: &Combination, cell: Cell) -> Verdict {
    let refused = |refusal| Verdict::Refused(vec![refusal]);
    if cell.from == From::Socket {
        return refused(Refusal::NoEntry);
    }
    let only = |outcome: Result<(), Refusal>, encrypted| match outcome {
        Ok(()) => Verdict::Allowed { encrypted },
        Err(refusal) => refused(refusal),
    };
    let serves_tls = pool.mode.effective().enabled();
    match cell.client {
        Client::Disable => only(in_clear(pool, cell), false),
        Client::Prefer if !serves_tls => only(in_clear(pool, cell), false),
        Client::Prefer => match over_tls(pool, cell) {
            Err(first) if first.answered() => match in_clear(pool, cell) {
                Ok(()) => Verdict::Allowed { encrypted: false },
                Err(second) => Verdict::Refused(vec![first, second]),
            },
            outcome => only(outcome, true),
        },
        Client::Require | Client::VerifyCa | Client::VerifyFull if !serves_tls => refused(Refusal::NoTls),
        Client::Require | Client::VerifyCa | Client::VerifyFull => only(over_tls(pool, cell), true),
    }
}

/// Whether the connection from pgpool to PostgreSQL is encrypted, once a client has logged in.
pub(crate) fn backend_encrypted(pool: &Combination) -> bool {
    pool.backend != Backend::Plain
}

/// Whether pgpool accepts PostgreSQL: with a store of CAs it verifies it against that.
pub(crate) fn reaches_backend(pool: &Combination) -> bool {
    pool.backend != Backend::Unknown || !asks_for_certificates(pool)
}

fn asks_for_certificates(pool: &Combination) -> bool {
    pool.auth == ClientAuthMode::Cert || pool.backend == Backend::Known
}

fn in_clear(pool: &Combination, cell: Cell) -> Result<(), Refusal> {
    let tls_only = pool.auth == ClientAuthMode::Cert
        || matches!(
            pool.mode.effective(),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull
        );
    if tls_only {
        return Err(Refusal::NoEntry);
    }
    authenticated(pool, cell)
}

fn over_tls(pool: &Combination, cell: Cell) -> Result<(), Refusal> {
    match (cell.client, cell.expects) {
        (Client::VerifyCa | Client::VerifyFull, Expects::OtherCa) => {
            return Err(Refusal::UntrustedServer);
        }
        (Client::VerifyFull, Expects::OtherName) => return Err(Refusal::OtherName),
        _ => {}
    }
    if asks_for_certificates(pool) {
        match cell.certificate {
            Certificate::Foreign => return Err(Refusal::UnknownCa),
            Certificate::OfBackend if pool.backend != Backend::Known => {
                return Err(Refusal::UnknownCa);
            }
            Certificate::ServerOnly => return Err(Refusal::UnsupportedCertificate),
            _ => {}
        }
    }
    authenticated(pool, cell)
}

fn authenticated(pool: &Combination, cell: Cell) -> Result<(), Refusal> {
    let binding = cell.expects == Expects::ChannelBinding;
    match pool.auth {
        // The client sees what the server requires before it would answer.
        ClientAuthMode::Md5 | ClientAuthMode::Scram if binding => return Err(Refusal::NoChannelBinding),
        ClientAuthMode::Md5 | ClientAuthMode::Scram => match cell.password {
            Password::Right => {}
            Password::Wrong => return Err(Refusal::WrongPassword),
            Password::None => return Err(Refusal::NoPassword),
        },
        ClientAuthMode::Cert => match cell.certificate {
            Certificate::None | Certificate::WrongName => return Err(Refusal::NoCertificate),
            _ if !reaches_backend(pool) => return Err(Refusal::UntrustedBackend),
            _ if binding => return Err(Refusal::NoChannelBinding),
            _ => {}
        },
    }
    if reaches_backend(pool) {
        Ok(())
    } else {
        Err(Refusal::UntrustedBackend)
    }
}

#[cfg(test)]
mod tests;
