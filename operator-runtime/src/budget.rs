//! How much of what users write is kept in memory: a limit for each object, and one for all objects of a kind in a
//! namespace. Pure.
//!
//! Anybody may create objects with the labels of this project. Without limits, those of one namespace could use up the
//! memory of the process, which serves all namespaces.

use std::collections::HashMap;

use shared_types::limits;

use crate::decode::Undecodable;

/// What is kept of one kind. Objects of no namespace share one limit.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    namespaces: HashMap<String, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    objects: HashMap<String, usize>,
}

impl Budget {
    /// Counts an object, in place of its state before.
    ///
    /// # Errors
    /// When there is no room for it. Its state before still counts.
    pub(crate) fn admit(
        &mut self,
        namespace: Option<&str>,
        name: &str,
        bytes: usize,
    ) -> Result<(), Undecodable> {
        if bytes > limits::CACHED_OBJECT_BYTES {
            return Err(Undecodable::too_large(bytes));
        }
        let kept = self
            .namespaces
            .entry(namespace.unwrap_or_default().to_owned())
            .or_default();
        let before = kept.objects.get(name).copied().unwrap_or_default();
        let after = kept.bytes.saturating_sub(before).saturating_add(bytes);
        if after > limits::CACHED_NAMESPACE_BYTES && after > kept.bytes {
            return Err(Undecodable::no_room());
        }
        kept.bytes = after;
        kept.objects.insert(name.to_owned(), bytes);
        Ok(())
    }

    /// Forgets an object that is gone.
    pub(crate) fn release(&mut self, namespace: Option<&str>, name: &str) {
        let namespace = namespace.unwrap_or_default();
        let Some(kept) = self.namespaces.get_mut(namespace) else {
            return;
        };
        let bytes = kept.objects.remove(name).unwrap_or_default();
        kept.bytes = kept.bytes.saturating_sub(bytes);
        if kept.objects.is_empty() {
            self.namespaces.remove(namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = limits::CACHED_OBJECT_BYTES;
    const FIT: usize = limits::CACHED_NAMESPACE_BYTES / LARGE;

    fn full() -> Budget {
        let mut budget = Budget::default();
        for number in 0..FIT {
            budget
                .admit(Some("demo"), &format!("object-{number}"), LARGE)
                .unwrap();
        }
        budget
    }

    #[test]
    fn an_object_is_kept_up_to_a_size() {
        let mut budget = Budget::default();
        budget.admit(None, "fits", LARGE).unwrap();
        let refused = budget.admit(None, "large", LARGE + 1).unwrap_err();
        assert_eq!(refused, Undecodable::too_large(LARGE + 1));
    }

    #[test]
    fn one_namespace_takes_no_room_from_another() {
        let mut budget = full();
        let refused = budget.admit(Some("demo"), "more", 1).unwrap_err();
        assert_eq!(refused, Undecodable::no_room());
        budget.admit(Some("other"), "more", LARGE).unwrap();
    }

    #[test]
    fn the_state_before_makes_room_for_the_next() {
        let mut budget = full();
        for size in [LARGE, LARGE / 2, LARGE] {
            budget.admit(Some("demo"), "object-0", size).unwrap();
        }
        budget.release(Some("demo"), "object-0");
        budget.release(Some("demo"), "object-0");
        budget.admit(Some("demo"), "more", LARGE).unwrap();
        assert!(budget.admit(Some("demo"), "object-0", 1).is_err());
    }

    #[test]
    fn nothing_is_kept_of_what_is_gone() {
        let mut budget = full();
        for number in 0..FIT {
            budget.release(Some("demo"), &format!("object-{number}"));
        }
        budget.release(Some("unknown"), "object");
        assert!(budget.namespaces.is_empty());
    }
}
