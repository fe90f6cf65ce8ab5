//! Whether a kind is served to us, for each part of the scope. Pure.

/// Whether the API server serves a kind to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Not known yet.
    Starting,
    /// Served, and every object is in the cache.
    Served,
    /// The API server does not know the kind; the cache is empty.
    Absent,
    /// We may not see the kind; the cache holds what was known before.
    Forbidden,
}

/// What is known of a kind in each part of the scope. Rights are given by namespace, so that one part may
/// be hidden while the others are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availabilities(Vec<(Option<String>, Availability)>);

impl Availabilities {
    /// Nothing is known yet of these parts; `None` is everything.
    pub(super) fn starting(parts: impl IntoIterator<Item = Option<String>>) -> Self {
        let parts = parts.into_iter();
        Self(
            parts
                .map(|namespace| (namespace, Availability::Starting))
                .collect(),
        )
    }

    /// Notes what is known of one part. Returns whether that is news.
    pub(super) fn set(&mut self, part: usize, state: Availability) -> bool {
        match self.0.get_mut(part) {
            Some((_, known)) if *known != state => {
                *known = state;
                true
            }
            _ => false,
        }
    }

    /// Returns what is known of the whole: the worst of the parts, and nothing before all are known.
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

    /// Returns what is known of one namespace. A namespace out of scope is as good as forbidden: nobody
    /// looks there.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Availability {
        self.0
            .iter()
            .find(|(part, _)| part.as_deref().is_none_or(|part| part == namespace))
            .map_or(Availability::Forbidden, |(_, state)| *state)
    }

    /// Returns whether we may see the kind nowhere.
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
    fn the_worst_part_speaks_for_the_whole_and_each_for_itself() {
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
                assert!(!known.set(part, state), "no news");
            }
            assert_eq!(known.whole(), whole, "{parts:?}");
            assert_eq!(known.is_hidden(), hidden, "{parts:?}");
            assert_eq!([known.within("a"), known.within("b")], parts);
            assert_eq!(known.within("c"), Forbidden);
        }
        assert_eq!(Availabilities::starting([None]).within("any"), Starting);
    }
}
