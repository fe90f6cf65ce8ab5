//! When pods are probed, and which results trigger a reconcile. Time is paused: a second takes no time.

mod pod_health;

use std::collections::VecDeque;
use std::time::Duration;

use futures::FutureExt;
use shared_types::SslMode;
use tokio::time::{Instant, sleep};

use super::*;
use crate::credential::Credential;
use crate::health::transcript::Transcript;
use crate::pgpool::observe::Lookup;

/// Answers from a list and repeats the last answer; records which pod was probed when.
#[derive(Default)]
struct Scripted {
    probed: Mutex<Vec<(u64, String, String)>>,
    answers: Mutex<VecDeque<Answer>>,
    began: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy)]
enum Answer {
    Accepts,
    Refuses(&'static str),
}

impl Prober for Scripted {
    fn probe(&self, pod: Pod, access: Arc<Access>) -> BoxFuture<'static, Probe> {
        let second = self.began.lock().unwrap().unwrap().elapsed().as_secs();
        self.probed
            .lock()
            .unwrap()
            .push((second, pod.uid, access.login.user.clone()));
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().copied()
        };
        let login = match answer {
            None | Some(Answer::Accepts) => Ok(()),
            Some(Answer::Refuses(reason)) => Err(LoginFailure::Broken {
                reason: reason.to_owned(),
            }),
        };
        std::future::ready(Probe::ended(None, login)).boxed()
    }
}

fn access(user: &str) -> Access {
    let access = fixtures::access();
    Access {
        login: Credential {
            user: user.to_owned(),
            ..access.login.clone()
        },
        ..access
    }
}

fn pod(uid: &str, ready: bool) -> Pod {
    Pod {
        uid: uid.to_owned(),
        ip: [10, 0, 0, 1].into(),
        ready,
        identity: PodIdentity::PlainText,
        address_refusal: None,
    }
}

fn key() -> ObjectRef<Pgpool> {
    ObjectRef::new("pool").within("demo")
}

struct Stage {
    health: Health,
    prober: Arc<Scripted>,
    changes: BoxStream<'static, ObjectRef<Pgpool>>,
}

