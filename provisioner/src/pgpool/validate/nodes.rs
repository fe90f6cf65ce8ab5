//! The nodes of `pgpool.conf`: two Services of a managed PostgreSQL, one address of any other, or the user's list.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::pgpool::Backend as Listed;
use shared_types::{AppBinding, Pgpool, ports};

use super::BackendNode;
use super::address::{self, Address};

/// pgpool's own limit.
const MAX_NODES: usize = 128;
/// No failover in pgpool: the Services keep their names when PostgreSQL elects another primary.
const STANDBY_FLAG: &str = "DISALLOW_TO_FAILOVER";
const PRIMARY_FLAG: &str = "ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER";
const ALWAYS_PRIMARY: &str = "ALWAYS_PRIMARY";
const ALLOW: &str = "ALLOW_TO_FAILOVER";
const FLAGS: [&str; 3] = [ALLOW, STANDBY_FLAG, ALWAYS_PRIMARY];
/// With another port, pgpool rejects its whole configuration file.
const PORTS: RangeInclusive<i32> = 1024..=65535;
const MAX_WEIGHT: i32 = 100_000_000;

/// Where the `AppBinding` points to.
pub(super) struct Endpoint {
    address: Address,
    /// Host of the Service of all standbys, if an operator manages this PostgreSQL.
    standby: Option<String>,
}

impl Endpoint {
    /// Derives the Service of the standbys where there is one.
    pub(crate) fn of(binding: &AppBinding, namespace: &str, address: Address) -> Self {
        let service = binding
            .spec
            .client_config
            .service
            .as_ref()
            .filter(|_| binding.spec.app_ref.is_some());
        let standby = service.map(|service| {
            let namespace = service
                .namespace
                .as_deref()
                .filter(|name| !name.is_empty())
                .unwrap_or(namespace);
            format!("{}-standby.{namespace}.svc", service.name)
        });
        Self { address, standby }
    }
}

/// The nodes in the order of their ids.
pub(super) fn nodes(pgpool: &Pgpool, endpoint: &Endpoint) -> Result<Vec<BackendNode>, Blocked> {
    let port = endpoint.address.port;
    if !PORTS.contains(&port.into()) {
        return Err(Blocked::stuck(
            Reason::AppBindingInvalid,
            format!(
                "AppBinding `{}` uses port {port}, but pgpool connects only to ports 1024 to 65535: give PostgreSQL a \
                 port or a Service port in this range.",
                pgpool.spec.postgres_ref.name
            ),
        ));
    }
    let listed = pgpool
        .spec
        .configuration
        .as_ref()
        .map_or(&[][..], |configuration| &configuration.backends);
    if listed.is_empty() {
        let standby = endpoint
            .standby
            .iter()
            .map(|host| node(host, endpoint.address.port, 1, STANDBY_FLAG));
        let primary = node(&endpoint.address.host, endpoint.address.port, 1, PRIMARY_FLAG);
        return Ok([primary].into_iter().chain(standby).collect());
    }
    from_list(listed, endpoint).map_err(|problem| {
        Blocked::stuck(
            Reason::ConfigurationInvalid,
            format!("`spec.configuration.backends` {problem}."),
        )
    })
}

fn node(host: &str, port: u16, weight: i32, flag: &str) -> BackendNode {
    BackendNode {
        host: host.to_owned(),
        port,
        weight,
        flag: flag.to_owned(),
    }
}

