//! Whether pgpool takes the settings that a user had a hand in. Pure.
//!
//! A file that pgpool cannot read would not harm a pod that runs, but every one that starts. So pgpool itself reads each
//! new file once, in a pod of its own, before the pods of the pool get it. That it was good is remembered with the
//! settings, by a hash; that it was not, by the pod that says why. The process remembers nothing.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::ResourceExt;
use shared_types::names;

use super::build::{self, Candidate};
use super::observe::Live;
use super::observe::pods;
use super::validate::{Setting, Unmet, Validated};

#[cfg(test)]
mod tests;

/// The container in which pgpool judges.
pub(crate) const CONTAINER: &str = "config-check";
/// Its exit code when pgpool does not take the settings.
pub(crate) const REFUSED: i32 = 65;

/// How long a pod may take to start, which is mostly the pull of its image.
const PATIENCE: Duration = Duration::from_mins(1);
/// How soon pgpool is asked again after it could not answer.
const RETRY: Duration = Duration::from_mins(2);
/// A complaint is cut here: a condition is read by people.
const LONGEST: usize = 600;

/// What is known of the settings.
pub(crate) enum Judgement {
    /// They may be used: the hash says that pgpool has judged them, unless it had no need to.
    Fit {
        /// For the annotation of the configuration Secret.
        hash: Option<String>,
    },
    /// pgpool is to be asked.
    Ask(Box<Candidate>),
    /// They may not be used.
    Doubtful(Doubt),
}

/// Why settings may not be used, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// They were refused before pgpool could be asked, or are not there.
    Unmet(Unmet),
    /// pgpool is being asked.
    Pending {
        /// One sentence.
        why: String,
        /// When patience is over.
        after: Option<Duration>,
    },
    /// It does not take them.
    Unfit {
        /// One sentence.
        complaint: String,
    },
    /// It could not be asked.
    Mute {
        /// One sentence.
        why: String,
        /// When to look again.
        after: Option<Duration>,
    },
}

/// What is known of the settings, and the name of the candidate that is still needed; all others are to go.
pub(crate) fn judge(validated: &Validated, live: &Live, now: Timestamp) -> (Judgement, Option<String>) {
    if let Some(unmet) = &validated.unmet_settings {
        return (Judgement::Doubtful(Doubt::Unmet(unmet.clone())), None);
    }
    let Some(candidate) = build::candidate(validated) else {
        return (Judgement::Fit { hash: None }, None);
    };
    let hash = candidate.hash.clone();
    let judged = live
        .config_secret
        .as_ref()
        .and_then(|secret| secret.annotations().get(names::ANNOTATION_VALIDATED_CONFIG_HASH));
    if judged == Some(&hash) {
        return (Judgement::Fit { hash: Some(hash) }, None);
    }
    let name = candidate.secret.name_any();
    let Some(pod) = live.candidates.get(&name).and_then(|asked| asked.pod.as_deref()) else {
        return (Judgement::Ask(Box::new(candidate)), Some(name));
    };
    let judgement = of_pod(pod, validated, hash, now);
    // One that could not answer makes room for the next once its time is over.
    let spent =
        ended(pod).is_some() && matches!(judgement, Judgement::Doubtful(Doubt::Mute { after: None, .. }));
    let kept = match &judgement {
        Judgement::Fit { .. } => None,
        _ if spent => None,
        _ => Some(name),
    };
    (judgement, kept)
}

fn of_pod(pod: &Pod, validated: &Validated, hash: String, now: Timestamp) -> Judgement {
    let title = format!("pod {}/{}", validated.namespace, pod.name_any());
    let left = |patience: Duration| {
        let since = pod.creation_timestamp().map_or(now, |time| time.0);
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        patience.checked_sub(age).filter(|left| !left.is_zero())
    };
    Judgement::Doubtful(match ended(pod) {
        Some(End { code: 0, .. }) => return Judgement::Fit { hash: Some(hash) },
        Some(End { code: REFUSED, said }) => Doubt::Unfit {
            complaint: complaint(&said, &validated.custom_settings),
        },
        Some(End { code, said }) => Doubt::Mute {
            why: format!(
                "pgpool could not be asked about the settings: {title} ended with exit code {code}{}",
                suffix(&said)
            ),
            after: left(RETRY),
        },
        None => {
            let trouble = suffix(&pods::facts(pod, 0).trouble.unwrap_or_default());
            match left(PATIENCE) {
                Some(left) => Doubt::Pending {
                    why: format!("Waits until pgpool has judged the settings in {title}{trouble}"),
                    after: Some(left),
                },
                None => Doubt::Mute {
                    why: format!("pgpool cannot be asked about the settings: {title} does not run{trouble}"),
                    after: None,
                },
            }
        }
    })
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
    said: String,
}

fn ended(pod: &Pod) -> Option<End> {
    let status = pod.status.as_ref()?;
    let container = status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| container.name == CONTAINER);
    let terminated = container.and_then(|container| container.state.as_ref()?.terminated.as_ref());
    let of_container = |end: &ContainerStateTerminated| End {
        code: end.exit_code,
        said: end
            .message
            .clone()
            .or_else(|| end.reason.clone())
            .unwrap_or_default(),
    };
    // Evicted, or its node is gone.
    let failed = || {
        (status.phase.as_deref() == Some("Failed")).then(|| End {
            code: -1,
            said: "it was ended before it began".to_owned(),
        })
    };
    terminated.map(of_container).or_else(failed)
}

/// pgpool's words, and where the user wrote what they are about.
fn complaint(said: &str, settings: &[Setting]) -> String {
    let words = one_line(said);
    let meant = settings
        .iter()
        .find(|setting| words.contains(&format!("\"{}\"", setting.name)));
    let place = meant.map(|setting| format!("; `{}` is in {}", setting.name, setting.place));
    format!(
        "pgpool does not take the settings: {words}{}. Correct it: until then what runs keeps its settings",
        place.unwrap_or_default()
    )
}

/// The lines of a log in one, without times and process numbers, which differ from try to try.
fn one_line(said: &str) -> String {
    const LEVELS: [&str; 5] = ["FATAL:", "ERROR:", "WARNING:", "DETAIL:", "HINT:"];
    let words = |line: &str| {
        let after = |level: &&str| line.split_once(level).map(|(_, words)| words.trim().to_owned());
        LEVELS
            .iter()
            .find_map(after)
            .unwrap_or_else(|| line.trim().to_owned())
    };
    let lines: Vec<_> = said
        .lines()
        .map(words)
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_end_matches('.').to_owned())
        .collect();
    let mut line = lines.join("; ");
    line.retain(|c| !c.is_control());
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}
