//! Verdicts that follow from the documentation of pgpool and libpq, one by one.

use shared_types::SslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};

use super::super::pools::{Mode, VERSION};
use super::*;
use crate::matrix::cells::Certificate as C;
use crate::matrix::cells::Password as P;

fn pool(ssl: Option<SslMode>, auth: ClientAuthMode, backend: Backend) -> Combination {
    Combination {
        mode: Mode { tls: true, ssl },
        auth,
        backend,
        version: VERSION,
    }
}

fn refused(refusals: &[Refusal]) -> Verdict {
    Verdict::Refused(refusals.to_vec())
}

const TLS: Verdict = Verdict::Allowed { encrypted: true };
const CLEAR: Verdict = Verdict::Allowed { encrypted: false };

#[test]
fn tls_is_asked_for_offered_or_absent() {
    let rows = [
        (Some(Disable), [CLEAR, CLEAR, refused(&[Refusal::NoTls])]),
        (Some(Allow), [CLEAR, TLS, TLS]),
        (Some(Prefer), [CLEAR, TLS, TLS]),
        (Some(Require), [refused(&[Refusal::NoEntry]), TLS, TLS]),
        (Some(VerifyCa), [refused(&[Refusal::NoEntry]), TLS, TLS]),
        (Some(VerifyFull), [refused(&[Refusal::NoEntry]), TLS, TLS]),
        (None, [refused(&[Refusal::NoEntry]), TLS, TLS]),
    ];
    for (ssl, expected) in rows {
        for auth in [ClientAuthMode::Md5, ClientAuthMode::Scram] {
            for backend in Backend::ALL {
                let clients = [Client::Disable, Client::Prefer, Client::VerifyFull];
                let found = clients
                    .map(|client| verdict(&pool(ssl, auth, backend), Cell::new(client, P::Right, C::None)));
                assert_eq!(found, expected, "{ssl:?} {auth:?} {backend:?}");
            }
        }
    }
}

#[test]
fn without_certificates_there_is_no_tls() {
    for ssl in [None, Some(Disable)] {
        let bare = Combination {
            mode: Mode { tls: false, ssl },
            ..pool(ssl, ClientAuthMode::Md5, Backend::Plain)
        };
        let require = Cell::new(Client::Require, P::Right, C::None);
        assert_eq!(verdict(&bare, require), refused(&[Refusal::NoTls]));
        let disable = Cell::new(Client::Disable, P::Wrong, C::None);
        assert_eq!(verdict(&bare, disable), refused(&[Refusal::WrongPassword]));
    }
}

#[test]
fn prefer_tells_of_both_attempts() {
    let rows = [
        (
            pool(Some(Require), ClientAuthMode::Md5, Backend::Plain),
            Cell::new(Client::Prefer, P::Wrong, C::None),
            refused(&[Refusal::WrongPassword, Refusal::NoEntry]),
        ),
        (
            pool(Some(Prefer), ClientAuthMode::Scram, Backend::Plain),
            Cell::new(Client::Prefer, P::Wrong, C::None),
            refused(&[Refusal::WrongPassword, Refusal::WrongPassword]),
        ),
        (
            pool(Some(Allow), ClientAuthMode::Cert, Backend::Plain),
            Cell::new(Client::Prefer, P::Right, C::None),
            refused(&[Refusal::NoCertificate, Refusal::NoEntry]),
        ),
        (
            pool(Some(Allow), ClientAuthMode::Md5, Backend::Known),
            Cell::new(Client::Prefer, P::Right, C::Foreign),
            refused(&[Refusal::UnknownCa]),
        ),
    ];
    for (pool, cell, expected) in rows {
        assert_eq!(verdict(&pool, cell), expected, "{pool} {cell:?}");
    }
}

