//! Named gates that must open before the process is ready.
//!
//! Each component that must finish its start first takes a gate and opens it once. A gate that is dropped
//! unopened stays closed: a component that failed must not look ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// The closed gates of a process by name, each with the reason if it is known.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<watch::Sender<BTreeMap<String, Option<String>>>>);

/// One gate. It is closed until [`Gate::open`].
#[derive(Debug)]
#[must_use = "the process is not ready before the gate is opened"]
pub struct Gate {
    gates: Gates,
    name: String,
}

impl Gates {
    /// Adds a closed gate. `/readyz` shows `name`, so it names what the process waits for.
    pub fn gate(&self, name: impl Into<String>) -> Gate {
        let name = name.into();
        self.0.send_modify(|closed| {
            closed.insert(name.clone(), None);
        });
        Gate {
            gates: self.clone(),
            name,
        }
    }

    /// Returns the closed gates, each with the reason if it is known.
    #[must_use]
    pub fn closed(&self) -> Vec<String> {
        self.0
            .borrow()
            .iter()
            .map(|(name, why)| match why {
                Some(why) => format!("{name}: {why}"),
                None => name.clone(),
            })
            .collect()
    }

    /// Waits until every gate is open.
    pub async fn opened(&self) {
        // Fails only when the sender is gone, which this holds.
        let _ = self.0.subscribe().wait_for(BTreeMap::is_empty).await;
    }
}

impl Gate {
    /// Opens the gate for good.
    pub fn open(self) {
        self.gates.0.send_modify(|closed| {
            closed.remove(&self.name);
        });
    }

    /// Sets the reason why the gate is still closed, for `/readyz` and the log.
    pub fn explain(&self, why: impl Into<String>) {
        let why = why.into();
        self.gates.0.send_modify(|closed| {
            closed.insert(self.name.clone(), Some(why));
        });
    }
}