impl Stage {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let prober = Arc::new(Scripted {
            answers: Mutex::new(answers.into_iter().collect()),
            began: Mutex::new(Some(Instant::now())),
            ..Scripted::default()
        });
        let health = Health::new(prober.clone(), Metrics::default(), CancellationToken::new());
        let changes = health.changes();
        Self {
            health,
            prober,
            changes,
        }
    }

    async fn until(&self, second: u64) {
        let began = self.prober.began.lock().unwrap().unwrap();
        sleep((began + Duration::from_secs(second)) - Instant::now() + Duration::from_millis(1)).await;
    }

    /// The seconds at which a pod was probed.
    fn probed(&self, uid: &str) -> Vec<u64> {
        let probed = self.prober.probed.lock().unwrap();
        probed
            .iter()
            .filter(|(_, pod, _)| pod == uid)
            .map(|(second, ..)| *second)
            .collect()
    }

    /// How many reconciles were triggered since the last call.
    fn triggered(&mut self) -> usize {
        std::iter::from_fn(|| self.changes.next().now_or_never().flatten()).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_ready_pod_is_probed_immediately_and_then_once_per_period() {
    let mut stage = Stage::new([]);
    stage
        .health
        .set_targets(&key(), vec![pod("a", true), pod("b", false)], Some(access("u")));
    stage.until(25).await;
    assert_eq!(stage.probed("a"), [0, 10, 20]);
    assert_eq!(stage.probed("b"), [10, 20], "not ready: once per period only");
    assert_eq!(
        stage.triggered(),
        1,
        "the first results, not the equal ones after them"
    );
    assert_eq!(stage.health.results(&key()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_outdates_the_last_result_causes_a_probe_immediately() {
    let stage = Stage::new([]);
    let ready = || vec![pod("a", true)];
    stage
        .health
        .set_targets(&key(), vec![pod("a", false)], Some(access("u")));
    stage.until(3).await;
    stage.health.set_targets(&key(), ready(), Some(access("u")));
    stage.until(5).await;
    assert_eq!(stage.probed("a"), [3], "became ready");
    stage.health.set_targets(&key(), ready(), Some(access("u")));
    stage.health.set_targets(&key(), ready(), None);
    stage.until(7).await;
    assert_eq!(stage.probed("a"), [3], "nothing new");
    stage.health.set_targets(&key(), ready(), Some(access("other")));
    stage.until(20).await;
    assert_eq!(stage.probed("a"), [3, 7, 17], "another login");
    let patient = Access {
        period: Duration::from_mins(1),
        ..access("other")
    };
    stage.health.set_targets(&key(), ready(), Some(patient));
    stage.until(40).await;
    assert_eq!(
        stage.probed("a"),
        [3, 7, 17, 27],
        "a new period begins after the current one"
    );
}

/// Takes a fixed time per probe, and records when each started.
struct Slow(Duration, Mutex<Vec<u64>>, Instant);

impl Prober for Slow {
    fn probe(&self, _: Pod, _: Arc<Access>) -> BoxFuture<'static, Probe> {
        self.1.lock().unwrap().push(self.2.elapsed().as_secs());
        let login = Ok(());
        sleep(self.0).map(|()| Probe::ended(None, login)).boxed()
    }
}

/// What a Pgpool costs its PostgreSQL: at most one connection per pod and period, also where an answer takes longer than
/// a period.
#[tokio::test(start_paused = true)]
async fn no_pod_is_probed_twice_in_a_period() {
    for (takes, expected) in [(0, 31), (3, 31), (10, 31), (25, 13)] {
        let prober = Arc::new(Slow(Duration::from_secs(takes), Mutex::default(), Instant::now()));
        let health = Health::new(prober.clone(), Metrics::default(), CancellationToken::new());
        health.set_targets(&key(), vec![pod("a", true)], Some(access("u")));
        sleep(Duration::from_millis(300_001)).await;
        let probed = prober.1.lock().unwrap().clone();
        assert!(
            probed.windows(2).all(|it| it[1] - it[0] >= 10),
            "{takes} s: {probed:?}"
        );
        assert_eq!(
            probed.len(),
            expected,
            "in five minutes, {takes} s each: {probed:?}"
        );
    }
}

/// Answers at one time, and records when connections were opened.
struct Late {
    began: Instant,
    at: Duration,
    opened: Mutex<Vec<u64>>,
}

impl Prober for Late {
    fn probe(&self, _: Pod, access: Arc<Access>) -> BoxFuture<'static, Probe> {
        self.opened.lock().unwrap().push(self.began.elapsed().as_secs());
        let answered = self.began + self.at;
        let login = async move {
            tokio::time::sleep_until(answered).await;
            Ok(())
        };
        let timeout = access.timeout;
        Unanswered::new(login.boxed(), Transcript::default(), access)
            .within(timeout)
            .boxed()
    }
}

/// While all children of pgpool are taken, the operator has one place in its queue and no more.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_answered_is_kept_and_no_other_is_opened() {
    let prober = Arc::new(Late {
        began: Instant::now(),
        at: Duration::from_secs(47),
        opened: Mutex::default(),
    });
    let health = Health::new(prober.clone(), Metrics::default(), CancellationToken::new());
    let mut changes = health.changes();
    health.set_targets(&key(), vec![pod("a", true)], Some(access("u")));
    let reason = || health.results(&key())["a"].login.reason();
    sleep(Duration::from_secs(46)).await;
    assert_eq!(reason(), Some(Reason::NoFreeChild));
    assert_eq!(health.results(&key())["a"].failures, 5, "one for each period");
    assert_eq!(*prober.opened.lock().unwrap(), [0]);
    let triggered = std::iter::from_fn(|| changes.next().now_or_never().flatten()).count();
    assert_eq!(triggered, 1, "the same result each time");
    sleep(Duration::from_secs(30)).await;
    assert_eq!(reason(), None);
    assert_eq!(
        *prober.opened.lock().unwrap(),
        [0, 47, 57, 67],
        "at once when a child is free"
    );

    // Another login may succeed where this one hangs.
    prober.opened.lock().unwrap().clear();
    let prober = Arc::new(Late {
        began: Instant::now(),
        at: Duration::from_hours(9),
        opened: Mutex::default(),
    });
    let health = Health::new(prober.clone(), Metrics::default(), CancellationToken::new());
    health.set_targets(&key(), vec![pod("a", true)], Some(access("u")));
    sleep(Duration::from_secs(14)).await;
    health.set_targets(&key(), vec![pod("a", true)], Some(access("other")));
    sleep(Duration::from_mins(20)).await;
    assert_eq!(
        *prober.opened.lock().unwrap(),
        [0, 14, 624],
        "one that may have been lost is replaced after ten minutes"
    );
}

/// Never answers for pods of one Pgpool, as where a network policy drops packets; records when the others were probed.
struct Blocked(Mutex<Vec<u64>>, Instant);

impl Prober for Blocked {
    fn probe(&self, pod: Pod, access: Arc<Access>) -> BoxFuture<'static, Probe> {
        let login = Ok(());
        let mut takes = Duration::ZERO;
        if pod.uid.starts_with("blocked") {
            takes = access.timeout;
        } else {
            self.0.lock().unwrap().push(self.1.elapsed().as_secs());
        }
        sleep(takes).map(|()| Probe::ended(None, login)).boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_whose_pods_do_not_answer_delays_no_other() {
    let prober = Arc::new(Blocked(Mutex::default(), Instant::now()));
    let health = Health::new(prober.clone(), Metrics::default(), CancellationToken::new());
    let slow = Access {
        timeout: Duration::from_secs(30),
        ..access("u")
    };
    for namespace in ["blocked-a", "blocked-b", "blocked-c"] {
        for pool in 0..100 {
            let key = ObjectRef::new(&format!("pool-{pool}")).within(namespace);
            let pods = (0..9).map(|ordinal| pod(&format!("blocked {namespace} {pool} {ordinal}"), true));
            health.set_targets(&key, pods.collect(), Some(slow.clone()));
        }
    }
    sleep(Duration::from_secs(45)).await;
    health.set_targets(&key(), vec![pod("a", true)], Some(access("u")));
    sleep(Duration::from_secs(25)).await;
    assert_eq!(*prober.0.lock().unwrap(), [45, 55, 65]);
}

#[tokio::test(start_paused = true)]
async fn md5_is_answered_for_a_while_after_it_was_no_longer_allowed() {
    let stage = Stage::new([]);
    let set = |md5| {
        let access = Access { md5, ..access("u") };
        stage
            .health
            .set_targets(&key(), vec![pod("a", true)], Some(access));
        stage.health.lock()[&key()].access.clone().unwrap()
    };
    assert!(!set(false).answers_md5());
    assert!(set(true).answers_md5());
    assert!(set(false).answers_md5(), "pods have not reloaded their rules yet");
    stage.until(59).await;
    assert!(set(false).answers_md5());
    stage.until(61).await;
    assert!(!set(false).answers_md5());
}

#[tokio::test(start_paused = true)]
async fn deleted_pods_are_forgotten() {
    let stage = Stage::new([]);
    stage.health.set_targets(&key(), vec![pod("a", true)], None);
    stage.until(1).await;
    assert_eq!(stage.probed("a"), [0; 0], "no login is known");
    stage
        .health
        .set_targets(&key(), vec![pod("a", true)], Some(access("u")));
    stage.until(2).await;
    stage.health.set_targets(&key(), vec![pod("b", true)], None);
    stage.until(30).await;
    assert_eq!(stage.probed("a"), [1]);
    assert_eq!(stage.probed("b"), [2, 12, 22], "with the login known before");
    stage.health.forget(&key());
    stage.until(60).await;
    assert_eq!(stage.probed("b"), [2, 12, 22]);
    assert!(stage.health.results(&key()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_a_different_result_triggers_a_reconcile() {
    use Answer::{Accepts, Refuses};
    let mut stage = Stage::new([Accepts, Refuses("a"), Refuses("b"), Refuses("c"), Accepts]);
    let access = Access {
        failure_threshold: 2,
        ..access("u")
    };
    stage
        .health
        .set_targets(&key(), vec![pod("a", true)], Some(access));
    let expected = [
        (1, 1, true),
        (11, 0, true),
        (21, 1, false),
        (31, 0, false),
        (41, 1, true),
        (51, 0, true),
    ];
    for (second, triggered, accepts) in expected {
        stage.until(second).await;
        assert_eq!(stage.triggered(), triggered, "second {second}");
        let results = stage.health.results(&key());
        assert_eq!(results["a"].login == Login::Accepted, accepts, "second {second}");
    }
}

#[test]
fn the_ssl_mode_of_a_probe_fits_what_the_pod_can_do() {
    use SslMode::{Disable, Prefer, Require, VerifyFull};
    let with = PodIdentity::Unknown {
        secret: "pool-tls-a".to_owned(),
    };
    let rows = [
        (false, VerifyFull, Disable, "from before TLS"),
        (true, Disable, Require, "from before TLS was disabled"),
        (false, Disable, Disable, "never had it"),
        (true, VerifyFull, VerifyFull, "as clients"),
        (true, Prefer, Prefer, "as clients"),
    ];
    for (tls, ssl_mode, expected, what) in rows {
        let access = Access {
            ssl_mode,
            ..access("u")
        };
        assert_eq!(
            access.mode(&Pod {
                identity: if tls { with.clone() } else { PodIdentity::PlainText },
                ..pod("a", true)
            }),
            expected,
            "{what}"
        );
    }
}

#[test]
fn debug_shows_no_secret() {
    let pair = ClientCertificate {
        chain: b"chain".to_vec(),
        key: b"topsecretkey".to_vec(),
    };
    let access = Access {
        client: Some(pair.clone()),
        ..access("u")
    };
    for text in [
        format!("{access:?}"),
        format!("{pair:?}"),
        format!("{:?}", access.login),
        format!("{:?}", Lookup::Present("topsecretkey")),
    ] {
        assert!(
            !text.contains("topsecretkey") && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_previous_client_certificate_is_kept_when_clients_stop_presenting_one() {
    let stage = Stage::new([]);
    let pair = |word: &str| {
        Some(ClientCertificate {
            chain: word.into(),
            key: word.into(),
        })
    };
    let presenting = |client| Access {
        client,
        ..access("u")
    };
    let set = |client| {
        stage
            .health
            .set_targets(&key(), vec![pod("a", true)], Some(presenting(client)));
        let known = stage.health.lock()[&key()].access.clone().unwrap();
        (known.client.clone(), known.previous_client_certificate.clone())
    };
    assert_eq!(set(None), (None, None));
    assert_eq!(set(pair("one")), (pair("one"), None));
    assert_eq!(set(None), (None, pair("one")));
    assert_eq!(set(None), (None, pair("one")), "until another one is presented");
    assert_eq!(set(pair("two")), (pair("two"), None));
    stage.until(1).await;
    let probed = stage.probed("a").len();
    set(pair("two"));
    stage.until(2).await;
    assert_eq!(stage.probed("a").len(), probed, "the same is no change");
}
