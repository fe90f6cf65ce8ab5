//! Against an ops-manager that is played in this process, without TLS: that is the transport's affair.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::stream::BoxStream;
use proto::v1;
use proto::v1::verdict_service_server::{VerdictService, VerdictServiceServer};
use proto::v1::watch_verdicts_response::Event as Wire;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response};

use super::*;
use crate::fixtures::tls_pgpool;

type Line = mpsc::UnboundedSender<Result<v1::WatchVerdictsResponse, Status>>;

/// Hands the other end of each stream to the test.
struct Played(Arc<Mutex<Vec<Line>>>);

#[tonic::async_trait]
impl VerdictService for Played {
    type WatchVerdictsStream = BoxStream<'static, Result<v1::WatchVerdictsResponse, Status>>;

    async fn watch_verdicts(
        &self,
        _: Request<WatchVerdictsRequest>,
    ) -> Result<Response<Self::WatchVerdictsStream>, Status> {
        let (line, stream) = mpsc::unbounded_channel();
        self.0.lock().unwrap().push(line);
        Ok(Response::new(UnboundedReceiverStream::new(stream).boxed()))
    }
}

fn verdict(alias: &str) -> Wire {
    let pgpool = tls_pgpool();
    Wire::Verdict(v1::Verdict {
        pgpool: Some(v1::PgpoolRef {
            namespace: "demo".to_owned(),
            name: "pool".to_owned(),
            uid: pgpool.metadata.uid.unwrap(),
        }),
        certificates: vec![v1::CertificateVerdict {
            alias: alias.to_owned(),
            ..v1::CertificateVerdict::default()
        }],
        ..v1::Verdict::default()
    })
}

/// Waits until the other side has the stream open so many times.
async fn opened(lines: &Mutex<Vec<Line>>, times: usize) -> Line {
    loop {
        if let Some(line) = lines.lock().unwrap().get(times - 1) {
            return line.clone();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn say(line: &Line, event: Option<Wire>) {
    line.send(Ok(v1::WatchVerdictsResponse { event })).unwrap();
}

#[tokio::test]
async fn hears_survives_a_cut_and_hears_again() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = VerdictServiceServer::new(Played(lines.clone()));
    let server = Server::builder().add_service(service);
    let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let board = Board::default();
    let mut changes = board.changes();
    let drain = CancellationToken::new();
    let endpoint = Endpoint::from_shared(address).unwrap();
    let channel = move || Ok(endpoint.connect_lazy());
    let follower = tokio::spawn(follow(channel, board.clone(), Metrics::default(), drain.clone()));

    let line = opened(&lines, 1).await;
    say(&line, None);
    say(&line, Some(verdict("of a later version")));
    say(&line, Some(verdict("server")));
    say(&line, Some(Wire::Synced(v1::Synced {})));
    assert_eq!(
        changes.next().await.unwrap().name,
        "pool",
        "what cannot be read does not cost the rest"
    );
    assert!(board.connected() && board.get(&tls_pgpool()).is_some());

    line.send(Err(Status::unavailable("stops"))).unwrap();
    let line = opened(&lines, 2).await;
    say(&line, Some(Wire::Synced(v1::Synced {})));
    assert_eq!(
        changes.next().await.unwrap().name,
        "pool",
        "gone while nobody was heard"
    );
    assert!(board.connected() && board.get(&tls_pgpool()).is_none());

    drain.cancel();
    follower.await.unwrap();
    server.abort();
}

#[tokio::test]
async fn nobody_there_is_no_end() {
    let board = Board::default();
    let drain = CancellationToken::new();
    let channel = || Ok(Endpoint::from_static("http://127.0.0.1:1").connect_lazy());
    let follower = tokio::spawn(follow(channel, board.clone(), Metrics::default(), drain.clone()));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!follower.is_finished() && !board.connected());
    drain.cancel();
    follower.await.unwrap();
}
