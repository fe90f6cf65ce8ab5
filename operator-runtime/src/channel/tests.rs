//! The channel on loopback, with certificates made on the spot.

use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::files::{TlsFiles, TlsFilesError};
use super::server::Channel;
use super::{client::ConnectError, connect};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The files of a server that accepts clients of the name `peer`.
fn files(directory: &Path) -> TlsFiles {
    TlsFiles::new(directory).accepting(&["peer".to_owned()]).unwrap()
}

/// Fills a directory as cert-manager's Secret would, for the name `peer`.
fn issue(directory: &Path, by: &Ca, trusts: &Ca) {
    issue_to(directory, "peer", by, trusts);
}

fn issue_to(directory: &Path, name: &str, by: &Ca, trusts: &Ca) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "peer");
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.signed_by(&key, by).unwrap();
    std::fs::write(directory.join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    std::fs::write(directory.join("ca.crt"), trusts.pem()).unwrap();
}

fn issued(by: &Ca, trusts: &Ca) -> TempDir {
    let directory = TempDir::new().unwrap();
    issue(directory.path(), by, trusts);
    directory
}

struct Served {
    url: String,
    drain: CancellationToken,
    ended: JoinHandle<Result<(), super::server::ServeError>>,
}

async fn serve(directory: &Path, max_connections: usize) -> Served {
    let drain = CancellationToken::new();
    let channel = Channel {
        files: files(directory),
        routes: Routes::default(),
        services: vec!["test.Service"],
        descriptors: tonic_health::pb::FILE_DESCRIPTOR_SET,
        max_streams: 10,
        max_connections,
        drain: drain.clone(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Served {
        url: format!("https://{}", listener.local_addr().unwrap()),
        drain,
        ended: tokio::spawn(channel.serve(listener)),
    }
}

async fn ask(url: &str, directory: &Path, name: &str) -> Result<ServingStatus, tonic::Status> {
    let channel = connect(url, TlsFiles::new(directory), name).unwrap();
    let request = HealthCheckRequest {
        service: "test.Service".to_owned(),
    };
    let answer =
        tokio::time::timeout(Duration::from_secs(5), HealthClient::new(channel).check(request)).await;
    answer
        .expect("an answer in time")
        .map(|answer| answer.into_inner().status())
}

#[tokio::test]
async fn both_sides_are_authenticated() {
    let ours = ca();
    let (server, client) = (issued(&ours, &ours), issued(&ours, &ours));
    let served = serve(server.path(), 10).await;
    assert_eq!(
        ask(&served.url, client.path(), "peer").await.unwrap(),
        ServingStatus::Serving
    );
}

#[tokio::test]
async fn a_foreign_client_a_foreign_server_and_another_name_are_refused() {
    let (ours, theirs) = (ca(), ca());
    let server = issued(&ours, &ours);
    let served = serve(server.path(), 10).await;
    // Trusts the server, but comes with a certificate of another ca.
    let foreign = issued(&theirs, &ours);
    assert!(ask(&served.url, foreign.path(), "peer").await.is_err());
    // Would be let in, but trusts another ca.
    let wary = issued(&ours, &theirs);
    assert!(ask(&served.url, wary.path(), "peer").await.is_err());
    let good = issued(&ours, &ours);
    assert!(ask(&served.url, good.path(), "somebody-else").await.is_err());
    assert!(ask(&served.url, good.path(), "peer").await.is_ok());
}

#[tokio::test]
async fn a_client_of_the_same_ca_with_another_name_is_refused() {
    let ours = ca();
    let server = issued(&ours, &ours);
    let served = serve(server.path(), 10).await;
    // The common name is `peer` in all of them, which does not count.
    for (name, accepted) in [
        ("peer", true),
        ("pool.tenant.svc", false),
        ("peer.tenant.svc", false),
    ] {
        let client = TempDir::new().unwrap();
        issue_to(client.path(), name, &ours, &ours);
        let answer = ask(&served.url, client.path(), "peer").await;
        assert_eq!(answer.is_ok(), accepted, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_server_without_names_accepts_nobody_and_names_must_be_names() {
    let ours = ca();
    let (server, client) = (issued(&ours, &ours), issued(&ours, &ours));
    let drain = CancellationToken::new();
    let channel = Channel {
        files: TlsFiles::new(server.path()),
        routes: Routes::default(),
        services: vec!["test.Service"],
        descriptors: tonic_health::pb::FILE_DESCRIPTOR_SET,
        max_streams: 10,
        max_connections: 10,
        drain,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(channel.serve(listener));
    assert!(ask(&url, client.path(), "peer").await.is_err());
    let invalid = TlsFiles::new("/nowhere").accepting(&["no name".to_owned()]);
    assert!(matches!(invalid, Err(TlsFilesError::ClientName { .. })));
}

/// Opens a connection from an address of this machine.
async fn connect_from(source: &str, server: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(server.parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn an_address_with_many_silent_connections_keeps_nobody_else_out() {
    let ours = ca();
    let (server, client) = (issued(&ours, &ours), issued(&ours, &ours));
    let served = serve(server.path(), 1).await;
    let address = served.url.trim_start_matches("https://").to_owned();
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(connect_from("127.0.0.2", &address).await);
    }
    let started = std::time::Instant::now();
    assert!(ask(&served.url, client.path(), "peer").await.is_ok());
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    // Connections beyond the share of an address end at once, and the others when their time is over.
    for mut stream in held {
        let ended = tokio::time::timeout(Duration::from_secs(8), stream.read_u8()).await;
        assert!(ended.expect("ends in time").is_err());
    }
}

#[tokio::test]
async fn plain_text_and_silent_clients_delay_no_other() {
    let ours = ca();
    let (server, client) = (issued(&ours, &ours), issued(&ours, &ours));
    let served = serve(server.path(), 10).await;
    let address = served.url.trim_start_matches("https://").to_owned();
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(TcpStream::connect(&address).await.unwrap());
    }
    assert!(ask(&served.url, client.path(), "peer").await.is_ok());
}

#[tokio::test]
async fn renewed_files_are_used_for_the_next_connection_on_both_sides() {
    let (old, new) = (ca(), ca());
    let (server, client) = (issued(&old, &old), issued(&old, &old));
    let served = serve(server.path(), 10).await;
    let lasting = connect(&served.url, TlsFiles::new(client.path()), "peer").unwrap();
    let request = || HealthCheckRequest {
        service: String::new(),
    };
    HealthClient::new(lasting.clone()).check(request()).await.unwrap();

    issue(server.path(), &new, &new);
    assert!(
        ask(&served.url, client.path(), "peer").await.is_err(),
        "the server is another now"
    );
    HealthClient::new(lasting.clone()).check(request()).await.unwrap();
    issue(client.path(), &new, &new);
    assert!(ask(&served.url, client.path(), "peer").await.is_ok());

    // A server that comes back at the same place is found again by the same channel.
    served.drain.cancel();
    served.ended.await.unwrap().unwrap();
    let address = served.url.trim_start_matches("https://").to_owned();
    assert!(HealthClient::new(lasting.clone()).check(request()).await.is_err());
    let drain = CancellationToken::new();
    let channel = Channel {
        files: files(server.path()),
        routes: Routes::default(),
        services: vec![],
        descriptors: tonic_health::pb::FILE_DESCRIPTOR_SET,
        max_streams: 10,
        max_connections: 10,
        drain,
    };
    tokio::spawn(channel.serve(TcpListener::bind(address).await.unwrap()));
    HealthClient::new(lasting).check(request()).await.unwrap();
}

#[tokio::test]
async fn damaged_files_leave_the_last_good_ones_in_use() {
    let ours = ca();
    let (server, client) = (issued(&ours, &ours), issued(&ours, &ours));
    let served = serve(server.path(), 10).await;
    assert!(ask(&served.url, client.path(), "peer").await.is_ok());
    let stranger = KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(server.path().join("tls.key"), stranger).unwrap();
    assert!(ask(&served.url, client.path(), "peer").await.is_ok());
    std::fs::remove_file(server.path().join("tls.crt")).unwrap();
    assert!(ask(&served.url, client.path(), "peer").await.is_ok());
    issue(server.path(), &ours, &ours);
    assert!(ask(&served.url, client.path(), "peer").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_channel_waits_for_its_files() {
    let ours = ca();
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("later");
    let channel = |drain| Channel {
        files: files(&directory),
        routes: Routes::default(),
        services: vec![],
        descriptors: &[],
        max_streams: 10,
        max_connections: 10,
        drain,
    };
    let (kept, drained) = (CancellationToken::new(), CancellationToken::new());
    let waiting = channel(kept);
    let waits = tokio::spawn(async move { waiting.files_exist().await });
    let leaving = channel(drained.clone());
    let leaves = tokio::spawn(async move { leaving.files_exist().await });
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(!waits.is_finished() && !leaves.is_finished());
    drained.cancel();
    assert!(!leaves.await.unwrap());
    std::fs::create_dir(&directory).unwrap();
    issue(&directory, &ours, &ours);
    let there = tokio::time::Instant::now();
    assert!(waits.await.unwrap());
    assert!(there.elapsed() <= Duration::from_secs(2));
}

#[tokio::test]
async fn a_drain_tells_health_watchers_and_ends_in_spite_of_open_streams() {
    let ours = ca();
    let (server, client) = (issued(&ours, &ours), issued(&ours, &ours));
    let served = serve(server.path(), 10).await;
    let channel = connect(&served.url, TlsFiles::new(client.path()), "peer").unwrap();
    let request = HealthCheckRequest {
        service: "test.Service".to_owned(),
    };
    let mut watched = HealthClient::new(channel)
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    let status =
        |message: Option<tonic_health::pb::HealthCheckResponse>| message.map(|answer| answer.status());
    assert_eq!(
        status(watched.message().await.unwrap()),
        Some(ServingStatus::Serving)
    );
    served.drain.cancel();
    assert_eq!(
        status(watched.message().await.unwrap()),
        Some(ServingStatus::NotServing)
    );
    let ended = tokio::time::timeout(Duration::from_secs(5), served.ended).await;
    ended.expect("ends in time").unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_one_to_end() {
    let ours = ca();
    let (server, client) = (issued(&ours, &ours), issued(&ours, &ours));
    let served = serve(server.path(), 1).await;
    let first = connect(&served.url, TlsFiles::new(client.path()), "peer").unwrap();
    let request = || HealthCheckRequest {
        service: String::new(),
    };
    HealthClient::new(first.clone()).check(request()).await.unwrap();
    let (url, directory) = (served.url.clone(), client.path().to_owned());
    let second = tokio::spawn(async move { ask(&url, &directory, "peer").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!second.is_finished());
    drop(first);
    assert!(second.await.unwrap().is_ok());
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let ours = ca();
    let (server, client) = (issued(&ours, &ours), issued(&ours, &ours));
    let served = serve(server.path(), 10).await;
    let channel = connect(&served.url, TlsFiles::new(client.path()), "peer").unwrap();
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}");
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
}

#[test]
fn files_say_what_is_wrong_with_them() {
    let ours = ca();
    let directory = issued(&ours, &ours);
    let broken = |file: &str, content: &str| {
        let copy = TempDir::new().unwrap();
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
        }
        std::fs::write(copy.path().join(file), content).unwrap();
        TlsFiles::new(copy.path()).server().unwrap_err()
    };
    let missing = TlsFiles::new("/nowhere").server().unwrap_err();
    assert!(
        missing.to_string().contains("/nowhere/tls.crt cannot be read"),
        "{missing}"
    );
    assert!(matches!(
        broken("ca.crt", ""),
        TlsFilesError::Empty { file: "ca.crt" }
    ));
    assert!(matches!(
        broken("tls.crt", "text"),
        TlsFilesError::Empty { file: "tls.crt" }
    ));
    assert!(matches!(
        broken("tls.key", ""),
        TlsFilesError::Pem { file: "tls.key", .. }
    ));
    let foreign = KeyPair::generate().unwrap().serialize_pem();
    assert!(matches!(broken("tls.key", &foreign), TlsFilesError::Tls(_)));
}

#[test]
fn a_volume_of_the_kubelet_is_read_through_its_link() {
    let ours = ca();
    let volume = TempDir::new().unwrap();
    let content = volume.path().join("..2026");
    std::fs::create_dir(&content).unwrap();
    issue(&content, &ours, &ours);
    std::os::unix::fs::symlink("..2026", volume.path().join("..data")).unwrap();
    // Without the links of the single files, only the way through ..data can succeed.
    assert!(TlsFiles::new(volume.path()).server().is_ok());
}

#[tokio::test]
async fn addresses_that_cannot_be_right_are_refused_at_once() {
    let files = || TlsFiles::new("/nowhere");
    for url in [
        "http://host:1",
        "https://host",
        "host:1",
        "",
        "https://",
        "https://host:99999",
    ] {
        assert!(
            matches!(connect(url, files(), "n"), Err(ConnectError::Address { .. })),
            "{url}"
        );
    }
    assert!(matches!(
        connect("https://h:1", files(), "no name"),
        Err(ConnectError::ServerName { .. })
    ));
    for url in [
        "https://host.ns.svc:8443",
        "https://127.0.0.1:1",
        "https://[::1]:1",
    ] {
        assert!(connect(url, files(), "n").is_ok(), "{url}");
    }
}

#[tokio::test]
async fn missing_files_only_fail_the_attempt() {
    let ours = ca();
    let server = issued(&ours, &ours);
    let served = serve(server.path(), 10).await;
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("later");
    let channel = connect(&served.url, TlsFiles::new(&directory), "peer").unwrap();
    let request = || HealthCheckRequest {
        service: String::new(),
    };
    assert!(HealthClient::new(channel.clone()).check(request()).await.is_err());
    std::fs::create_dir(&directory).unwrap();
    issue(&directory, &ours, &ours);
    HealthClient::new(channel).check(request()).await.unwrap();
}
