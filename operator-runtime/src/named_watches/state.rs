//! Which object refers to which, and what is known about each.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use shared_types::names;

use super::Lookup;
use crate::budget::Budget;
use crate::cache::Weighed;
use crate::wake_set::{WakeSet, Wakes};

/// An object that is referred to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Target {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Target {
    fn is_possible(&self) -> bool {
        names::is_possible_namespace(&self.namespace) && names::is_possible(&self.name)
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What follows from a change of references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// This object has its first referrer.
    First(Target, u64),
    /// This object lost its last referrer.
    NoMore(Target),
}

pub(super) struct Shared<K, R>
where
    R: Resource<DynamicType = ()>,
{
    state: Mutex<State<K, R>>,
    changed: WakeSet<ObjectRef<R>>,
}

struct State<K, R>
where
    R: Resource<DynamicType = ()>,
{
    referrers: HashMap<ObjectRef<R>, BTreeSet<Target>>,
    targets: HashMap<Target, Entry<K, R>>,
    /// How many watches were started so far.
    started: u64,
    /// Of what is in memory.
    budget: Budget,
}

struct Entry<K, R>
where
    R: Resource<DynamicType = ()>,
{
    number: u64,
    who: HashSet<ObjectRef<R>>,
    found: Lookup<K>,
}

impl<K, R> Default for Shared<K, R>
where
    R: Resource<DynamicType = ()>,
{
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                referrers: HashMap::new(),
                targets: HashMap::new(),
                started: 0,
                budget: Budget::default(),
            }),
            changed: WakeSet::default(),
        }
    }
}

impl<K, R> Shared<K, R>
where
    K: Clone,
    R: Resource<DynamicType = ()> + Clone,
{
    fn with<T>(&self, f: impl FnOnce(&mut State<K, R>) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn follow(&self, who: &ObjectRef<R>, what: &[(String, String)]) -> Vec<Followed> {
        let wanted: BTreeSet<Target> = what
            .iter()
            .map(|(namespace, name)| Target {
                namespace: namespace.clone(),
                name: name.clone(),
            })
            .filter(Target::is_possible)
            .collect();
        self.with(|state| {
            let before = if wanted.is_empty() {
                state.referrers.remove(who)
            } else {
                state.referrers.insert(who.clone(), wanted.clone())
            }
            .unwrap_or_default();
            let left = before
                .difference(&wanted)
                .filter_map(|target| state.leave(who, target));
            let mut followed: Vec<Followed> = left.collect();
            followed.extend(wanted.iter().filter_map(|target| state.enter(who, target)));
            followed
        })
    }

    pub(super) fn lookup(&self, namespace: &str, name: &str) -> Lookup<K> {
        let target = Target {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        if !target.is_possible() {
            return Lookup::Absent;
        }
        self.with(|state| {
            state
                .targets
                .get(&target)
                .map_or(Lookup::Pending, |entry| entry.found.clone())
        })
    }

    /// Returns how many objects are referred to.
    pub(super) fn targets(&self) -> usize {
        self.with(|state| state.targets.len())
    }

    pub(super) fn subscribe(self: &Arc<Self>) -> Wakes<ObjectRef<R>>
    where
        K: Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        let shared = Arc::clone(self);
        self.changed.subscribe_from(move || {
            let known = shared.with(|state| state.referrers.keys().cloned().collect::<Vec<_>>());
            known.into_iter().map(|who| (who.clone(), who)).collect()
        })
    }
}

impl<K, R> Shared<K, R>
where
    K: Resource<DynamicType = ()> + Clone,
    R: Resource<DynamicType = ()> + Clone,
{
    /// Stores what a watch found, and wakes the referrers when it changed.
    pub(super) fn found(&self, target: &Target, number: u64, found: Lookup<K>) {
        self.store(target, number, move |budget| {
            budget.release(Some(&target.namespace), &target.name);
            found
        });
    }

    /// As [`Shared::found`], for an object, if there is room for it.
    pub(super) fn received(&self, target: &Target, number: u64, received: Weighed<K>) {
        let Weighed { object, bytes } = received;
        self.store(target, number, move |budget| {
            match budget.admit(Some(&target.namespace), &target.name, bytes) {
                Ok(()) => Lookup::Present(Arc::new(object)),
                Err(why) => {
                    budget.release(Some(&target.namespace), &target.name);
                    Lookup::Undecodable(why)
                }
            }
        });
    }

    fn store(&self, target: &Target, number: u64, found: impl FnOnce(&mut Budget) -> Lookup<K>) {
        let who: Vec<ObjectRef<R>> = self.with(|state| match state.targets.get_mut(target) {
            Some(entry) if entry.number == number => {
                let found = found(&mut state.budget);
                if !differs(&entry.found, &found) {
                    return Vec::new();
                }
                entry.found = found;
                entry.who.iter().cloned().collect()
            }
            // From a watch that was stopped meanwhile.
            _ => Vec::new(),
        });
        for who in &who {
            self.changed.wake(who);
        }
    }
}

impl<K, R> State<K, R>
where
    R: Resource<DynamicType = ()> + Clone,
{
    fn enter(&mut self, who: &ObjectRef<R>, target: &Target) -> Option<Followed> {
        if let Some(entry) = self.targets.get_mut(target) {
            entry.who.insert(who.clone());
            return None;
        }
        self.started = self.started.wrapping_add(1);
        let entry = Entry {
            number: self.started,
            who: HashSet::from([who.clone()]),
            found: Lookup::Pending,
        };
        self.targets.insert(target.clone(), entry);
        Some(Followed::First(target.clone(), self.started))
    }

    fn leave(&mut self, who: &ObjectRef<R>, target: &Target) -> Option<Followed> {
        let entry = self.targets.get_mut(target)?;
        entry.who.remove(who);
        if !entry.who.is_empty() {
            return None;
        }
        self.targets.remove(target);
        self.budget.release(Some(&target.namespace), &target.name);
        Some(Followed::NoMore(target.clone()))
    }
}

fn differs<K: Resource>(before: &Lookup<K>, after: &Lookup<K>) -> bool {
    let version = |object: &Arc<K>| (object.uid(), object.resource_version());
    match (before, after) {
        (Lookup::Present(before), Lookup::Present(after)) => version(before) != version(after),
        (Lookup::Pending, Lookup::Pending)
        | (Lookup::Absent, Lookup::Absent)
        | (Lookup::Forbidden, Lookup::Forbidden) => false,
        (Lookup::Undecodable(before), Lookup::Undecodable(after)) => before != after,
        _ => true,
    }
}
