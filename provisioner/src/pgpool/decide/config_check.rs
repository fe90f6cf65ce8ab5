//! Decides which settings pods get. Pure.
//!
//! A file that pgpool cannot read would not harm a pod that runs, but every one that starts. So pgpool itself reads each
//! file of which the user wrote a part once, in a pod of its own, before the pods of the pool get it: the config check.
//! That it was accepted is remembered with the settings, by a hash; that it was not, by the pod that reports why. The
//! process remembers nothing.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::ResourceExt;
use shared_types::conditions::Reason;
use shared_types::explanation::{Blocked, Explanation};
use shared_types::{names, reserved, text};

use super::Situation;
use crate::pgpool::observe::{Live, pods};
use crate::pgpool::validate::{Setting, Validated};

#[cfg(test)]
mod tests;

/// The container in which pgpool reads the settings.
pub(crate) const CONTAINER: &str = "config-check";
/// Its exit code when pgpool does not accept the settings.
pub(crate) const REJECTED: i32 = 65;

/// How long a pod may take to start, which is mostly the pull of its image.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How soon pgpool checks again after it could not.
const RETRY: Duration = Duration::from_mins(2);
/// What pgpool reports is cut here: a condition is read by people.
const LONGEST: usize = 600;

/// What becomes of the settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// What becomes of the configuration Secret.
    pub(crate) secret: ConfigSecret,
    /// Whether a check of the settings starts.
    pub(crate) starts_check: bool,
    /// The check that runs, or has failed; every other one is deleted.
    pub(crate) kept_check: Option<String>,
    /// Why pods do not get the settings that the spec asks for.
    pub(crate) blocked: Option<Blocked>,
}

/// What becomes of the configuration Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ConfigSecret {
    /// It is written. The hash says that pgpool has checked the settings; `None` where it had no need to.
    Write { checked_hash: Option<String> },
    /// It is not touched: pgpool might not start with what the spec asks for, or pods that read it have no certificates
    /// yet and would reject every client after a restart with settings for TLS.
    #[default]
    Leave,
}

/// Identifies a check of certain settings by a certain image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigCheckId {
    /// Hash of the settings and of the image that reads them.
    pub(crate) hash: String,
    /// The name of its Secret and its pod.
    pub(crate) name: String,
}

/// Which settings pods get.
#[derive(Clone, Debug)]
pub(super) enum Settings {
    /// Those of the spec.
    Use { checked_hash: Option<String> },
    /// The revision that they have.
    Keep { revision: String, check: Check },
    /// None yet: nothing may run.
    Wait { check: Check },
}

/// The state of the check of settings that pods do not get.
#[derive(Clone, Debug)]
pub(super) struct Check {
    starts: bool,
    /// Its name, while it is needed.
    kept: Option<String>,
    blocked: Blocked,
}

/// The result of a check.
#[derive(Debug)]
enum Verdict {
    Accepted { hash: Option<String> },
    NotAccepted(Check),
}

/// Decides which settings pods get.
///
/// # Errors
/// [`Blocked`] when those of the spec are invalid and there are none that pods could keep.
pub(super) fn settings(situation: &Situation<'_>) -> Result<Settings, Blocked> {
    let check = match verdict(situation) {
        Verdict::Accepted { hash } => return Ok(Settings::Use { checked_hash: hash }),
        Verdict::NotAccepted(check) => check,
    };
    match (
        revision_in_force(situation),
        &situation.validated.blocked_settings,
    ) {
        (Some(revision), _) => Ok(Settings::Keep { revision, check }),
        (None, Some(blocked)) => Err(blocked.clone()),
        (None, None) => Ok(Settings::Wait { check }),
    }
}

