use proto::v1::watch_verdicts_response::Event as Wire;

use super::*;

const FINGERPRINT: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn about() -> v1::PgpoolRef {
    v1::PgpoolRef {
        namespace: "demo".to_owned(),
        name: "pool".to_owned(),
        uid: "u".to_owned(),
    }
}

fn said() -> v1::Verdict {
    v1::Verdict {
        pgpool: Some(about()),
        generation: 4,
        ready: true,
        certificates: vec![v1::CertificateVerdict {
            alias: "metrics-exporter".to_owned(),
            secret_name: "s".to_owned(),
            fingerprint: FINGERPRINT.to_owned(),
            ready: true,
            message: "fits".to_owned(),
            ..v1::CertificateVerdict::default()
        }],
        ..v1::Verdict::default()
    }
}

fn read(event: Wire) -> Result<Event, Malformed> {
    super::event(v1::WatchVerdictsResponse { event: Some(event) })
}

#[test]
fn reads_every_event() {
    let key = ObjectRef::new("pool").within("demo");
    let certificate = CertificateVerdict {
        alias: Alias::MetricsExporter,
        fingerprint: Some(FINGERPRINT.parse().unwrap()),
        ready: true,
        message: "fits".to_owned(),
    };
    let verdict = Verdict {
        uid: "u".to_owned(),
        generation: 4,
        certificates: vec![certificate],
    };
    assert_eq!(
        read(Wire::Verdict(said())),
        Ok(Event::Verdict(key.clone(), verdict))
    );
    assert_eq!(read(Wire::Removed(about())), Ok(Event::Removed(key)));
    assert_eq!(read(Wire::Synced(v1::Synced {})), Ok(Event::Synced));
    assert_eq!(
        event(v1::WatchVerdictsResponse { event: None }),
        Ok(Event::Unknown)
    );
}

#[test]
fn an_empty_fingerprint_is_none() {
    let mut said = said();
    said.certificates[0].fingerprint.clear();
    let Ok(Event::Verdict(_, verdict)) = read(Wire::Verdict(said)) else {
        panic!("not a verdict");
    };
    assert_eq!(verdict.certificates[0].fingerprint, None);
}

#[test]
fn names_what_is_malformed() {
    let with = |change: fn(&mut v1::Verdict)| {
        let mut said = said();
        change(&mut said);
        read(Wire::Verdict(said)).unwrap_err()
    };
    assert_eq!(with(|said| said.pgpool = None), Malformed::Missing("pgpool"));
    assert_eq!(
        with(|said| said.pgpool.as_mut().unwrap().namespace.clear()),
        Malformed::Missing("pgpool.namespace")
    );
    assert_eq!(
        with(|said| said.pgpool.as_mut().unwrap().name.clear()),
        Malformed::Missing("pgpool.name")
    );
    assert_eq!(
        with(|said| said.pgpool.as_mut().unwrap().uid.clear()),
        Malformed::Missing("pgpool.uid")
    );
    assert_eq!(
        with(|said| said.certificates[0].alias = "proxy".to_owned()),
        Malformed::UnknownAlias("proxy".to_owned())
    );
    assert!(matches!(
        with(|said| said.certificates[0].fingerprint = "ab".to_owned()),
        Malformed::Fingerprint {
            alias: Alias::MetricsExporter,
            ..
        }
    ));
}
