//! A scripted API server, for tests of what is sent, in what order, and what follows from the answers.
//!
//! ```
//! # use operator_runtime::testing::{Call, Script};
//! # use serde_json::json;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # use k8s_openapi::api::core::v1::ConfigMap;
//! let (client, script) = Script::new()
//!     .expect(Call::get("/api/v1/namespaces/ns/configmaps/one").reply(json!({
//!         "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "one", "namespace": "ns" },
//!     })))
//!     .start();
//! kube::Api::<ConfigMap>::namespaced(client, "ns").get("one").await.unwrap();
//! script.finish().await;
//! # }
//! ```
//!
//! Calls are expected in the order of the script, or in any order after [`Script::any_order`]. A call
//! that is not expected is answered with status 500 and fails [`Running::finish`], which also fails when
//! an expected call does not come within some seconds.
#![expect(clippy::panic, reason = "this is how a test fails")]
#![cfg_attr(
    not(test),
    expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "what it counts and indexes comes from tests"
    )
)]

mod caches;
mod fake_api;
pub mod work;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;

pub use self::caches::TestCache;
pub use self::fake_api::FakeApi;

/// How long a call may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

type Check = Box<dyn FnOnce(&Value) + Send>;
type Answer = Box<dyn FnOnce(&Seen) -> (u16, Value) + Send>;

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query.
    pub query: String,
    /// The body, `null` when there is none.
    pub body: Value,
}

/// A call that is expected, and its answer.
pub struct Call {
    method: Method,
    path: String,
    query: Vec<String>,
    checks: Vec<Check>,
    answer: Answer,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Call {
    /// Expects a call. By default it is answered with its own body, as an API server would
    /// answer an apply.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            checks: Vec::new(),
            answer: Box::new(|seen| (200, seen.body.clone())),
        }
    }

    /// Expects a GET.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Expects a PATCH, which is what an apply is.
    #[must_use]
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// Expects a POST.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Expects a PUT.
    #[must_use]
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// Expects a DELETE.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Expects this text in the query.
    #[must_use]
    pub fn query(mut self, part: impl Into<String>) -> Self {
        self.query.push(part.into());
        self
    }

    /// Looks at the body; a panic of `check` fails the script.
    #[must_use]
    pub fn check(mut self, check: impl FnOnce(&Value) + Send + 'static) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// Answers with this.
    #[must_use]
    pub fn reply(self, body: Value) -> Self {
        self.reply_with(move |_| (200, body))
    }

    /// Answers with a refusal of the API server.
    #[must_use]
    pub fn refuse(self, code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        self.reply_with(move |_| (code, status(code, reason, &message)))
    }

    /// Answers with what this makes of the call.
    #[must_use]
    pub fn reply_with(mut self, answer: impl FnOnce(&Seen) -> (u16, Value) + Send + 'static) -> Self {
        self.answer = Box::new(answer);
        self
    }

    fn fits(&self, seen: &Seen) -> bool {
        self.method == seen.method
            && self.path == seen.path
            && self.query.iter().all(|part| seen.query.contains(part))
    }
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

/// The calls a test expects.
#[derive(Debug, Default)]
pub struct Script {
    calls: Vec<Call>,
    any_order: bool,
}

impl Script {
    /// Expects nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects a call after those before.
    #[must_use]
    pub fn expect(mut self, call: Call) -> Self {
        self.calls.push(call);
        self
    }

    /// Lets the calls come in any order.
    #[must_use]
    pub fn any_order(mut self) -> Self {
        self.any_order = true;
        self
    }

    /// Starts to answer. The default namespace of the client is `default`.
    pub fn start(self) -> (Client, Running) {
        let (service, handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let progress = Arc::new(Progress {
            inner: Mutex::new(Inner {
                remaining: self.calls,
                failures: Vec::new(),
            }),
            any_order: self.any_order,
            changed: Notify::new(),
        });
        let task = tokio::spawn(answer(handle, Arc::clone(&progress)));
        let client = Client::new(service, "default");
        (client, Running { progress, task })
    }
}

struct Progress {
    inner: Mutex<Inner>,
    any_order: bool,
    changed: Notify,
}

struct Inner {
    remaining: Vec<Call>,
    failures: Vec<String>,
}

/// A script that answers.
#[must_use = "call finish to learn whether the calls came"]
pub struct Running {
    progress: Arc<Progress>,
    task: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Running")
    }
}

impl Running {
    /// Waits until every expected call came. Further calls are answered with status 500 meanwhile.
    ///
    /// # Panics
    /// When a call was wrong, or did not come in time.
    pub async fn finish(self) {
        let done = tokio::time::timeout(PATIENCE, async {
            loop {
                let changed = self.progress.changed.notified();
                if self.progress.is_over() {
                    return;
                }
                changed.await;
            }
        })
        .await;
        // Calls that come too many have a moment to come.
        tokio::task::yield_now().await;
        self.task.abort();
        let inner = self.progress.lock();
        let mut report = String::new();
        for failure in &inner.failures {
            let _ = writeln!(report, "{failure}");
        }
        if done.is_err() {
            let _ = writeln!(report, "these calls did not come: {:?}", inner.remaining);
        }
        assert!(report.is_empty(), "{report}");
    }
}

impl Progress {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        let inner = self.lock();
        inner.remaining.is_empty() || !inner.failures.is_empty()
    }

    /// Finds the call that this is, or notes that it is none.
    fn take(&self, seen: &Seen) -> Option<Call> {
        let mut inner = self.lock();
        let at = if self.any_order {
            inner.remaining.iter().position(|call| call.fits(seen))
        } else {
            inner.remaining.first().filter(|call| call.fits(seen)).map(|_| 0)
        };
        if let Some(at) = at {
            return Some(inner.remaining.remove(at));
        }
        let expected = format!("{:?}", inner.remaining);
        inner.failures.push(format!(
            "not expected: {} {}?{} {}\n  expected: {expected}",
            seen.method, seen.path, seen.query, seen.body
        ));
        None
    }
}

async fn answer(
    mut handle: tower_test::mock::Handle<Request<Body>, Response<Body>>,
    progress: Arc<Progress>,
) {
    while let Some((request, send)) = handle.next_request().await {
        let seen = read(request).await;
        let (code, body) = match progress.take(&seen) {
            Some(call) => match checked(call.checks, &seen) {
                Ok(()) => (call.answer)(&seen),
                Err(failure) => {
                    progress.lock().failures.push(failure);
                    (500, status(500, "InternalError", "the call failed its check"))
                }
            },
            None => (500, status(500, "InternalError", "the call is not in the script")),
        };
        progress.changed.notify_waiters();
        match Response::builder()
            .status(code)
            .body(Body::from(body.to_string().into_bytes()))
        {
            Ok(response) => send.send_response(response),
            Err(error) => panic!("the script answers with nonsense: {error}"),
        }
    }
}

async fn read(request: Request<Body>) -> Seen {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes);
    Seen {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: bytes
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or(Value::Null),
    }
}

/// Runs checks, and turns a panic into a failure of the script.
fn checked(checks: Vec<Check>, seen: &Seen) -> Result<(), String> {
    for check in checks {
        let run = std::panic::AssertUnwindSafe(|| check(&seen.body));
        if let Err(panic) = std::panic::catch_unwind(run) {
            let why = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a check failed");
            return Err(format!(
                "{} {}: {why}\n  body: {}",
                seen.method, seen.path, seen.body
            ));
        }
    }
    Ok(())
}
