//! What the fake API server stores, and how requests change it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Kind in the plural, namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) plural: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn path(&self) -> String {
        let Self {
            plural,
            namespace,
            name,
        } = self;
        if namespace.is_empty() {
            return format!("/{plural}/{name}");
        }
        format!("/namespaces/{namespace}/{plural}/{name}")
    }

    pub(super) fn of(plural: &str, object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            plural: plural.to_owned(),
            namespace: text(&object["metadata"]["namespace"]),
            name: text(&object["metadata"]["name"]),
        }
    }
}

/// What a path addresses: an object, a subresource of it, or a collection.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) plural: String,
    pub(super) namespace: Option<String>,
    /// The name in the path, or in a field selector.
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
    pub(super) is_collection: bool,
}

impl Place {
    pub(super) fn of(path: &str, query: &str) -> Self {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        // The version of the core group, or group and version.
        if parts.next() != Some("api") {
            parts.next();
        }
        parts.next();
        let mut parts: Vec<&str> = parts.collect();
        let namespace = match parts.as_slice() {
            ["namespaces", namespace, _, ..] => Some((*namespace).to_owned()),
            _ => None,
        };
        if namespace.is_some() {
            parts.drain(..2);
        }
        let part = |at: usize| parts.get(at).map(|part| (*part).to_owned());
        let selected = parameter(query, "fieldSelector").and_then(|it| it.strip_prefix("metadata.name%3D"));
        Self {
            plural: part(0).unwrap_or_default(),
            namespace,
            name: part(1).or_else(|| selected.map(str::to_owned)),
            subresource: part(2),
            is_collection: parts.len() < 2,
        }
    }

    fn contains(&self, key: &Key) -> bool {
        let within = |namespace: &String| *namespace == key.namespace;
        self.plural == key.plural
            && self.namespace.as_ref().is_none_or(within)
            && self.name.as_ref().is_none_or(|name| *name == key.name)
    }

    fn key(&self, name: &str) -> Key {
        Key {
            plural: self.plural.clone(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        }
    }
}

/// Returns a parameter of a query.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut parameters = query.split('&').filter_map(|part| part.split_once('='));
    parameters.find_map(|(key, value)| (key == name).then_some(value))
}

/// How a request changes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Server-side apply.
    Apply,
    /// A merge patch or a strategic merge patch.
    Merge,
    Replace,
}

/// A request that is no list and no watch.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) place: Place,
    pub(super) change: Change,
    pub(super) manager: String,
    pub(super) body: Value,
}

/// An object that changed, and whether it was deleted.
pub(super) type Changed = (Value, bool);

type Answer = (u16, Value);

pub(super) struct Watch {
    place: Place,
    events: mpsc::UnboundedSender<String>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) objects: BTreeMap<Key, Value>,
    version: u64,
    history: Vec<(u64, Key, Value)>,
    watches: Vec<Watch>,
    /// Watches that receive nothing any more, and do not end.
    silent: Vec<Watch>,
    /// The fields of the status that a manager applied last.
    status_fields: HashMap<(Key, String), BTreeSet<String>>,
    /// Set by [`World::store`], read by the server.
    pub(super) changed: Vec<Changed>,
    /// The time of writes; `None` is a minute per write.
    pub(super) clock: Option<String>,
}

/// Prints an event in the order of the API server: the type comes first.
fn line(event: &Value) -> String {
    format!("{{\"type\":{},\"object\":{}}}\n", event["type"], event["object"])
}

impl World {
    /// Stores an object, and sends it to the watches.
    pub(super) fn store(&mut self, key: Key, mut object: Value) -> Value {
        self.version += 1;
        let now = self.time();
        let before = self.objects.get(&key);
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        let known = |field: &str| {
            let value = before.map(|before| before["metadata"][field].clone());
            value.filter(|value| !value.is_null())
        };
        let uid = known("uid").unwrap_or_else(|| json!(format!("uid-{}", self.version)));
        let created = known("creationTimestamp").unwrap_or_else(|| json!(now));
        let metadata = &mut object["metadata"];
        if metadata["uid"].is_null() {
            metadata["uid"] = uid;
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = created;
        }
        metadata["resourceVersion"] = json!(self.version.to_string());
        self.send(&key, json!({ "type": kind, "object": object }));
        self.changed.push((object.clone(), false));
        self.objects.insert(key, object.clone());
        object
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let object = self.objects.remove(key)?;
        self.status_fields.retain(|(of, _), _| of != key);
        self.version += 1;
        self.send(key, json!({ "type": "DELETED", "object": object }));
        self.changed.push((object.clone(), true));
        Some(object)
    }

    fn send(&mut self, key: &Key, event: Value) {
        let line = line(&event);
        self.watches
            .retain(|watch| !watch.place.contains(key) || watch.events.send(line.clone()).is_ok());
        self.history.push((self.version, key.clone(), event));
    }

    fn time(&self) -> String {
        let minutes = self.version;
        let clock = self.clock.clone();
        clock.unwrap_or_else(|| format!("2026-11-24T{:02}:{:02}:00Z", minutes / 60 % 24, minutes % 60))
    }

    pub(super) fn list(&self, place: &Place) -> Value {
        let objects = self.objects.iter().filter(|(key, _)| place.contains(key));
        let items: Vec<&Value> = objects.map(|(_, object)| object).collect();
        json!({
            "apiVersion": "v1", "kind": "List",
            "metadata": { "resourceVersion": self.version.to_string() },
            "items": items,
        })
    }

    pub(super) fn watch(&mut self, place: Place, since: u64) -> mpsc::UnboundedReceiver<String> {
        let (events, receiver) = mpsc::unbounded_channel();
        for (version, key, event) in &self.history {
            if *version > since && place.contains(key) {
                let _ = events.send(line(event));
            }
        }
        self.watches.push(Watch { place, events });
        receiver
    }

