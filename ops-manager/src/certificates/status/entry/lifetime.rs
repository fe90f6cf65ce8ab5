//! Whether a certificate that fits should have been renewed by now. Pure.
//!
//! That so much of its lifetime is over is no trouble while cert-manager means to renew it later still: only when that
//! time has gone by, or nobody is known to renew it at all.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use shared_types::conditions::Reason;
use tls_bundle::Leaf;

use super::{View, Word};

/// Longest time after the planned renewal in which it may well be under way.
const LONGEST_RENEWAL: SignedDuration = SignedDuration::from_mins(10);

/// Of its lifetime, that part is left when it is warned first, and last.
const PARTS: [(i32, Reason, &str); 2] = [
    (10, Reason::ExpiresSoon, "a tenth"),
    (3, Reason::RenewalOverdue, "a third"),
];

/// What is told of a certificate that is late.
pub(super) fn late(view: &View<'_>, leaf: &Leaf) -> Option<Word> {
    if patience(view, leaf).is_some_and(|until| view.now < until) {
        return None;
    }
    let (_, reason, part) = PARTS
        .into_iter()
        .find(|(part, ..)| view.now >= mark(leaf, *part))?;
    let planned = renewal(view).map_or_else(
        || "nobody is known to renew it".to_owned(),
        |at| format!("cert-manager has not renewed it, which was due at {at}"),
    );
    let sentence = format!(
        "{} ends at {}, less than {part} of its lifetime is left, and {planned}; see whether cert-manager runs and what \
         it says (kubectl describe certificate {} --namespace {})",
        view.secret(),
        leaf.not_after,
        view.wanted.certificate,
        view.namespace,
    );
    Some((reason, sentence))
}

/// When that changes.
pub(super) fn dues(view: &View<'_>) -> impl Iterator<Item = Timestamp> {
    let leaf = view.finding.leaf();
    let dues = leaf.into_iter().flat_map(|leaf| {
        let marks = PARTS.map(|(part, ..)| mark(leaf, part));
        marks.into_iter().chain(patience(view, leaf)).collect::<Vec<_>>()
    });
    // To the second: what is looked at a moment too early would be looked at again and again.
    dues.filter_map(|at| at.checked_add(Duration::from_secs(1)).ok())
}

/// When a part of the lifetime is left: the third, say.
fn mark(leaf: &Leaf, part: i32) -> Timestamp {
    let left = lifetime(leaf) / part;
    leaf.not_after.checked_sub(left).unwrap_or(leaf.not_after)
}

fn lifetime(leaf: &Leaf) -> SignedDuration {
    leaf.not_after.duration_since(leaf.not_before)
}

/// Until when the planned renewal is waited for.
fn patience(view: &View<'_>, leaf: &Leaf) -> Option<Timestamp> {
    let slack = (lifetime(leaf) / 100).min(LONGEST_RENEWAL);
    renewal(view)?.checked_add(slack).ok()
}

/// When cert-manager means to renew it.
fn renewal(view: &View<'_>) -> Option<Timestamp> {
    let certificate = view.child?.certificate.as_ref()?;
    let Time(at) = certificate.status.as_ref()?.renewal_time.as_ref()?;
    Some(*at)
}
