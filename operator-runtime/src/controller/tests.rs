//! The driver, with caches filled by hand and paused time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Classified, NAMESPACE_TERMINATING, Options, drive};
use crate::liveness::Liveness;
use crate::metrics::{Metrics, SharedRegistry};
use crate::outcome::Outcome;
use crate::ownership::{Everything, Key, Ownership};
use crate::testing::TestCache;

#[derive(Debug, thiserror::Error)]
#[error("the test wants a failure")]
struct Failure(&'static str);

impl Classified for Failure {
    fn class(&self) -> &'static str {
        self.0
    }
}

type Result = std::result::Result<Outcome, Failure>;

fn object(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("ns".to_owned()),
            uid: Some(format!("uid-{name}")),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

fn key(name: &str) -> ObjectRef<ConfigMap> {
    ObjectRef::new(name).within("ns")
}

/// A controller under test, and what it did.
struct Rig {
    objects: TestCache<ConfigMap>,
    registry: SharedRegistry,
    drain: CancellationToken,
    triggers: mpsc::UnboundedSender<ObjectRef<ConfigMap>>,
    calls: Arc<Mutex<Vec<(String, Duration)>>>,
    driven: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn new<Fut>(
        names: &[&str],
        ownership: Arc<dyn Ownership>,
        reconcile: impl Fn(String) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Fut: Future<Output = Result> + Send + 'static,
    {
        let objects = TestCache::of(names.iter().map(|name| object(name)));
        let registry = SharedRegistry::default();
        let drain = CancellationToken::new();
        let options = Options {
            name: "test",
            concurrency: 2,
            drain: drain.clone(),
            metrics: Metrics::register(&registry),
            ownership,
            liveness: Liveness::default(),
            reconciles: TaskTracker::new(),
        };
        let (triggers, receiver) = mpsc::unbounded_channel();
        let queue = StreamExt::boxed(stream::select(
            objects
                .cache
                .changes()
                .map(|object| ObjectRef::from(object.as_ref())),
            UnboundedReceiverStream::new(receiver),
        ));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&calls);
        let started = Instant::now();
        let driven = tokio::spawn(drive(
            options,
            objects.cache.clone(),
            queue,
            Arc::new(()),
            move |object: Arc<ConfigMap>, _| {
                noted.lock().unwrap().push((object.name_any(), started.elapsed()));
                reconcile(object.name_any())
            },
        ));
        Self {
            objects,
            registry,
            drain,
            triggers,
            calls,
            driven,
        }
    }

    fn of<Fut>(names: &[&str], reconcile: impl Fn(String) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Result> + Send + 'static,
    {
        Self::new(names, Arc::new(Everything), reconcile)
    }

    fn count(&self, name: &str) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|(called, _)| called == name)
            .count()
    }

    fn shows(&self, line: &str) -> bool {
        let text = self.registry.encode().unwrap();
        text.lines().any(|shown| shown == line)
    }
}