    pub(super) fn open_watches(&mut self) -> usize {
        self.watches.retain(|watch| !watch.events.is_closed());
        self.watches.len()
    }

    pub(super) fn end_watches(&mut self) {
        self.watches.clear();
    }

    pub(super) fn silence_watches(&mut self) {
        self.silent.append(&mut self.watches);
    }

    /// Removes an object without an event, and fails every watch because its resource version is too old.
    pub(super) fn lose(&mut self, key: &Key) {
        self.objects.remove(key);
        self.history.clear();
        let event = json!({ "type": "ERROR", "object": status(410, "Expired") });
        for watch in self.watches.drain(..) {
            let _ = watch.events.send(line(&event));
        }
    }

    pub(super) fn answer(&mut self, asked: Asked) -> Answer {
        let Asked {
            method,
            place,
            change,
            manager,
            body,
        } = asked;
        if method == Method::POST {
            return self.create(&place, body);
        }
        let Some(key) = place.name.as_deref().map(|name| place.key(name)) else {
            return refusal(405, "MethodNotAllowed");
        };
        let Some(object) = self.objects.get(&key).cloned() else {
            let is_apply = method == Method::PATCH && change == Change::Apply;
            if is_apply && place.subresource.is_none() && body["metadata"]["uid"].is_null() {
                return (201, self.apply(key, &Value::Null, body, &manager));
            }
            return refusal(404, "NotFound");
        };
        if let Some(conflict) = conflict(&object, &body) {
            return conflict;
        }
        match method {
            Method::GET => (200, object),
            Method::DELETE => (200, self.remove(&key).unwrap_or_default()),
            _ => match (change, place.subresource.as_deref()) {
                (Change::Replace, _) => (200, self.store(key, body)),
                (Change::Apply, Some("status")) => (200, self.apply_status(key, object, &body, manager)),
                (Change::Apply, _) => (200, self.apply(key, &object, body, &manager)),
                (Change::Merge, _) => (200, self.merge(key, object, &body, &manager)),
            },
        }
    }

    fn create(&mut self, place: &Place, body: Value) -> Answer {
        if place.plural == "events" {
            return (201, body);
        }
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        let key = place.key(name);
        if self.objects.contains_key(&key) {
            return refusal(409, "AlreadyExists");
        }
        (201, self.store(key, body))
    }

    /// Applies an object as if one manager owned all of it but its status.
    fn apply(&mut self, key: Key, before: &Value, mut body: Value, manager: &str) -> Value {
        let generation = before["metadata"]["generation"].as_i64().unwrap_or_default();
        let changed = i64::from(before["spec"] != body["spec"] || generation == 0);
        body["metadata"]["generation"] = json!(generation + changed);
        body["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
        if !before["status"].is_null() {
            body["status"] = before["status"].clone();
        }
        self.note_manager(&mut body, manager);
        self.store(key, body)
    }

    /// Replaces the fields of the status that this manager applied before.
    fn apply_status(&mut self, key: Key, mut object: Value, body: &Value, manager: String) -> Value {
        let applied = body["status"].as_object().cloned().unwrap_or_default();
        let fields: BTreeSet<String> = applied.keys().cloned().collect();
        let owner = (key.clone(), manager);
        let before = self.status_fields.insert(owner, fields).unwrap_or_default();
        if !object["status"].is_object() {
            object["status"] = json!({});
        }
        if let Some(status) = object["status"].as_object_mut() {
            status.retain(|field, _| !before.contains(field));
            status.extend(applied);
        }
        self.store(key, object)
    }

    fn merge(&mut self, key: Key, mut object: Value, body: &Value, manager: &str) -> Value {
        merge(&mut object, body);
        self.note_manager(&mut object, manager);
        self.store(key, object)
    }

    /// Writes the time of the change to the entry of the manager.
    fn note_manager(&self, object: &mut Value, manager: &str) {
        let entries = object["metadata"]["managedFields"].take();
        let mut entries = entries.as_array().cloned().unwrap_or_default();
        entries.retain(|entry| entry["manager"] != manager);
        entries.push(json!({ "manager": manager, "time": self.time() }));
        object["metadata"]["managedFields"] = entries.into();
    }
}

/// Returns a conflict when a request names another UID or resource version than the object has.
fn conflict(object: &Value, body: &Value) -> Option<Answer> {
    let metadata = &object["metadata"];
    let differs = |asked: &Value, field: &str| !asked.is_null() && *asked != metadata[field];
    let is_conflict = differs(&body["metadata"]["uid"], "uid")
        || differs(&body["preconditions"]["uid"], "uid")
        || differs(&body["metadata"]["resourceVersion"], "resourceVersion");
    is_conflict.then(|| refusal(409, "Conflict"))
}

/// RFC 7396, except that items of lists with a name are merged by it, as in a strategic merge patch.
fn merge(target: &mut Value, patch: &Value) {
    if let (Some(into), Some(from)) = (target.as_object_mut(), patch.as_object()) {
        for (key, value) in from {
            if value.is_null() {
                into.remove(key);
            } else {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        return;
    }
    let named = |item: &Value| item["name"].is_string();
    if let (Some(into), Some(from)) = (target.as_array_mut(), patch.as_array())
        && from.iter().all(named)
    {
        for item in from {
            match into.iter_mut().find(|known| known["name"] == item["name"]) {
                Some(known) => merge(known, item),
                None => into.push(item.clone()),
            }
        }
        return;
    }
    *target = patch.clone();
}

pub(super) fn refusal(code: u16, reason: &str) -> Answer {
    (code, status(code, reason))
}

fn status(code: u16, reason: &str) -> Value {
    let message = format!("the server says {reason}");
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}
