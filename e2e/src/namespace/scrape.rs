//! Reads the metrics of a pool as Prometheus does: plain HTTP, through the Service of metrics.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::TestNamespace;

const SCRAPE: Duration = Duration::from_secs(15);

impl TestNamespace {
    /// What a scrape of a pool answers: the text of the metrics.
    pub(crate) async fn scrape(&self, pool: &str) -> anyhow::Result<String> {
        let name = format!("{pool}-stats");
        let service = self.api::<Service>().get(&name).await?;
        let spec = service.spec.unwrap_or_default();
        let address = spec.cluster_ip.context("the Service has no address")?;
        let port = spec
            .ports
            .iter()
            .flatten()
            .next()
            .context("the Service has no port")?
            .port;
        tokio::time::timeout(SCRAPE, get(&format!("{address}:{port}"), "/metrics"))
            .await
            .with_context(|| format!("{name} does not answer"))?
            .with_context(|| format!("scraping {name}"))
    }
}

/// What an address answers to a GET of a path, without TLS.
///
/// # Errors
/// When the status is not 200.
pub(crate) async fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: metrics\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    ensure!(head.contains(" 200 "), "it answers {head}");
    Ok(body.to_owned())
}

pub(crate) fn value<'a>(metrics: &'a str, name: &str) -> Option<&'a str> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_value_is_read_by_its_whole_name() {
        let metrics = "# HELP pgpool2_up Whether.\npgpool2_up_to 3\npgpool2_up 1\n";
        assert_eq!(value(metrics, "pgpool2_up"), Some("1"));
        assert_eq!(value(metrics, "pgpool2"), None);
    }
}
