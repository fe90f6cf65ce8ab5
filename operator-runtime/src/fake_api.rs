//! An API server in memory, for the tests of this crate: objects, versions, lists and watches.
//!
//! It knows no schema and no rights, but it does refuse what it is told to refuse.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

type Sent = UnsyncBoxBody<axum::body::Bytes, Infallible>;

/// The server. Clones are the same server.
#[derive(Clone, Default)]
pub(crate) struct FakeApi(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    objects: BTreeMap<Key, Value>,
    version: u64,
    history: Vec<(u64, Key, Value)>,
    watches: Vec<Watch>,
    deaf: Vec<Watch>,
    refusals: HashMap<String, u16>,
    log: Vec<String>,
    down: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    plural: String,
    namespace: String,
    name: String,
}

/// A path and what of its query matters.
#[derive(Clone, Debug)]
struct Place {
    plural: String,
    namespace: Option<String>,
    name: Option<String>,
}

struct Watch {
    place: Place,
    events: mpsc::UnboundedSender<String>,
}

impl Place {
    fn of(path: &str, query: &str) -> Self {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        parts.drain(..if parts[0] == "api" { 2 } else { 3 });
        let namespace = (parts[0] == "namespaces" && parts.len() > 2).then(|| parts[1].to_owned());
        if namespace.is_some() {
            parts.drain(..2);
        }
        let selected = query
            .split('&')
            .find_map(|part| part.strip_prefix("fieldSelector=metadata.name%3D"));
        Self {
            plural: parts[0].to_owned(),
            namespace,
            name: parts.get(1).copied().or(selected).map(str::to_owned),
        }
    }

    fn holds(&self, name: &Key) -> bool {
        self.plural == name.plural
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == name.namespace)
            && self.name.as_ref().is_none_or(|wanted| *wanted == name.name)
    }
}

impl World {
    fn put(&mut self, name: Key, mut object: Value, kind: &str) -> Value {
        self.version += 1;
        let before = self.objects.get(&name);
        let uid = before.map_or_else(
            || json!(format!("uid-{}", self.version)),
            |before| before["metadata"]["uid"].clone(),
        );
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        object["metadata"]["uid"] = uid;
        self.tell(&name, json!({ "type": kind, "object": object }));
        self.objects.insert(name, object.clone());
        object
    }

    fn tell(&mut self, name: &Key, event: Value) {
        self.watches
            .retain(|watch| !watch.place.holds(name) || watch.events.send(format!("{event}\n")).is_ok());
        self.history.push((self.version, name.clone(), event));
    }

    fn list(&self, place: &Place) -> Value {
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(name, _)| place.holds(name))
            .map(|(_, object)| object)
            .collect();
        json!({
            "apiVersion": "v1", "kind": "List",
            "metadata": { "resourceVersion": self.version.to_string() },
            "items": items,
        })
    }

    fn watch(&mut self, place: Place, since: u64) -> mpsc::UnboundedReceiver<String> {
        let (events, receiver) = mpsc::unbounded_channel();
        for (version, name, event) in &self.history {
            if *version > since && place.holds(name) {
                let _ = events.send(format!("{event}\n"));
            }
        }
        self.watches.push(Watch { place, events });
        receiver
    }

    /// Answers everything but a watch.
    fn answer(&mut self, method: &Method, place: &Place, body: Value) -> (u16, Value) {
        let name = |name: &str| Key {
            plural: place.plural.clone(),
            namespace: place.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        };
        let addressed = place.name.as_deref().map(name);
        let present = addressed
            .as_ref()
            .and_then(|name| self.objects.get(name))
            .cloned();
        match (method, addressed, present) {
            (&Method::POST, _, _) => {
                let created = name(body["metadata"]["name"].as_str().unwrap_or_default());
                if self.objects.contains_key(&created) {
                    return refusal(409, "AlreadyExists");
                }
                (201, self.put(created, body, "ADDED"))
            }
            (_, Some(_), None) => refusal(404, "NotFound"),
            (&Method::GET, Some(_), Some(object)) => (200, object),
            (&Method::DELETE, Some(name), Some(object)) => {
                self.objects.remove(&name);
                self.version += 1;
                self.tell(&name, json!({ "type": "DELETED", "object": object }));
                (200, object)
            }
            (_, Some(name), Some(object)) => {
                let based_on = &body["metadata"]["resourceVersion"];
                if !based_on.is_null() && *based_on != object["metadata"]["resourceVersion"] {
                    return refusal(409, "Conflict");
                }
                let mut changed = if method == Method::PUT {
                    body.clone()
                } else {
                    object
                };
                merge(&mut changed, &body);
                (200, self.put(name, changed, "MODIFIED"))
            }
            _ => refusal(405, "MethodNotAllowed"),
        }
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let (Some(into), Some(from)) = (target.as_object_mut(), patch.as_object()) else {
        *target = patch.clone();
        return;
    };
    for (key, value) in from {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let message = format!("the server says {reason}");
    (
        code,
        json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure",
            "code": code, "reason": reason, "message": message,
        }),
    )
}

