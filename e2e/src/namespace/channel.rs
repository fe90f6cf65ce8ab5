//! The channel of ops-manager, as a client of it sees it: over a connection of any kind, with a certificate.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use local_cluster::wait;
use proto::v1::flow_service_client::FlowServiceClient;
use proto::v1::{Flow, GetFlowRequest};
use shared_types::names;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};

use super::fixtures::POOL;
use super::test_ca::{TestCa, Wanted};
use super::{SOON, TestNamespace};

const CALL: Duration = Duration::from_secs(10);

/// Who one is on the channel, and whom one trusts. PEM.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Credentials {
    /// Makes new ones, good for both ends of a channel on this machine.
    pub(crate) fn make() -> anyhow::Result<Self> {
        Self::issue(&TestCa::new("channel")?, &["localhost", names::PROVISIONER])
    }

    /// Makes new ones, and others of the same CA for another name.
    pub(crate) fn make_with_another(name: &str) -> anyhow::Result<(Self, Self)> {
        let ca = TestCa::new("channel")?;
        let own = Self::issue(&ca, &["localhost", names::PROVISIONER])?;
        Ok((own, Self::issue(&ca, &[name])?))
    }

    fn issue(ca: &TestCa, names: &[&str]) -> anyhow::Result<Self> {
        let pair = ca.issue(&Wanted {
            common_name: Some("channel".to_owned()),
            dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ip_addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            server: true,
            client: true,
            expired: false,
        })?;
        Ok(Self {
            ca: ca.certificate(),
            certificate: pair.certificate,
            key: pair.key,
        })
    }

    /// Reads them from a Secret that cert-manager wrote.
    pub(crate) async fn read(ns: &TestNamespace, secret: &str) -> anyhow::Result<Self> {
        Ok(Self {
            ca: ns.secret_text(secret, "ca.crt").await?,
            certificate: ns.secret_text(secret, "tls.crt").await?,
            key: ns.secret_text(secret, "tls.key").await?,
        })
    }

    /// Writes them where an operator looks for them.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (name, text) in [
            ("ca.crt", &self.ca),
            ("tls.crt", &self.certificate),
            ("tls.key", &self.key),
        ] {
            std::fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        Ok(())
    }
}

/// Opens a channel over connections that `dial` makes, to a server whose certificate is for `name`.
pub(crate) fn open<S, F, D>(credentials: &Credentials, name: &str, dial: D) -> anyhow::Result<Channel>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Future<Output = anyhow::Result<S>> + Send + 'static,
    D: Fn() -> F + Send + Sync + Clone + 'static,
{
    local_cluster::install_crypto();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&credentials.ca))
        .identity(Identity::from_pem(&credentials.certificate, &credentials.key))
        .domain_name(name);
    let endpoint = Endpoint::from_shared(format!("https://{name}"))?
        .tls_config(tls)?
        .timeout(CALL);
    Ok(
        endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let dial = dial.clone();
            async move {
                dial()
                    .await
                    .map(TokioIo::new)
                    .map_err(anyhow::Error::into_boxed_dyn_error)
            }
        })),
    )
}

/// Opens a channel to an address of this machine.
pub(crate) fn local(credentials: &Credentials, address: SocketAddr) -> anyhow::Result<Channel> {
    open(credentials, "localhost", move || async move {
        Ok(TcpStream::connect(address).await?)
    })
}

impl TestNamespace {
    pub(crate) async fn ask_flow(&self, channel: &Channel, pool: &str) -> anyhow::Result<Flow> {
        let request = GetFlowRequest {
            namespace: self.name().to_owned(),
            name: pool.to_owned(),
        };
        let answer = FlowServiceClient::new(channel.clone()).get_flow(request).await?;
        answer.into_inner().flow.context("an answer without a flow")
    }

    /// Asks until the flow of the Pgpool is as `check` wants it.
    pub(crate) async fn flow(
        &self,
        channel: &Channel,
        what: &str,
        check: impl Fn(&Flow) -> anyhow::Result<()>,
    ) -> anyhow::Result<Flow> {
        wait::until(what, SOON, async || {
            let flow = self.ask_flow(channel, POOL).await?;
            check(&flow)?;
            Ok(flow)
        })
        .await
    }
}
