//! `pgpool.conf`: the operator's settings in a stable order, each name once, overridden by the user's.

use std::collections::{HashMap, HashSet};
use std::fmt;

use shared_types::{ClientAuthMode, ports};

use super::super::paths;
use crate::pgpool::validate::{NUM_INIT_CHILDREN, Setting, Validated};

/// From this release on the socket directory has the name PostgreSQL uses; the old name is ignored.
const NEW_SOCKET_NAME: (u32, u32) = (4, 4);
/// From this release on the log directory is called working directory.
const NEW_WORK_NAME: (u32, u32) = (4, 7);

/// A value in pgpool's grammar.
enum Value {
    On(bool),
    Number(i64),
    /// A number with its unit, or a word.
    Bare(&'static str),
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(on) => f.write_str(if *on { "on" } else { "off" }),
            Self::Number(number) => write!(f, "{number}"),
            Self::Bare(word) => f.write_str(word),
            // The grammar has no escape for a quote. `validate` rejects quotes; if one got through, the text must still not
            // become a second setting.
            Self::Text(text) => {
                let plain = text
                    .chars()
                    .filter(|c| !c.is_control() && !matches!(c, '\'' | '\\'));
                write!(f, "'{}'", plain.collect::<String>())
            }
        }
    }
}

type Line = (String, Value);

/// Renders the file.
pub(in crate::pgpool::build) fn render(validated: &Validated) -> String {
    let sections = [
        ("Connections", connections(validated)),
        ("Authentication", authentication()),
        ("TLS", tls(validated)),
        ("PostgreSQL", backends(validated)),
        ("Pool", pool()),
        ("Load balancing", balancing()),
        ("Query cache", cache()),
        ("Log", log()),
    ];
    let custom = &validated.custom_settings;
    let by_name: HashMap<_, _> = custom
        .iter()
        .map(|setting| (setting.name.as_str(), setting))
        .collect();
    let mut file = String::from("# Written by the Pgpool operator: changes made here are undone.\n");
    for (title, lines) in &sections {
        file.extend(["\n# ", title, "\n"]);
        for (name, value) in lines {
            match by_name.get(name.as_str()) {
                Some(setting) => file.push_str(&line(setting)),
                None => file.extend([name, " = ", &value.to_string(), "\n"]),
            }
        }
    }
    let ours = sections.iter().flat_map(|(_, lines)| lines);
    let ours: HashSet<_> = ours.map(|(name, _)| name.as_str()).collect();
    let more: String = custom
        .iter()
        .filter(|setting| !ours.contains(setting.name.as_str()))
        .map(line)
        .collect();
    if !more.is_empty() {
        file.extend(["\n# From spec.configuration\n", &more]);
    }
    file
}