#[tokio::test(start_paused = true)]
async fn converged_objects_are_looked_at_again_within_the_hour() {
    let rig = Rig::of(&["a"], |_| async { Ok(Outcome::Converged) });
    sleep(Duration::from_mins(39)).await;
    assert_eq!(rig.count("a"), 1);
    sleep(Duration::from_mins(22)).await;
    assert_eq!(rig.count("a"), 2);
    let line = r#"pgpool_operator_objects{controller="test",outcome="converged",reason=""} 1"#;
    assert!(rig.shows(line), "{}", rig.registry.encode().unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_outcome_says_when_to_look_again() {
    let rig = Rig::of(&["waits", "due", "rejected"], |name| async move {
        Ok(match name.as_str() {
            "waits" => Outcome::Waiting {
                reason: "Slow",
                after: Some(Duration::from_secs(7)),
            },
            "due" => Outcome::ConvergedUntil(Duration::from_secs(20)),
            _ => Outcome::Rejected { reason: "Wrong" },
        })
    });
    sleep(Duration::from_secs(30)).await;
    assert_eq!(rig.count("waits"), 5);
    assert_eq!(rig.count("due"), 2);
    assert_eq!(rig.count("rejected"), 1);
    assert!(rig.shows(r#"pgpool_operator_objects{controller="test",outcome="waiting",reason="Slow"} 1"#));
    assert!(rig.shows(r#"pgpool_operator_objects{controller="test",outcome="rejected",reason="Wrong"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_fails_backs_off_and_holds_up_no_other() {
    let rig = Rig::of(&["bad", "good"], |name| async move {
        if name == "bad" {
            Err(Failure("test"))
        } else {
            Ok(Outcome::Converged)
        }
    });
    sleep(Duration::from_mins(10)).await;
    let times: Vec<Duration> = rig
        .calls
        .lock()
        .unwrap()
        .iter()
        .filter(|(name, _)| name == "bad")
        .map(|(_, at)| *at)
        .collect();
    let gaps: Vec<Duration> = times
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    assert!(gaps[0] <= Duration::from_millis(251), "{gaps:?}");
    assert!(
        gaps.iter().all(|gap| *gap <= Duration::from_millis(60_001)),
        "{gaps:?}"
    );
    assert!(
        gaps.iter().skip(9).all(|gap| *gap >= Duration::from_secs(30)),
        "{gaps:?}"
    );
    for _ in 0..20 {
        rig.triggers.send(key("good")).unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.count("good"), 21);
    assert!(rig.shows(r#"pgpool_operator_objects{controller="test",outcome="failing",reason="test"} 1"#));
    let errors = format!(
        r#"controller_runtime_reconcile_errors_total{{controller="test",class="test"}} {}"#,
        times.len()
    );
    assert!(rig.shows(&errors), "{errors}");
}

#[tokio::test(start_paused = true)]
async fn an_object_whose_namespace_is_being_deleted_is_not_retried_and_no_error() {
    let rig = Rig::of(&["a"], |_| async { Err(Failure(NAMESPACE_TERMINATING)) });
    sleep(Duration::from_mins(10)).await;
    assert_eq!(rig.count("a"), 1);
    assert!(rig.shows(
        r#"pgpool_operator_objects{controller="test",outcome="waiting",reason="NamespaceTerminating"} 1"#
    ));
}

#[tokio::test(start_paused = true)]
async fn a_success_forgives_the_failures_before() {
    let fails = Arc::new(AtomicUsize::new(6));
    let left = Arc::clone(&fails);
    let rig = Rig::of(&["a"], move |_| {
        let left = Arc::clone(&left);
        async move {
            let failing = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if failing.is_ok() {
                Err(Failure("test"))
            } else {
                Ok(Outcome::Converged)
            }
        }
    });
    sleep(Duration::from_mins(1)).await;
    assert_eq!(rig.count("a"), 7);
    fails.store(1, Ordering::SeqCst);
    rig.triggers.send(key("a")).unwrap();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.count("a"), 9, "the next failure is the first again");
}

#[tokio::test(start_paused = true)]
async fn one_object_is_never_reconciled_twice_at_once_and_two_at_most_are() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static A_RUNS: AtomicBool = AtomicBool::new(false);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let rig = Rig::of(&["a", "b", "c", "d"], |name| async move {
        if name == "a" {
            assert!(!A_RUNS.swap(true, Ordering::SeqCst), "a runs twice");
        }
        let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(running, Ordering::SeqCst);
        sleep(Duration::from_secs(1)).await;
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        if name == "a" {
            A_RUNS.store(false, Ordering::SeqCst);
        }
        Ok(Outcome::Converged)
    });
    for _ in 0..50 {
        rig.triggers.send(key("a")).unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(MOST.load(Ordering::SeqCst), 2);
    assert!((4..=6).contains(&rig.count("a")), "{}", rig.count("a"));
    assert_eq!(rig.count("d"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_what_runs_and_starts_nothing() {
    static FINISHED: AtomicUsize = AtomicUsize::new(0);
    let rig = Rig::of(&["a", "b", "c"], |_| async {
        sleep(Duration::from_secs(3)).await;
        FINISHED.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome::Converged)
    });
    sleep(Duration::from_secs(1)).await;
    let before = rig.calls.lock().unwrap().len();
    assert_eq!(before, 2);
    rig.drain.cancel();
    rig.driven.await.unwrap();
    assert_eq!(FINISHED.load(Ordering::SeqCst), 2);
    assert_eq!(rig.calls.lock().unwrap().len(), before);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_left_alone() {
    #[derive(Debug)]
    struct OnlyA;
    impl Ownership for OnlyA {
        fn owns(&self, key: Key<'_>) -> bool {
            key == Key {
                namespace: Some("ns"),
                name: "a",
            }
        }
    }
    let rig = Rig::new(&["a", "b"], Arc::new(OnlyA), |_| async { Ok(Outcome::Converged) });
    sleep(Duration::from_mins(1)).await;
    assert_eq!((rig.count("a"), rig.count("b")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_is_forgotten() {
    let rig = Rig::of(&["a"], |_| async { Err(Failure("test")) });
    sleep(Duration::from_mins(5)).await;
    rig.objects.delete(object("a"));
    sleep(Duration::from_mins(5)).await;
    let line = r#"pgpool_operator_objects{controller="test",outcome="failing",reason="test"} 0"#;
    assert!(rig.shows(line), "{}", rig.registry.encode().unwrap());
    assert!(rig.shows(r#"workqueue_depth{name="test"} 0"#));
    let calls = rig.count("a");
    sleep(Duration::from_mins(5)).await;
    assert_eq!(rig.count("a"), calls);
    rig.objects.apply(object("a"));
    sleep(Duration::from_millis(600)).await;
    assert!(rig.count("a") >= calls + 2, "its failures are forgotten too");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_failure_of_its_object_alone() {
    let rig = Rig::of(&["bad", "good"], |name| async move {
        assert!(name != "bad", "on purpose");
        Ok(Outcome::Converged)
    });
    sleep(Duration::from_mins(2)).await;
    let bad = rig.count("bad");
    assert!((5..=15).contains(&bad), "{bad}");
    assert_eq!(rig.count("good"), 1);
    rig.triggers.send(key("good")).unwrap();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(rig.count("good"), 2, "the controller goes on");
    for line in [
        r#"pgpool_operator_objects{controller="test",outcome="failing",reason="panic"} 1"#.to_owned(),
        format!(r#"controller_runtime_reconcile_errors_total{{controller="test",class="panic"}} {bad}"#),
        r#"controller_runtime_active_workers{controller="test"} 0"#.to_owned(),
    ] {
        assert!(rig.shows(&line), "{line}: {}", rig.registry.encode().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_never_ends_is_ended_and_retried() {
    let rig = Rig::of(&["hangs", "good"], |name| async move {
        if name == "hangs" {
            std::future::pending::<()>().await;
        }
        Ok(Outcome::Converged)
    });
    sleep(Duration::from_mins(5)).await;
    assert_eq!((rig.count("hangs"), rig.count("good")), (3, 1));
    assert!(rig.shows(r#"pgpool_operator_objects{controller="test",outcome="failing",reason="timeout"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_with_many_failing_objects_does_not_delay_another() {
    let many: Vec<String> = (0..1000).map(|number| format!("many-{number}")).collect();
    let names: Vec<&str> = many.iter().map(String::as_str).collect();
    let rig = Rig::of(&names, |name| async move {
        sleep(Duration::from_millis(100)).await;
        if name == "one" {
            Ok(Outcome::Converged)
        } else {
            Err(Failure("test"))
        }
    });
    sleep(Duration::from_secs(5)).await;
    let mut other = object("one");
    other.metadata.namespace = Some("other".to_owned());
    rig.objects.apply(other);
    sleep(Duration::from_millis(201)).await;
    assert_eq!(rig.count("one"), 1, "it started when the next place was free");
}