#[test]
fn certificates_count_where_pgpool_asks_for_them() {
    use Backend::{Known, Plain};
    use ClientAuthMode::{Cert, Scram};
    let no = |refusal| refused(&[refusal]);
    let rows = [
        // In md5 and scram mode a certificate is neither needed nor enough, but a bad one is refused where there is
        // a store of CAs.
        (Scram, Plain, P::Right, C::Foreign, TLS),
        (Scram, Plain, P::Right, C::ServerOnly, TLS),
        (Scram, Plain, P::Wrong, C::Right, no(Refusal::WrongPassword)),
        (Scram, Known, P::Right, C::Foreign, no(Refusal::UnknownCa)),
        (Scram, Known, P::Right, C::WrongName, TLS),
        (Scram, Known, P::Right, C::OfBackend, TLS),
        (
            Scram,
            Known,
            P::Right,
            C::ServerOnly,
            no(Refusal::UnsupportedCertificate),
        ),
        // In cert mode no password is required.
        (Cert, Plain, P::Wrong, C::Right, TLS),
        (Cert, Plain, P::Right, C::None, no(Refusal::NoCertificate)),
        (Cert, Plain, P::Right, C::WrongName, no(Refusal::NoCertificate)),
        (Cert, Plain, P::Right, C::OtherCase, TLS),
        (Cert, Plain, P::Right, C::Foreign, no(Refusal::UnknownCa)),
        (Cert, Plain, P::Right, C::OfBackend, no(Refusal::UnknownCa)),
        // One store for both sides.
        (Cert, Known, P::Wrong, C::OfBackend, TLS),
    ];
    for (auth, backend, password, certificate, expected) in rows {
        let cell = Cell::new(Client::VerifyFull, password, certificate);
        let found = verdict(&pool(Some(VerifyFull), auth, backend), cell);
        assert_eq!(found, expected, "{auth:?} {backend:?} {cell:?}");
    }
}

#[test]
fn clients_verify_the_server_as_requested() {
    let pool = pool(Some(Require), ClientAuthMode::Scram, Backend::Plain);
    let rows = [
        (
            Client::VerifyCa,
            Expects::OtherCa,
            refused(&[Refusal::UntrustedServer]),
        ),
        (Client::VerifyCa, Expects::OtherName, TLS),
        (
            Client::VerifyFull,
            Expects::OtherName,
            refused(&[Refusal::OtherName]),
        ),
        (Client::Require, Expects::OtherCa, TLS),
        (
            Client::Require,
            Expects::ChannelBinding,
            refused(&[Refusal::NoChannelBinding]),
        ),
    ];
    for (client, expects, expected) in rows {
        let cell = Cell {
            expects,
            ..Cell::new(client, P::Right, C::None)
        };
        assert_eq!(verdict(&pool, cell), expected, "{cell:?}");
    }
}

#[test]
fn being_inside_proves_nothing() {
    let pool = pool(Some(Prefer), ClientAuthMode::Md5, Backend::Plain);
    let inside = |from, password| Cell {
        from,
        ..Cell::new(Client::Disable, password, C::None)
    };
    let rows = [
        (From::Loopback, P::Right, CLEAR),
        (From::Loopback, P::Wrong, refused(&[Refusal::WrongPassword])),
        (From::Loopback, P::None, refused(&[Refusal::NoPassword])),
        (From::Socket, P::Right, refused(&[Refusal::NoEntry])),
    ];
    for (from, password, expected) in rows {
        assert_eq!(verdict(&pool, inside(from, password)), expected);
    }
}

#[test]
fn a_store_without_the_authority_of_postgresql_keeps_everybody_out() {
    let rows = [
        (ClientAuthMode::Md5, Backend::Unknown, true),
        (ClientAuthMode::Cert, Backend::Unknown, false),
        (ClientAuthMode::Cert, Backend::Known, true),
        (ClientAuthMode::Cert, Backend::Plain, true),
    ];
    for (auth, backend, expected) in rows {
        let pool = pool(Some(Require), auth, backend);
        assert_eq!(reaches_backend(&pool), expected, "{pool}");
    }
    let lost = pool(Some(Allow), ClientAuthMode::Cert, Backend::Unknown);
    let right = Cell::new(Client::Require, P::Right, C::Right);
    assert_eq!(verdict(&lost, right), refused(&[Refusal::UntrustedBackend]));
    assert_eq!(
        verdict(
            &lost,
            Cell {
                client: Client::Prefer,
                ..right
            }
        ),
        refused(&[Refusal::UntrustedBackend, Refusal::NoEntry])
    );
}