impl FakeApi {
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.respond(request).await }
        });
        Client::new(service, "ns")
    }

    async fn respond(&self, request: Request<Body>) -> Result<Response<Sent>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes);
        let body = bytes
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or(Value::Null);
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default());
        let place = Place::of(&path, query);
        let watched = query.contains("watch=true");
        let mut world = self.0.lock().unwrap();
        world.log.push(format!(
            "{}{} {path}",
            if watched { "WATCH " } else { "" },
            parts.method
        ));
        if world.down {
            return Err(std::io::Error::other("connection refused"));
        }
        let within = place
            .namespace
            .as_ref()
            .map(|namespace| format!("{namespace}/{}", place.plural));
        let refused = within.and_then(|within| world.refusals.get(&within));
        if let Some(code) = refused.or_else(|| world.refusals.get(&place.plural)) {
            let (code, body) = refusal(*code, if *code == 403 { "Forbidden" } else { "NotFound" });
            return Ok(whole(code, &body));
        }
        if watched {
            let since = query
                .split('&')
                .find_map(|part| part.strip_prefix("resourceVersion="))
                .and_then(|version| version.parse().ok())
                .unwrap_or(0);
            let events = UnboundedReceiverStream::new(world.watch(place, since));
            let frames = events.map(|line| Ok(http_body::Frame::data(axum::body::Bytes::from(line))));
            return Ok(Response::new(StreamBody::new(frames).boxed_unsync()));
        }
        let collection = parts.method == Method::GET && !path.ends_with(place.name.as_deref().unwrap_or("/"));
        let (code, body) = if collection {
            (200, world.list(&place))
        } else {
            world.answer(&parts.method, &place, body)
        };
        Ok(whole(code, &body))
    }

    fn name(plural: &str, object: &Value) -> Key {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Key {
            plural: plural.to_owned(),
            namespace: text(&object["metadata"]["namespace"]),
            name: text(&object["metadata"]["name"]),
        }
    }

    /// Puts an object there, as somebody else would.
    pub(crate) fn put(&self, plural: &str, object: &Value) {
        let mut world = self.0.lock().unwrap();
        let name = Self::name(plural, object);
        let kind = if world.objects.contains_key(&name) {
            "MODIFIED"
        } else {
            "ADDED"
        };
        world.put(name, object.clone(), kind);
    }

    /// Removes an object, as somebody else would.
    pub(crate) fn remove(&self, plural: &str, namespace: &str, name: &str) {
        let mut world = self.0.lock().unwrap();
        let place = Place {
            plural: plural.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
        };
        world.answer(&Method::DELETE, &place, Value::Null);
    }

    /// Returns an object.
    pub(crate) fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let name = Key {
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        self.0.lock().unwrap().objects.get(&name).cloned()
    }

    /// Removes an object without a word to any watch, and tells the watches that their place in the
    /// history is gone.
    pub(crate) fn lose(&self, plural: &str, object: &Value) {
        let mut world = self.0.lock().unwrap();
        world.objects.remove(&Self::name(plural, object));
        let (_, gone) = refusal(410, "Expired");
        let event = json!({ "type": "ERROR", "object": gone });
        world.history.clear();
        for watch in world.watches.drain(..) {
            let _ = watch.events.send(format!("{event}\n"));
        }
    }

    /// Ends every watch, as the server does every few minutes.
    pub(crate) fn end_watches(&self) {
        self.0.lock().unwrap().watches.clear();
    }

    /// Lets every open watch hear nothing more, and not end either, as when a connection dies without a word.
    pub(crate) fn black_hole(&self) {
        let mut world = self.0.lock().unwrap();
        let watches = std::mem::take(&mut world.watches);
        world.deaf.extend(watches);
    }

    /// Refuses every request about a kind (`plural`, or `namespace/plural`) with this code, or no longer.
    pub(crate) fn refuse(&self, plural: &str, code: Option<u16>) {
        let mut world = self.0.lock().unwrap();
        world.watches.clear();
        match code {
            Some(code) => world.refusals.insert(plural.to_owned(), code),
            None => world.refusals.remove(plural),
        };
    }

    /// Lets no connection through, or again.
    pub(crate) fn down(&self, down: bool) {
        let mut world = self.0.lock().unwrap();
        world.down = down;
        if down {
            world.watches.clear();
        }
    }

    /// Returns the requests so far, and forgets them.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().log)
    }

    /// Returns how many watches are open.
    pub(crate) fn watches(&self) -> usize {
        let mut world = self.0.lock().unwrap();
        world.watches.retain(|watch| !watch.events.is_closed());
        world.watches.len()
    }
}

fn whole(code: u16, body: &Value) -> Response<Sent> {
    let mut response = Response::new(Full::from(body.to_string()).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}