fn line(setting: &Setting) -> String {
    format!("{} = {}\n", setting.name, setting.token)
}

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn named(lines: Vec<(&str, Value)>) -> Vec<Line> {
    lines
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// PCP has no TLS, so it listens on loopback only. Everything that pgpool writes goes to one directory.
fn connections(validated: &Validated) -> Vec<Line> {
    let version = validated.release.version;
    let socket = if version >= NEW_SOCKET_NAME {
        "unix_socket_directories"
    } else {
        "socket_dir"
    };
    let work = if version >= NEW_WORK_NAME {
        "work_dir"
    } else {
        "logdir"
    };
    named(vec![
        ("listen_addresses", text("*")),
        ("port", Value::Number(ports::PGPOOL.into())),
        (socket, text(paths::RUN)),
        ("pcp_listen_addresses", text("localhost")),
        ("pcp_port", Value::Number(ports::PCP.into())),
        ("pcp_socket_dir", text(paths::RUN)),
        ("pid_file_name", text(format!("{}/pgpool.pid", paths::RUN))),
        (work, text(paths::RUN)),
    ])
}

/// Without `enable_pool_hba` no rule is enforced, and clear-text passwords would bypass the password file.
fn authentication() -> Vec<Line> {
    named(vec![
        ("enable_pool_hba", Value::On(true)),
        (
            "pool_passwd",
            text(format!("{}/{}", paths::ETC, paths::POOL_PASSWD)),
        ),
        ("allow_clear_text_frontend_auth", Value::On(false)),
    ])
}

/// pgpool has one switch and one CA store for both clients and PostgreSQL.
fn tls(validated: &Validated) -> Vec<Line> {
    if validated.serves_tls() {
        let file = |name: &str| text(format!("{}/{name}", paths::TLS));
        let mut lines = vec![
            ("ssl", Value::On(true)),
            ("ssl_cert", file(paths::CERTIFICATE)),
            ("ssl_key", file(paths::KEY)),
            ("ssl_prefer_server_ciphers", Value::On(true)),
        ];
        if verifies(validated) {
            lines.push(("ssl_ca_cert", file(paths::CA)));
        }
        return named(lines);
    }
    // Without a key pair pgpool offers clients no TLS, but uses it towards PostgreSQL.
    let mut lines = vec![("ssl", Value::On(validated.backend.tls))];
    if needs_backend_ca(validated) {
        lines.push((
            "ssl_ca_cert",
            text(format!("{}/{}", paths::ETC, paths::BACKEND_CA)),
        ));
    }
    named(lines)
}

/// Whether certificates are verified at all. The CA store always contains the issuer, so a PostgreSQL whose CA is unknown
/// would be rejected: the store is used only where client certificates or PostgreSQL need it.
fn verifies(validated: &Validated) -> bool {
    validated.client_auth_mode == ClientAuthMode::Cert
        || validated.backend.verify
        || !validated.backend.ca.is_empty()
}

/// Whether the CAs of PostgreSQL are mounted with the settings, since the pool has no certificates.
pub(in crate::pgpool::build) fn needs_backend_ca(validated: &Validated) -> bool {
    !validated.serves_tls() && !validated.backend.ca.is_empty()
}

/// A Service hides which server answers, so pgpool must never mark a node as down.
fn backends(validated: &Validated) -> Vec<Line> {
    let mut lines = named(vec![("backend_clustering_mode", text("streaming_replication"))]);
    for (id, node) in validated.backend.nodes.iter().enumerate() {
        lines.extend([
            (format!("backend_hostname{id}"), text(node.host.as_str())),
            (format!("backend_port{id}"), Value::Number(node.port.into())),
            (format!("backend_weight{id}"), Value::Number(node.weight.into())),
            (format!("backend_flag{id}"), text(node.flag.as_str())),
        ]);
    }
    lines.extend(named(vec![
        ("failover_on_backend_error", Value::On(false)),
        ("health_check_period", Value::Number(0)),
        ("sr_check_period", Value::Number(0)),
    ]));
    lines
}

fn pool() -> Vec<Line> {
    named(vec![
        ("num_init_children", Value::Number(NUM_INIT_CHILDREN.into())),
        ("max_pool", Value::Number(15)),
        ("child_life_time", Value::Number(300)),
        ("child_max_connections", Value::Number(0)),
        ("connection_life_time", Value::Number(0)),
        ("client_idle_limit", Value::Number(0)),
        ("connection_cache", Value::On(true)),
    ])
}

fn balancing() -> Vec<Line> {
    named(vec![
        ("load_balance_mode", Value::On(true)),
        ("statement_level_load_balance", Value::On(false)),
    ])
}

/// Off, since it has returned rows to the wrong users in the past; small nevertheless, since its memory is always reserved.
fn cache() -> Vec<Line> {
    named(vec![
        ("memory_cache_enabled", Value::On(false)),
        ("memqcache_total_size", Value::Bare("8MB")),
        ("memqcache_max_num_cache", Value::Number(10_000)),
        ("memqcache_oiddir", text(format!("{}/oiddir", paths::RUN))),
    ])
}

/// Statements are logged only on request: they contain the users' data.
fn log() -> Vec<Line> {
    named(vec![
        ("log_per_node_statement", Value::On(false)),
        ("log_min_messages", Value::Bare("warning")),
    ])
}