fn from_list(listed: &[Listed], endpoint: &Endpoint) -> Result<Vec<BackendNode>, String> {
    if listed.len() > MAX_NODES {
        return Err(format!(
            "has more than {MAX_NODES} entries, which is pgpool's limit: shorten it"
        ));
    }
    let grouped = listed.iter().filter(|entry| group(entry).is_some()).count();
    if grouped != 0 && grouped != listed.len() {
        return Err("mixes `groupName` and `hostName`: use one of them throughout".to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut nodes = Vec::new();
    for (index, entry) in listed.iter().enumerate() {
        let node =
            from_entry(index, entry, endpoint).map_err(|problem| format!("entry {index} {problem}"))?;
        if !seen.insert((node.host.clone(), node.port)) {
            return Err(format!(
                "names {}:{} twice: remove one entry",
                node.host, node.port
            ));
        }
        nodes.push(node);
    }
    let primaries = nodes.iter().filter(|node| node.flag.contains(ALWAYS_PRIMARY));
    if primaries.count() > 1 {
        return Err(format!(
            "marks two entries `{ALWAYS_PRIMARY}`: keep the flag on the one that accepts writes"
        ));
    }
    Ok(nodes)
}

fn group(entry: &Listed) -> Option<&str> {
    entry.group_name.as_deref().filter(|name| !name.is_empty())
}

fn from_entry(index: usize, entry: &Listed, endpoint: &Endpoint) -> Result<BackendNode, String> {
    if entry.weight < 0 {
        return Err("has a negative `weight`: give it 0 or more".to_owned());
    }
    if entry.weight > MAX_WEIGHT {
        return Err(format!("has a `weight` beyond pgpool's {MAX_WEIGHT}: lower it"));
    }
    let host = entry.host_name.as_deref().filter(|host| !host.is_empty());
    let (host, port, primary) = match (group(entry), host) {
        (Some(name), None) => {
            if entry.port.is_some() {
                return Err(
                    "has a `port` beside `groupName`: remove it, the Service determines the port".to_owned(),
                );
            }
            (
                group_host(name, endpoint)?,
                endpoint.address.port,
                name == "PRIMARY",
            )
        }
        (None, Some(host)) if address::is_host(host) => {
            let port = entry.port.unwrap_or_else(|| ports::POSTGRES.into());
            let port = u16::try_from(port).ok().filter(|_| PORTS.contains(&port));
            (
                host.to_owned(),
                port.ok_or("has a `port` outside 1024 to 65535, which are pgpool's limits: correct it")?,
                index == 0,
            )
        }
        (None, Some(host)) => {
            return Err(format!(
                "has `hostName: {host:?}`: give a DNS name or an IP address"
            ));
        }
        _ => return Err("needs either `groupName` or `hostName`".to_owned()),
    };
    let flag = flag(entry.flag.as_deref().unwrap_or_default(), primary)?;
    Ok(BackendNode {
        host,
        port,
        weight: entry.weight,
        flag,
    })
}

fn group_host(name: &str, endpoint: &Endpoint) -> Result<String, String> {
    match (name, &endpoint.standby) {
        ("PRIMARY", _) => Ok(endpoint.address.host.clone()),
        ("STANDBY", Some(host)) => Ok(host.clone()),
        ("STANDBY", None) => Err(
            "is `STANDBY`, but the AppBinding has no `spec.appRef`: list the servers by `hostName`"
                .to_owned(),
        ),
        _ if ["PRIMARY", "STANDBY"].contains(&name.to_ascii_uppercase().as_str()) => Err(format!(
            "is the group `{name}`: write `{}`",
            name.to_ascii_uppercase()
        )),
        _ => Err(format!(
            "is the group `{name}`, whose Service is not known: list the servers by `hostName`"
        )),
    }
}

fn flag(requested: &str, primary: bool) -> Result<String, String> {
    let flags: Vec<&str> = requested
        .split('|')
        .map(str::trim)
        .filter(|flag| !flag.is_empty())
        .collect();
    if let Some(unknown) = flags.iter().find(|flag| !FLAGS.contains(flag)) {
        return Err(match unknown.to_ascii_uppercase().as_str() {
            "ALWAYS_MASTER" => format!("has the flag {unknown:?}, which pgpool now calls `{ALWAYS_PRIMARY}`"),
            upper if FLAGS.contains(&upper) => format!("has the flag {unknown:?}: write `{upper}`"),
            _ => format!("has the unknown flag {unknown:?}: use {}", FLAGS.join(", ")),
        });
    }
    if flags.contains(&ALLOW) && flags.contains(&STANDBY_FLAG) {
        return Err(format!("has the flags `{ALLOW}` and `{STANDBY_FLAG}`: keep one"));
    }
    Ok(match (flags.is_empty(), primary) {
        (true, true) => PRIMARY_FLAG.to_owned(),
        (true, false) => STANDBY_FLAG.to_owned(),
        (false, _) => flags.join("|"),
    })
}
