use super::*;

const FINGERPRINT: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn certificate(alias: Alias) -> CertificateVerdict {
    CertificateVerdict {
        alias,
        secret_name: format!("pool-{alias}-cert"),
        ready: true,
        reason: Some(Reason::CertificatesIssued),
        message: "fits".into(),
        fingerprint: Some(FINGERPRINT.parse().unwrap()),
        not_before: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        not_after: Some("2026-12-31T23:59:59.5Z".parse().unwrap()),
    }
}

fn id() -> PgpoolId {
    PgpoolId {
        namespace: "demo".into(),
        name: "pool".into(),
        uid: "u".into(),
    }
}

fn verdict() -> Verdict {
    Verdict {
        pgpool: id(),
        generation: 4,
        ready: false,
        reason: Some(Reason::Issuing),
        message: "cert-manager is issuing Certificate demo/pool-client-cert".into(),
        certificates: vec![
            certificate(Alias::Server),
            CertificateVerdict {
                ready: false,
                reason: Some(Reason::Issuing),
                fingerprint: None,
                not_before: None,
                not_after: None,
                ..certificate(Alias::Client)
            },
        ],
    }
}

fn decode(event: Message) -> Result<Event, Malformed> {
    v1::WatchVerdictsResponse { event: Some(event) }.try_into()
}

#[test]
fn every_event_survives_encoding_and_decoding() {
    for event in [
        Event::Verdict(Arc::new(verdict())),
        Event::Removed(id()),
        Event::Synced,
        Event::Unknown,
    ] {
        let message = v1::WatchVerdictsResponse::from(&event);
        assert_eq!(Event::try_from(message), Ok(event));
    }
}

#[test]
fn a_certificate_verdict_survives_the_status() {
    for certificate in verdict().certificates {
        assert_eq!(
            CertificateVerdict::of_status(&certificate.to_status()),
            certificate
        );
    }
}

#[test]
fn a_reason_of_a_later_version_costs_nothing_but_the_reason() {
    let mut message = v1::Verdict::from(&verdict());
    message.reason = "OfALaterVersion".into();
    let expected = Verdict {
        reason: None,
        ..verdict()
    };
    assert_eq!(Verdict::try_from(message), Ok(expected));
}

#[test]
fn a_malformed_message_names_the_field() {
    type Change = fn(&mut v1::Verdict);
    let error = |change: Change| {
        let mut message = v1::Verdict::from(&verdict());
        change(&mut message);
        decode(Message::Verdict(message)).unwrap_err()
    };
    let rows: [(Change, Malformed); 6] = [
        (|it| it.pgpool = None, Malformed::Missing("pgpool")),
        (
            |it| it.pgpool.as_mut().unwrap().namespace.clear(),
            Malformed::Missing("pgpool.namespace"),
        ),
        (
            |it| it.pgpool.as_mut().unwrap().name.clear(),
            Malformed::Missing("pgpool.name"),
        ),
        (
            |it| it.pgpool.as_mut().unwrap().uid.clear(),
            Malformed::Missing("pgpool.uid"),
        ),
        (
            |it| it.certificates[0].alias = "proxy".into(),
            Malformed::UnknownAlias("proxy".into()),
        ),
        (
            |it| it.certificates[0].not_after.as_mut().unwrap().nanos = -1_000_000_000,
            Malformed::Time("not_after"),
        ),
    ];
    for (change, expected) in rows {
        assert_eq!(error(change), expected);
    }
    assert!(matches!(
        error(|it| it.certificates[0].fingerprint = "ab".into()),
        Malformed::Fingerprint {
            alias: Alias::Server,
            ..
        }
    ));
}
