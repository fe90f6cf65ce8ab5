//! Whether a kind is available, for each part of the scope. Pure.

/// Whether a kind is available to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Not known yet.
    Starting,
    /// Every object is in the cache.
    Served,
    /// The API server does not serve the kind; the cache is empty.
    Absent,
    /// The operator may not read the kind; the cache keeps what was known before.
    Forbidden,
}

/// The availability of a kind in each part of the scope. Rights are granted per namespace, so one part may be
/// forbidden while the others are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availabilities(Vec<(Option<String>, Availability)>);

impl Availabilities {
    /// Returns parts of which nothing is known yet; `None` is the whole cluster.
    pub(super) fn starting(parts: impl IntoIterator<Item = Option<String>>) -> Self {
        let parts = parts.into_iter();
        Self(
            parts
                .map(|namespace| (namespace, Availability::Starting))
                .collect(),
        )
    }

    /// Sets the availability of one part. Returns whether it changed.
    pub(super) fn set(&mut self, part: usize, state: Availability) -> bool {
        match self.0.get_mut(part) {
            Some((_, known)) if *known != state => {
                *known = state;
                true
            }
            _ => false,
        }
    }

    /// Returns the availability of the whole scope: that of the worst part, once all are known.
    #[must_use]
    pub fn whole(&self) -> Availability {
        let mut worst = Availability::Served;
        for (_, state) in &self.0 {
            worst = match (worst, *state) {
                (Availability::Starting, _) | (_, Availability::Starting) => Availability::Starting,
                (Availability::Forbidden, _) | (_, Availability::Forbidden) => Availability::Forbidden,
                (Availability::Absent, _) | (_, Availability::Absent) => Availability::Absent,
                (Availability::Served, Availability::Served) => Availability::Served,
            };
        }
        worst
    }

    /// Returns the availability in one namespace. A namespace outside the scope counts as forbidden.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Availability {
        self.0
            .iter()
            .find(|(part, _)| part.as_deref().is_none_or(|part| part == namespace))
            .map_or(Availability::Forbidden, |(_, state)| *state)
    }

    /// Returns whether every part is forbidden.
    pub(super) fn is_hidden(&self) -> bool {
        let mut states = self.0.iter().map(|(_, state)| *state);
        states.all(|state| state == Availability::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::Availabilities;
    use super::Availability::{Absent, Forbidden, Served, Starting};

    #[test]
    fn the_whole_is_as_available_as_its_worst_part() {
        for (parts, whole, hidden) in [
            ([Served, Served], Served, false),
            ([Served, Starting], Starting, false),
            ([Forbidden, Starting], Starting, false),
            ([Served, Absent], Absent, false),
            ([Absent, Forbidden], Forbidden, false),
            ([Forbidden, Forbidden], Forbidden, true),
        ] {
            let mut known = Availabilities::starting([Some("a".to_owned()), Some("b".to_owned())]);
            for (part, state) in parts.into_iter().enumerate() {
                assert_eq!(known.set(part, state), state != Starting);
                assert!(!known.set(part, state), "unchanged");
            }
            assert_eq!(known.whole(), whole, "{parts:?}");
            assert_eq!(known.is_hidden(), hidden, "{parts:?}");
            assert_eq!([known.within("a"), known.within("b")], parts);
            assert_eq!(known.within("c"), Forbidden);
        }
        assert_eq!(Availabilities::starting([None]).within("any"), Starting);
    }
}
