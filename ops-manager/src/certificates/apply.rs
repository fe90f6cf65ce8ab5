//! Writes what was decided: Certificates to create, change, delete and renew.

mod owners;

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::Timestamp;
use operator_runtime::Claim;
use operator_runtime::apply::{ApplyError, Change};
use shared_types::conditions::Reason;
use shared_types::explanation::Explanation;
use shared_types::{Alias, Pgpool};

use super::decide::{Decision, Reissue};
use super::error::Error;
use super::observe::Observed;
use crate::cert_manager::Certificate;
use crate::cert_manager::renew::{Renewal, renew};
use crate::context::Context;

pub(crate) use owners::adopt;

#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Certificates that the API server rejects until someone changes something.
    pub(crate) rejected: BTreeMap<Alias, Explanation>,
    /// Whether a Certificate is new: until its next event nothing is known about it.
    pub(crate) created: bool,
    /// The first failure that a retry may fix.
    pub(crate) failure: Option<Error>,
}

/// All Certificates are sent at once: none depends on another.
pub(crate) async fn apply(
    context: &Context,
    pgpool: &Pgpool,
    observed: &Observed,
    certificates: Vec<(Alias, Certificate)>,
    decision: &Decision,
    now: Timestamp,
) -> Applied {
    let (applier, claim) = (&context.applier, &Claim::of(pgpool));
    let writes = certificates.iter().map(|(alias, certificate)| async move {
        let child = observed.children.get(alias);
        let live = child.and_then(|child| child.certificate.as_deref());
        (*alias, applier.apply(claim, certificate, live).await)
    });
    let deletes = decision
        .delete
        .iter()
        .map(|certificate| applier.delete(claim, certificate.as_ref()));
    let (written, deleted) = futures::join!(join_all(writes), join_all(deletes));

    let mut applied = Applied::default();
    let mut failure = None;
    for (alias, written) in written {
        match written {
            Ok(written) if written.change == Change::Created => {
                applied.created = true;
                context.memory.record_created(pgpool, alias, written.object);
            }
            Ok(_) => {}
            Err(error) => match rejection(&error) {
                Some(explanation) => {
                    if explanation.reason == Reason::NameConflict {
                        context.memory.record_conflict(pgpool, alias, explanation.clone());
                    }
                    applied.rejected.insert(alias, explanation);
                }
                None => failure = failure.or(Some(error)),
            },
        }
    }
    let failure = failure.or(deleted.into_iter().find_map(Result::err));
    let renewed = renew_all(context, pgpool, &decision.reissue, now).await;
    applied.failure = failure.map(Error::Apply).or(renewed.err());
    applied
}

/// Requests each once.
async fn renew_all(
    context: &Context,
    pgpool: &Pgpool,
    reissues: &[Reissue],
    now: Timestamp,
) -> Result<(), Error> {
    let requests = reissues.iter().map(|reissue| async move {
        let target = (&Claim::of(pgpool), reissue.certificate.as_ref());
        let renewal = renew(&context.client, target, &reissue.why, now).await;
        if let Renewal::Requested(_) = renewal.map_err(Error::Renew)? {
            context.memory.record_renewal(pgpool, reissue.alias, reissue.leaf);
        }
        Ok(())
    });
    join_all(requests).await.into_iter().collect()
}

/// Why a write is rejected, unless a retry may fix it.
fn rejection(error: &ApplyError) -> Option<Explanation> {
    let reason = match error {
        ApplyError::NameConflict { .. } => Reason::NameConflict,
        _ => match error.code()? {
            400 | 403 | 422 => Reason::IssueFailed,
            _ => return None,
        },
    };
    Some(Explanation::new(reason, message(error)))
}

fn message(error: &ApplyError) -> String {
    let ApplyError::Api { kind, name, source } = error else {
        return error.to_string();
    };
    match source.as_ref() {
        kube::Error::Api(status) => format!("{kind} {name} could not be written: {}", status.message),
        other => format!("{kind} {name} could not be written: {other}"),
    }
}
