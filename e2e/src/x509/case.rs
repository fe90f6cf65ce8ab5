//! A bundle and the question about it.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use tls_bundle::{Bundle, Required, Role};

/// May this bundle be served, or presented, at that time under those names?
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Unique in its suite.
    pub(crate) name: String,
    /// PEM; empty when there is none.
    pub(crate) ca: Vec<u8>,
    /// PEM, the leaf first.
    pub(crate) certificate: Vec<u8>,
    /// PEM; `None` when the suite keeps it to itself, so that nothing is said about the key.
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) role: Role,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ip_addresses: Vec<IpAddr>,
    pub(crate) at: Timestamp,
}

impl Case {
    pub(crate) fn bundle(&self) -> Bundle<'_> {
        Bundle {
            ca: Some(&self.ca),
            certificate: Some(&self.certificate),
            key: self.key.as_deref(),
        }
    }

    pub(crate) fn required(&self) -> Required {
        Required {
            role: self.role,
            dns_names: self.dns_names.clone(),
            ip_addresses: self.ip_addresses.clone(),
            common_name: None,
            ca_required: false,
        }
    }

    /// The names as one types them after `host=`.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = String> {
        let addresses = self.ip_addresses.iter().map(IpAddr::to_string);
        self.dns_names.iter().cloned().chain(addresses)
    }

    /// Writes its files into a folder of its own below `folder`.
    pub(crate) fn keep(&self, folder: &Path, about: &str) -> anyhow::Result<()> {
        let name = self.name.replace([':', '/'], "-");
        let folder = folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        fs::write(folder.join("ca.crt"), &self.ca)?;
        fs::write(folder.join("tls.crt"), &self.certificate)?;
        if let Some(key) = &self.key {
            fs::write(folder.join("tls.key"), key)?;
        }
        let hosts: Vec<_> = self.hosts().collect();
        let question = format!(
            "{about}\nrole: {}\nhosts: {hosts:?}\ntime: {}\n",
            self.role, self.at
        );
        fs::write(folder.join("about.txt"), question)?;
        Ok(())
    }
}