/// Decides what becomes of the configuration Secret.
///
/// `has_certificates`: whether pods that run have the certificates that the settings need. `retry_after`: when the
/// certificates change by time alone.
pub(super) fn config(
    situation: &Situation<'_>,
    settings: &Settings,
    has_certificates: bool,
    retry_after: Option<Duration>,
) -> Config {
    let live = &situation.observed.live;
    match settings.clone() {
        Settings::Use { checked_hash } => {
            // Pods that run and have no certificates yet keep their settings without TLS.
            let serves_plain = !has_certificates && live.stateful_set.is_some();
            let secret = if serves_plain && live.config_secret.is_some() {
                ConfigSecret::Leave
            } else {
                ConfigSecret::Write { checked_hash }
            };
            Config {
                secret,
                ..Config::default()
            }
        }
        Settings::Keep { check, .. } => Config {
            secret: ConfigSecret::Leave,
            starts_check: check.starts,
            kept_check: check.kept,
            // The certificates may have to be looked at, too.
            blocked: Some(check.blocked.after(retry_after)),
        },
        Settings::Wait { check } => {
            // While there are no pods, the Secret may exist already, for others who wait for it.
            let secret = if live.stateful_set.is_none() {
                ConfigSecret::Write { checked_hash: None }
            } else {
                ConfigSecret::Leave
            };
            Config {
                secret,
                starts_check: check.starts,
                kept_check: check.kept,
                blocked: Some(check.blocked),
            }
        }
    }
}

/// The revision of the settings that pods have, if pods as the spec asks for them could keep it: in the same image, which
/// has accepted it, and with the same rules.
fn revision_in_force(situation: &Situation<'_>) -> Option<String> {
    let Situation {
        validated,
        observed,
        policy,
        ..
    } = situation;
    let template = &observed.live.stateful_set.as_deref()?.spec.as_ref()?.template;
    let mut containers = template.spec.as_ref()?.containers.iter();
    let pgpool = containers.find(|container| container.name == reserved::CONTAINER)?;
    if pgpool.image.as_ref() != Some(&validated.release.image) {
        return None;
    }
    let config_secret = observed.live.config_secret.as_deref()?;
    policy.preview.revision_in_force(validated, config_secret)
}

/// What is known of the settings.
fn verdict(situation: &Situation<'_>) -> Verdict {
    let Situation {
        validated,
        observed,
        policy,
        now,
        ..
    } = situation;
    if let Some(blocked) = &validated.blocked_settings {
        return Verdict::NotAccepted(Check {
            starts: false,
            kept: None,
            blocked: blocked.clone(),
        });
    }
    match policy.preview.config_check(validated) {
        None => Verdict::Accepted { hash: None },
        Some(id) => checked(id, validated, &observed.live, *now),
    }
}

fn checked(id: ConfigCheckId, validated: &Validated, live: &Live, now: Timestamp) -> Verdict {
    let ConfigCheckId { hash, name } = id;
    let config_secret = live.config_secret.as_ref();
    let checked =
        config_secret.and_then(|secret| secret.annotations().get(names::ANNOTATION_VALIDATED_CONFIG_HASH));
    if checked == Some(&hash) {
        return Verdict::Accepted { hash: Some(hash) };
    }
    let Some(pod) = live
        .config_checks
        .get(&name)
        .and_then(|check| check.pod.as_deref())
    else {
        return Verdict::NotAccepted(Check {
            starts: true,
            kept: Some(name),
            blocked: Blocked::waiting(Reason::CheckingConfiguration, "Checking the settings with pgpool"),
        });
    };
    let Some(blocked) = blocked_by(pod, validated, now) else {
        return Verdict::Accepted { hash: Some(hash) };
    };
    // One that could not run makes room for the next when its time is over.
    let could_not_run = matches!(&blocked, Blocked::Stuck(Explanation { reason, .. }) if *reason == Reason::ConfigurationNotChecked);
    let is_spent = ended(pod).is_some() && could_not_run && blocked.retry_after().is_none();
    Verdict::NotAccepted(Check {
        starts: false,
        kept: (!is_spent).then_some(name),
        blocked,
    })
}

