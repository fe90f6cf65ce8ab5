//! How the kubelet probes a pod.

use k8s_openapi::api::core::v1::{ExecAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use shared_types::ports;

use super::super::paths;
use crate::pgpool::validate::Validated;

/// This file exists once the running pgpool has proven that it serves TLS.
pub(super) const PROOF: &str = "tls-proven";
/// Two minutes for a first start on a slow node.
const START_SECONDS: i32 = 120;

/// Waits for pgpool to listen.
pub(in super::super) fn startup() -> Probe {
    Probe {
        period_seconds: Some(1),
        failure_threshold: Some(START_SECONDS),
        ..listens()
    }
}

/// Whether pgpool listens. Not a query: a pool that is busy or has lost its PostgreSQL must not be killed.
pub(super) fn liveness() -> Probe {
    Probe {
        period_seconds: Some(10),
        timeout_seconds: Some(5),
        failure_threshold: Some(3),
        ..listens()
    }
}

/// With TLS: one handshake in which pgpool shows the mounted certificate and proves that it has its key. When pgpool cannot use
/// its key pair, it starts without TLS and reports no error. What it serves never changes while it runs, so one proof is enough,
/// and a busy pool stays ready. The chain is not verified here: that was done before the certificate was mounted, and not every
/// issuer publishes its CA.
pub(in super::super) fn readiness(validated: &Validated) -> Probe {
    let timing = Probe {
        period_seconds: Some(5),
        timeout_seconds: Some(5),
        failure_threshold: Some(2),
        ..Probe::default()
    };
    if !validated.serves_tls() {
        return Probe {
            tcp_socket: listens().tcp_socket,
            ..timing
        };
    }
    Probe {
        exec: Some(shell(&handshake())),
        ..timing
    }
}

fn handshake() -> String {
    let (run, tls, port, file) = (paths::RUN, paths::TLS, ports::PGPOOL, paths::CERTIFICATE);
    let leaf = "openssl x509 -noout -fingerprint -sha256";
    format!(
        "[ -e {run}/{PROOF} ] || {{ served=$(openssl s_client -starttls postgres -connect 127.0.0.1:{port} </dev/null | {leaf}) \
         && [ \"$served\" = \"$({leaf} -in {tls}/{file})\" ] && touch {run}/{PROOF}; }}"
    )
}

fn listens() -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::String(ports::PGPOOL_NAME.to_owned()),
            host: None,
        }),
        ..Probe::default()
    }
}

/// The user's probe. If it sets only timing, it probes what ours probes.
pub(super) fn merged(asked: Option<Probe>, ours: Probe) -> Probe {
    let Some(asked) = asked else { return ours };
    let is_whole = asked.exec.is_some()
        || asked.grpc.is_some()
        || asked.http_get.is_some()
        || asked.tcp_socket.is_some();
    if is_whole {
        return asked;
    }
    Probe {
        exec: ours.exec,
        tcp_socket: ours.tcp_socket,
        failure_threshold: asked.failure_threshold.or(ours.failure_threshold),
        period_seconds: asked.period_seconds.or(ours.period_seconds),
        timeout_seconds: asked.timeout_seconds.or(ours.timeout_seconds),
        ..asked
    }
}

pub(super) fn shell(script: &str) -> ExecAction {
    ExecAction {
        command: Some(["sh", "-c", script].map(str::to_owned).into()),
    }
}
