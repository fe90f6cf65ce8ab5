//! Turns between namespaces, so that none of them delays another by the number of its objects. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use kube::Resource;
use kube::runtime::reflector::ObjectRef;

/// Something that belongs to a namespace.
pub trait Tenant {
    /// Returns the namespace; empty for what belongs to none.
    fn tenant(&self) -> &str;
}

impl<K: Resource> Tenant for ObjectRef<K> {
    fn tenant(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

/// Namespace and name.
impl Tenant for (String, String) {
    fn tenant(&self) -> &str {
        &self.0
    }
}

impl Tenant for &'static str {
    fn tenant(&self) -> &'static str {
        ""
    }
}

/// Items that wait, in the order in which they are served: first those of the namespaces of which the fewest items
/// are in progress, in turn among these. The items of one namespace keep their order.
///
/// An item waits for at most one item of every other namespace, and for one that is in progress. As long as anything
/// waits, [`Lanes::pop`] returns something, so nothing is reserved for namespaces that need nothing.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    namespaces: HashMap<String, Lane<T>>,
    /// The namespaces with waiting items by the number of their items in progress, then by turn.
    turns: BTreeMap<(usize, u64), String>,
    last_turn: u64,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    in_progress: usize,
    turn: u64,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            namespaces: HashMap::new(),
            turns: BTreeMap::new(),
            last_turn: 0,
        }
    }
}

impl<T: Tenant> Lanes<T> {
    /// Adds an item behind all others of its namespace.
    pub(crate) fn push(&mut self, item: T) {
        let turn = self.next_turn();
        let name = item.tenant().to_owned();
        let lane = self.namespaces.entry(name.clone()).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            in_progress: 0,
            turn,
        });
        if lane.waiting.is_empty() {
            lane.turn = turn;
            self.turns.insert((lane.in_progress, turn), name);
        }
        lane.waiting.push_back(item);
    }

    /// Takes the next item, which is in progress from now on, unless `most` items of its namespace are already.
    pub(crate) fn pop(&mut self, most: usize) -> Option<T> {
        let turn = self.next_turn();
        let (&(in_progress, before), _) = self.turns.first_key_value()?;
        if in_progress >= most {
            return None;
        }
        let name = self.turns.remove(&(in_progress, before))?;
        let lane = self.namespaces.get_mut(&name)?;
        let item = lane.waiting.pop_front()?;
        lane.in_progress = lane.in_progress.saturating_add(1);
        if !lane.waiting.is_empty() {
            lane.turn = turn;
            self.turns.insert((lane.in_progress, turn), name);
        }
        Some(item)
    }

    /// Ends the progress of an item of this namespace.
    pub(crate) fn done(&mut self, tenant: &str) {
        let Some(lane) = self.namespaces.get_mut(tenant) else {
            return;
        };
        let before = lane.in_progress;
        lane.in_progress = before.saturating_sub(1);
        if let Some(name) = self.turns.remove(&(before, lane.turn)) {
            self.turns.insert((lane.in_progress, lane.turn), name);
        } else if lane.in_progress == 0 {
            self.namespaces.remove(tenant);
        }
    }

    /// Returns whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    #[cfg(test)]
    fn known_namespaces(&self) -> usize {
        self.namespaces.len()
    }

    fn next_turn(&mut self) -> u64 {
        self.last_turn = self.last_turn.wrapping_add(1);
        self.last_turn
    }
}

#[cfg(test)]
mod tests;
