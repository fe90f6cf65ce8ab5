//! How large a Pgpool and its annotations may be. The limits are in [`crate::limits`].

use std::borrow::Cow;

use kube::ResourceExt;

use super::Pgpool;
use crate::json_size;
use crate::limits::{ANNOTATION_BYTES, LABELS, SPEC_BYTES};

/// Why nothing of a Pgpool is read: it is too large. The end of a sentence about it.
///
/// # Errors
/// The limit, the actual size, and what to do.
pub fn check_size(pgpool: &Pgpool) -> Result<(), String> {
    let size = json_size(&pgpool.spec);
    if size > SPEC_BYTES {
        return Err(format!(
            "`spec` has {size} bytes as JSON, and at most {SPEC_BYTES} are accepted: move settings and scripts into a \
             Secret or ConfigMap, or shorten it"
        ));
    }
    let labels = pgpool.labels().len();
    if labels > LABELS {
        return Err(format!(
            "`metadata.labels` has {labels} entries, and at most {LABELS} are accepted, since every generated object gets \
             them: remove some"
        ));
    }
    Ok(())
}

/// The value of an annotation, unless it is too long to be parsed: then its length, in words that no parser accepts.
#[must_use]
pub fn bounded_annotation<'a>(pgpool: &'a Pgpool, key: &str) -> Option<Cow<'a, str>> {
    let value = pgpool.annotations().get(key)?;
    Some(if value.len() <= ANNOTATION_BYTES {
        Cow::Borrowed(value.as_str())
    } else {
        Cow::Owned(format!("a text of {} bytes", value.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pgpool(spec: serde_json::Value) -> Pgpool {
        let mut pgpool = Pgpool::new("pool", serde_json::from_value(spec).unwrap());
        pgpool.metadata.annotations =
            Some([("short".into(), "1h".into()), ("long".into(), "h".repeat(1025))].into());
        pgpool
    }

    #[test]
    fn a_spec_and_labels_are_counted() {
        let of = |size: usize| {
            let text = "x".repeat(size);
            let spec = serde_json::json!({"version": "4", "postgresRef": {"name": "pg"}, "configuration": {"inline": {"pgpool.conf": text}}});
            pgpool(spec)
        };
        let rest = json_size(&of(0).spec);
        assert_eq!(check_size(&of(SPEC_BYTES - rest)), Ok(()));
        let message = check_size(&of(SPEC_BYTES - rest + 1)).unwrap_err();
        assert!(
            message.contains("262145 bytes as JSON, and at most 262144"),
            "{message}"
        );
        let mut labeled = of(0);
        for (count, fits) in [(64, true), (65, false)] {
            let labels = (0..count).map(|number| (format!("l{number}"), String::new()));
            labeled.metadata.labels = Some(labels.collect());
            assert_eq!(check_size(&labeled).is_ok(), fits, "{count}");
        }
    }

    #[test]
    fn a_long_annotation_is_replaced_by_its_length() {
        let pgpool = pgpool(serde_json::json!({"version": "4", "postgresRef": {"name": "pg"}}));
        assert_eq!(bounded_annotation(&pgpool, "short").as_deref(), Some("1h"));
        assert_eq!(
            bounded_annotation(&pgpool, "long").as_deref(),
            Some("a text of 1025 bytes")
        );
        assert_eq!(bounded_annotation(&pgpool, "none"), None);
    }
}
