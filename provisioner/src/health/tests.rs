//! When pods are asked, and who is told. Time is paused: a second here takes none.

mod verdicts;

use std::collections::VecDeque;

use futures::FutureExt;
use tokio::time::{Instant, sleep};

use super::*;
use crate::pgpool::observe::Lookup;

/// Answers from a list, then the last answer for ever; writes down who was asked when.
#[derive(Default)]
struct Scripted {
    asked: Mutex<Vec<(u64, String, String)>>,
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
        self.asked
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
        std::future::ready(Probe { served: None, login }).boxed()
    }
}

fn access(user: &str) -> Access {
    let access = tests_support::access();
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
        tls: false,
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

    /// Seconds at which a pod was asked.
    fn asked(&self, uid: &str) -> Vec<u64> {
        let asked = self.prober.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(_, pod, _)| pod == uid)
            .map(|(second, ..)| *second)
            .collect()
    }

    /// How often somebody was told since the last call.
    fn told(&mut self) -> usize {
        std::iter::from_fn(|| self.changes.next().now_or_never().flatten()).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_ready_pod_is_asked_at_once_and_then_once_in_each_period() {
    let mut stage = Stage::new([]);
    stage
        .health
        .follow(&key(), vec![pod("a", true), pod("b", false)], Some(access("u")));
    stage.until(25).await;
    assert_eq!(stage.asked("a"), [0, 10, 20]);
    assert_eq!(stage.asked("b"), [10, 20], "not ready: at the slow pace");
    assert_eq!(
        stage.told(),
        2,
        "the first result of each, and never the same again"
    );
    assert_eq!(stage.health.standings(&key()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_makes_the_last_answer_worthless_is_asked_again_at_once() {
    let stage = Stage::new([]);
    let ready = || vec![pod("a", true)];
    stage
        .health
        .follow(&key(), vec![pod("a", false)], Some(access("u")));
    stage.until(3).await;
    stage.health.follow(&key(), ready(), Some(access("u")));
    stage.until(5).await;
    assert_eq!(stage.asked("a"), [3], "became ready");
    stage.health.follow(&key(), ready(), Some(access("u")));
    stage.health.follow(&key(), ready(), None);
    stage.until(7).await;
    assert_eq!(stage.asked("a"), [3], "nothing new");
    stage.health.follow(&key(), ready(), Some(access("other")));
    stage.until(20).await;
    assert_eq!(stage.asked("a"), [3, 7, 17], "another login");
    let patient = Access {
        period: Duration::from_mins(1),
        ..access("other")
    };
    stage.health.follow(&key(), ready(), Some(patient));
    stage.until(40).await;
    assert_eq!(
        stage.asked("a"),
        [3, 7, 17, 27],
        "a new period begins after the present one"
    );
}

/// Takes its time, and counts.
struct Slow(Duration, Mutex<Vec<u64>>, Instant);

impl Prober for Slow {
    fn probe(&self, _: Pod, _: Arc<Access>) -> BoxFuture<'static, Probe> {
        self.1.lock().unwrap().push(self.2.elapsed().as_secs());
        let login = Ok(());
        sleep(self.0).map(|()| Probe { served: None, login }).boxed()
    }
}

/// What a Pgpool costs its PostgreSQL: never more than one connection per pod and period, also where an answer takes
/// longer than that.
#[tokio::test(start_paused = true)]
async fn no_pod_is_asked_twice_in_a_period() {
    for (takes, expected) in [(0, 31), (3, 31), (10, 31), (25, 13)] {
        let prober = Arc::new(Slow(Duration::from_secs(takes), Mutex::default(), Instant::now()));
        let health = Health::new(prober.clone(), Metrics::default(), CancellationToken::new());
        health.follow(&key(), vec![pod("a", true)], Some(access("u")));
        sleep(Duration::from_millis(300_001)).await;
        let asked = prober.1.lock().unwrap().clone();
        assert!(
            asked.windows(2).all(|it| it[1] - it[0] >= 10),
            "{takes} s: {asked:?}"
        );
        assert_eq!(
            asked.len(),
            expected,
            "in five minutes, {takes} s each: {asked:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_gone_are_forgotten() {
    let stage = Stage::new([]);
    stage.health.follow(&key(), vec![pod("a", true)], None);
    stage.until(1).await;
    assert_eq!(stage.asked("a"), [0; 0], "nobody knows how to log in");
    stage
        .health
        .follow(&key(), vec![pod("a", true)], Some(access("u")));
    stage.until(2).await;
    stage.health.follow(&key(), vec![pod("b", true)], None);
    stage.until(30).await;
    assert_eq!(stage.asked("a"), [1]);
    assert_eq!(stage.asked("b"), [2, 12, 22], "with the login known before");
    stage.health.forget(&key());
    stage.until(60).await;
    assert_eq!(stage.asked("b"), [2, 12, 22]);
    assert!(stage.health.standings(&key()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_news_wakes_the_reconcile() {
    use Answer::{Accepts, Refuses};
    let mut stage = Stage::new([Accepts, Refuses("a"), Refuses("b"), Refuses("c"), Accepts]);
    let access = Access {
        failure_threshold: 2,
        ..access("u")
    };
    stage.health.follow(&key(), vec![pod("a", true)], Some(access));
    let expected = [
        (1, 1, true),
        (11, 0, true),
        (21, 1, false),
        (31, 0, false),
        (41, 1, true),
        (51, 0, true),
    ];
    for (second, told, accepts) in expected {
        stage.until(second).await;
        assert_eq!(stage.told(), told, "second {second}");
        let standings = stage.health.standings(&key());
        assert_eq!(
            standings["a"].login == Login::Accepted,
            accepts,
            "second {second}"
        );
    }
}

#[test]
fn pods_are_asked_for_what_they_can_have() {
    use SslMode::{Disable, Prefer, Require, VerifyFull};
    let rows = [
        (false, VerifyFull, Disable, "from before TLS"),
        (true, Disable, Require, "from before TLS was taken away"),
        (false, Disable, Disable, "never had it"),
        (true, VerifyFull, VerifyFull, "as asked"),
        (true, Prefer, Prefer, "as asked"),
    ];
    for (tls, ssl_mode, expected, what) in rows {
        let access = Access {
            ssl_mode,
            ..access("u")
        };
        assert_eq!(
            access.mode(&Pod {
                tls,
                ..pod("a", true)
            }),
            expected,
            "{what}"
        );
    }
}

#[test]
fn debug_shows_no_secret() {
    let pair = ClientPair {
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
async fn what_was_shown_before_clients_log_in_otherwise_is_kept() {
    let stage = Stage::new([]);
    let pair = |word: &str| {
        Some(ClientPair {
            chain: word.into(),
            key: word.into(),
        })
    };
    let showing = |client| Access {
        client,
        ..access("u")
    };
    let shown = |client| {
        stage
            .health
            .follow(&key(), vec![pod("a", true)], Some(showing(client)));
        let known = stage.health.lock().checks[&key()].access.clone().unwrap();
        (known.client.clone(), known.former.clone())
    };
    assert_eq!(shown(None), (None, None));
    assert_eq!(shown(pair("one")), (pair("one"), None));
    assert_eq!(shown(None), (None, pair("one")));
    assert_eq!(
        shown(None),
        (None, pair("one")),
        "as long as nothing else is shown"
    );
    assert_eq!(shown(pair("two")), (pair("two"), None));
    stage.until(1).await;
    let asked = stage.asked("a").len();
    shown(pair("two"));
    stage.until(2).await;
    assert_eq!(stage.asked("a").len(), asked, "the same is no change");
}