/// Why settings may not be used that this pod checks; `None` when pgpool has accepted them.
fn blocked_by(pod: &Pod, validated: &Validated, now: Timestamp) -> Option<Blocked> {
    let title = format!("pod {}/{}", validated.namespace, pod.name_any());
    let left = |timeout: Duration| {
        let since = pod.creation_timestamp().map_or(now, |time| time.0);
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        timeout.checked_sub(age).filter(|left| !left.is_zero())
    };
    match ended(pod) {
        Some(End { code: 0, .. }) => None,
        Some(End {
            code: REJECTED,
            output,
        }) => Some(Blocked::stuck(
            Reason::ConfigurationInvalid,
            complaint(&output, &validated.custom_settings),
        )),
        Some(End { code, output }) => {
            let message = format!(
                "pgpool could not check the settings: {title} ended with exit code {code}{}",
                suffix(&output)
            );
            Some(Blocked::stuck(Reason::ConfigurationNotChecked, message).after(left(RETRY)))
        }
        None => {
            let trouble = suffix(&pods::facts(pod, 0).trouble.unwrap_or_default());
            let Some(left) = left(START_TIMEOUT) else {
                let message = format!("pgpool cannot check the settings: {title} does not run{trouble}");
                return Some(Blocked::stuck(Reason::ConfigurationNotChecked, message));
            };
            let message = format!("Waiting for pgpool to check the settings in {title}{trouble}");
            Some(Blocked::waiting(Reason::CheckingConfiguration, message).after(left))
        }
    }
}

fn suffix(text: &str) -> String {
    let text = one_line(text);
    if text.is_empty() {
        text
    } else {
        format!(": {text}")
    }
}

/// How a pod ended.
struct End {
    code: i32,
    output: String,
}

fn ended(pod: &Pod) -> Option<End> {
    let status = pod.status.as_ref()?;
    let mut containers = status.container_statuses.iter().flatten();
    let container = containers.find(|container| container.name == CONTAINER);
    if let Some(end) = container.and_then(|container| container.state.as_ref()?.terminated.as_ref()) {
        return Some(end_of(end));
    }
    // Evicted, or its node is gone.
    if status.phase.as_deref() == Some("Failed") {
        return Some(End {
            code: -1,
            output: "it ended before it started".to_owned(),
        });
    }
    None
}

fn end_of(end: &ContainerStateTerminated) -> End {
    let output = end.message.clone().or_else(|| end.reason.clone());
    End {
        code: end.exit_code,
        output: output.unwrap_or_default(),
    }
}

/// What pgpool reported, and where the user wrote what it is about.
fn complaint(output: &str, settings: &[Setting]) -> String {
    let output = one_line(&without_values(output, settings));
    let meant = settings
        .iter()
        .find(|setting| output.contains(&format!("\"{}\"", setting.name)));
    let place = meant.map(|setting| format!("; `{}` is in {}", setting.name, setting.place));
    format!(
        "pgpool rejects the settings: {output}{}. Fix them: until then running pods keep their settings",
        place.unwrap_or_default()
    )
}

/// What pgpool reported, without the values of the settings that come from a Secret.
fn without_values(output: &str, settings: &[Setting]) -> String {
    const MASK: &str = "(value not shown)";
    /// Shorter values occur in any text.
    const SHORTEST: usize = 6;
    let mut output = output.to_owned();
    for setting in settings.iter().filter(|setting| setting.is_confidential) {
        let value = setting.token.trim_matches('\'');
        if value.is_empty() || !output.contains(value) {
            continue;
        }
        let everywhere = value.len() >= SHORTEST && value != setting.name;
        output = text::without_value(&output, value, MASK, everywhere);
    }
    output
}

/// The lines of a log in one, without times and process numbers, which differ from try to try.
fn one_line(log: &str) -> String {
    let lines: Vec<_> = log
        .lines()
        .map(without_prefix)
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_end_matches('.'))
        .collect();
    let mut line = lines.join("; ");
    line.retain(|c| !c.is_control());
    text::first_chars(&line, LONGEST)
}

fn without_prefix(line: &str) -> &str {
    for level in ["FATAL:", "ERROR:", "WARNING:", "DETAIL:", "HINT:"] {
        if let Some((_, message)) = line.split_once(level) {
            return message.trim();
        }
    }
    line.trim()
}
