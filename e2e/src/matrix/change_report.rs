//! What came of changes to running pools, for people and for programs. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::outcomes::{Outcome, counts};

/// A line for each change, then what is unexpected. The last line counts.
pub(crate) fn rendered(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let faults = outcome.unexpected().len();
        let mark = if faults == 0 { ' ' } else { '!' };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{mark} {:<75} {:>5.1} s {:>4} cells {:>4} connections",
            outcome.title(),
            outcome.ready.as_secs_f64(),
            outcome.cells.len(),
            outcome.connections.attempts,
        );
    }
    for fault in outcomes.iter().flat_map(Outcome::unexpected) {
        let _ = writeln!(text, "unexpected: {fault}");
    }
    let (made, cells, connections, unexpected) = counts(outcomes);
    let _ = writeln!(
        text,
        "{made} transitions, {cells} cells, {connections} connections meanwhile, {unexpected} unexpected"
    );
    text
}

pub(crate) fn as_json(outcomes: &[Outcome], took: Duration) -> Value {
    let (made, cells, connections, unexpected) = counts(outcomes);
    let each = outcomes.iter().map(|outcome| {
        json!({
            "pool": outcome.name,
            "before": outcome.before.map(|before| before.to_string()),
            "after": outcome.after.to_string(),
            "readySeconds": outcome.ready.as_secs_f64(),
            "cells": outcome.cells.len(),
            "connections": outcome.connections.attempts,
            "unexpected": outcome.unexpected(),
        })
    });
    json!({
        "transitions": made,
        "cells": cells,
        "connections": connections,
        "unexpected": unexpected,
        "seconds": took.as_secs_f64(),
        "changes": each.collect::<Vec<_>>(),
    })
}
