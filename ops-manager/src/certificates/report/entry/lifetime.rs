//! Whether a valid certificate should have been renewed by now. Pure.
//!
//! It is late once the time of its planned renewal has passed, or when no renewal is planned.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use shared_types::conditions::Reason;
use shared_types::explanation::Explanation;
use tls_bundle::Leaf;

use super::View;

/// Longest time that a planned renewal may take.
const LONGEST_RENEWAL: SignedDuration = SignedDuration::from_mins(10);

/// The part of the lifetime that is left at each warning, the last warning first.
const PARTS: [(i32, Reason, &str); 2] = [
    (10, Reason::ExpiresSoon, "a tenth"),
    (3, Reason::RenewalOverdue, "a third"),
];

pub(super) fn late(view: &View<'_>, leaf: &Leaf) -> Option<Explanation> {
    if latest_renewal(view, leaf).is_some_and(|until| view.now < until) {
        return None;
    }
    let (_, reason, part) = PARTS
        .into_iter()
        .find(|(part, ..)| view.now >= mark(leaf, *part))?;
    let planned = match renewal(view) {
        Some(at) => format!("cert-manager has not renewed it, which was due at {at}"),
        None => "no renewal is planned".to_owned(),
    };
    let message = format!(
        "{} expires at {}, less than {part} of its lifetime is left, and {planned}; check that cert-manager runs, and \
         see kubectl describe certificate {} --namespace {}",
        view.secret(),
        leaf.not_after,
        view.wanted.certificate,
        view.namespace,
    );
    Some(Explanation::new(reason, message))
}

/// When that changes by time alone.
pub(super) fn dues(view: &View<'_>) -> impl Iterator<Item = Timestamp> {
    let leaf = view.finding.leaf();
    let dues = leaf.into_iter().flat_map(|leaf| {
        let marks = PARTS.map(|(part, ..)| mark(leaf, part));
        marks
            .into_iter()
            .chain(latest_renewal(view, leaf))
            .collect::<Vec<_>>()
    });
    // A second later: a reconcile a moment too early would find nothing, and again.
    dues.filter_map(|at| at.checked_add(Duration::from_secs(1)).ok())
}

/// When one `part`th of the lifetime is left.
fn mark(leaf: &Leaf, part: i32) -> Timestamp {
    let left = lifetime(leaf).checked_div(part).unwrap_or_default();
    leaf.not_after.checked_sub(left).unwrap_or(leaf.not_after)
}

fn lifetime(leaf: &Leaf) -> SignedDuration {
    leaf.not_after.duration_since(leaf.not_before)
}

fn latest_renewal(view: &View<'_>, leaf: &Leaf) -> Option<Timestamp> {
    let slack = lifetime(leaf)
        .checked_div(100)
        .unwrap_or_default()
        .min(LONGEST_RENEWAL);
    renewal(view)?.checked_add(slack).ok()
}

/// When cert-manager plans to renew it.
fn renewal(view: &View<'_>) -> Option<Timestamp> {
    let certificate = view.child?.certificate.as_ref()?;
    let Time(at) = certificate.status.as_ref()?.renewal_time.as_ref()?;
    Some(*at)
}
