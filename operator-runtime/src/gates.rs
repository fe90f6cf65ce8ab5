//! Named gates between a start and readiness.
//!
//! Each part that must be warm before the process counts as ready takes a gate and opens it once.
//! A gate that is dropped unopened stays closed: a part that failed must not look ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The gates of a process.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<Mutex<BTreeMap<String, Option<String>>>>);

/// One gate. It is closed until [`Gate::open`].
#[derive(Debug)]
#[must_use = "the process is not ready before the gate is opened"]
pub struct Gate {
    gates: Gates,
    name: String,
}

impl Gates {
    /// Adds a closed gate. `name` is what `/readyz` shows, so it names what is waited for.
    pub fn gate(&self, name: impl Into<String>) -> Gate {
        let name = name.into();
        self.with(|closed| closed.insert(name.clone(), None));
        Gate {
            gates: self.clone(),
            name,
        }
    }

    /// Returns the closed gates, each with what is known about why.
    #[must_use]
    pub fn closed(&self) -> Vec<String> {
        self.with(|closed| {
            closed
                .iter()
                .map(|(name, why)| match why {
                    Some(why) => format!("{name}: {why}"),
                    None => name.clone(),
                })
                .collect()
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<String, Option<String>>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gate {
    /// Opens the gate for good.
    pub fn open(self) {
        self.gates.with(|closed| closed.remove(&self.name));
    }

    /// Notes for people why the gate is still closed.
    pub fn explain(&self, why: impl Into<String>) {
        let why = why.into();
        self.gates
            .with(|closed| closed.insert(self.name.clone(), Some(why)));
    }
}
