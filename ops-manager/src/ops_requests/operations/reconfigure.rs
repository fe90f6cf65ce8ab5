//! `Reconfigure`: other settings, or other backends.
//!
//! The provisioner knows which settings need a restart, and replaces pods only for these. A restart on request uses the
//! annotation of `Restart`.

use jiff::Timestamp;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::explanation::Explanation;
use shared_types::ops_request::ReconfigureRestart;
use shared_types::pgpool::{Backend, Configuration};
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolSpec};

use super::restart::restart_pods;
use super::{Goal, Operation, Step, edit, reject_secret, wait_for};
use crate::ops_requests::observe::{Referenced, References};

/// The only file.
const PGPOOL_CONF: &str = "pgpool.conf";

pub(super) struct Reconfigure;

impl Operation for Reconfigure {
    fn steps(&self, _request: &PgpoolOpsRequest) -> Vec<Step> {
        vec![edit(), wait_for(Goal::Ready, OpsCondition::ConfigurationApplied)]
    }

    fn change(&self, request: &PgpoolOpsRequest, start: Timestamp, spec: &mut PgpoolSpec) {
        let Some(asked) = &request.spec.configuration else {
            return;
        };
        let mut configuration = spec.configuration.take().unwrap_or_default();
        if asked.remove_custom_config == Some(true) {
            configuration = Configuration::default();
        }
        if let Some(secret) = &asked.config_secret {
            configuration.secret_name = Some(secret.name.clone());
        }
        if let Some(settings) = asked.apply_config.get(PGPOOL_CONF) {
            let before = configuration.inline.get(PGPOOL_CONF).map(String::as_str);
            let merged = merged(before.unwrap_or_default(), settings);
            configuration.inline.insert(PGPOOL_CONF.to_owned(), merged);
        }
        if let Some(backends) = &asked.backend {
            change_backends(&mut configuration.backends, &backends.delete, &backends.sync);
        }
        spec.configuration = (configuration != Configuration::default()).then_some(configuration);
        if asked.restart == Some(ReconfigureRestart::True) {
            restart_pods(request, start, spec);
        }
    }

    fn references<'a>(&self, request: &'a PgpoolOpsRequest) -> References<'a> {
        let configuration = request.spec.configuration.as_ref();
        let secret = configuration.and_then(|configuration| configuration.config_secret.as_ref());
        References {
            secret: secret.map(|secret| (secret.name.as_str(), PGPOOL_CONF)),
            ..References::default()
        }
    }

    fn reject(
        &self,
        _request: &PgpoolOpsRequest,
        _pgpool: &Pgpool,
        referenced: &Referenced,
    ) -> Option<Explanation<OpsReason>> {
        reject_secret(referenced)
    }

    fn remark(&self, request: &PgpoolOpsRequest) -> &'static str {
        let configuration = request.spec.configuration.as_ref();
        match configuration.and_then(|configuration| configuration.restart) {
            Some(ReconfigureRestart::False) => {
                "; restart: false has the same effect as auto: pods are replaced only for settings that need it"
            }
            Some(ReconfigureRestart::Auto | ReconfigureRestart::True) | None => "",
        }
    }
}

/// The lines of `before` without the settings that `over` has too, then the settings of `over`. Comments of `over` are
/// dropped: they would be added again each time.
fn merged(before: &str, over: &str) -> String {
    let settings: Vec<_> = over
        .lines()
        .filter(|line| setting(line).is_some())
        .map(str::trim)
        .collect();
    let is_replaced = |line: &str| {
        setting(line).is_some_and(|name| {
            settings
                .iter()
                .any(|new| setting(new).is_some_and(|new| new.eq_ignore_ascii_case(name)))
        })
    };
    let kept = before.lines().filter(|line| !is_replaced(line));
    let mut text: Vec<_> = kept.chain(settings.iter().copied()).collect();
    // The last line ends as the others do.
    text.push("");
    text.join("\n")
}

/// The name of the setting in a line of `pgpool.conf`: the first word, as `pgpool` reads it.
fn setting(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))
        .unwrap_or(line.len());
    Some(line.split_at(end).0).filter(|name| !name.is_empty())
}

fn change_backends(backends: &mut Vec<Backend>, delete: &[Backend], sync: &[Backend]) {
    backends.retain(|backend| !delete.iter().any(|gone| is_same(gone, backend)));
    for wanted in sync {
        match backends.iter_mut().find(|backend| is_same(wanted, backend)) {
            Some(backend) => *backend = wanted.clone(),
            None => backends.push(wanted.clone()),
        }
    }
}

/// Backends go by their group or host; the port does not count.
fn is_same(one: &Backend, other: &Backend) -> bool {
    (one.group_name.is_some() && one.group_name == other.group_name)
        || (one.host_name.is_some() && one.host_name == other.host_name)
}
