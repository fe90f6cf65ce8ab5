use k8s_openapi::api::policy::v1::PodDisruptionBudgetStatus;

use super::*;
use crate::fixtures::{Pki, now, parse, secret};
use crate::health::{Login, ServedCertificate};
use crate::pgpool::observe::CertificateRevision;
use crate::pgpool::observe::container_resources::Sizes;
use crate::pgpool::observe::pods::{ResizeFacts, ResizeState};
use tls_bundle::Fingerprint;

/// A workload of three pods, in the middle of becoming `b`.
struct World {
    desired: StatefulSet,
    live: StatefulSet,
    budget: PodDisruptionBudget,
    pods: Vec<PodFacts>,
    pod_health: BTreeMap<String, PodHealth>,
    copies: BTreeMap<CertificateRevision, std::sync::Arc<k8s_openapi::api::core::v1::Secret>>,
    leaf: Fingerprint,
    probing: bool,
}

fn workload(image: &str, partition: i32) -> StatefulSet {
    parse(&format!(
        "
metadata: {{name: pool, generation: 2, annotations: {{pgpool.kubedb.com/template-hash: {image}}}}}
spec:
  replicas: 3
  selector: {{}}
  serviceName: pool-pods
  template: {{spec: {{containers: [{{name: pgpool, image: {image}}}]}}}}
  updateStrategy: {{type: RollingUpdate, rollingUpdate: {{partition: {partition}}}}}
status: {{replicas: 3, observedGeneration: 2, currentRevision: a, updateRevision: b}}
"
    ))
}

impl World {
    /// The revisions of the pods, from the first on; all are ready and serve what they mount.
    fn new(partition: i32, revisions: &[&str]) -> Self {
        let pair = Pki::new().server(&["pool".to_owned()]);
        let mut world = Self {
            desired: workload("new", 0),
            live: workload("new", partition),
            budget: PodDisruptionBudget {
                status: Some(PodDisruptionBudgetStatus {
                    disruptions_allowed: 1,
                    ..PodDisruptionBudgetStatus::default()
                }),
                ..PodDisruptionBudget::default()
            },
            pods: Vec::new(),
            pod_health: BTreeMap::new(),
            copies: BTreeMap::from([("copy".to_owned().into(), secret("copy", &pair).into())]),
            leaf: pair.fingerprint,
            probing: true,
        };
        for (ordinal, revision) in (0..).zip(revisions) {
            let name = format!("pool-{ordinal}");
            world
                .pod_health
                .insert(name.clone(), world.serves(Login::Accepted));
            world.pods.push(PodFacts {
                uid: name.clone(),
                name,
                ordinal,
                ready: true,
                revision: Some((*revision).to_owned()),
                mounted_certificates: Some("copy".to_owned().into()),
                created: Some(now()),
                ..PodFacts::default()
            });
        }
        world
    }

    fn serves(&self, login: Login) -> PodHealth {
        PodHealth {
            served: Some(ServedCertificate {
                fingerprint: self.leaf,
                not_after: None,
            }),
            login,
            failures: 0,
        }
    }

    fn unready(mut self, pod: usize, seconds: i64) -> Self {
        let since = now() - Duration::from_secs(seconds.unsigned_abs());
        self.pods[pod].ready = false;
        self.pods[pod].unready_since = Some(since);
        self.pods[pod].created = Some(since);
        self
    }

    fn trouble(mut self, pod: usize) -> Self {
        self.pods[pod].trouble = Some("its image cannot be pulled".to_owned());
        self
    }

    fn without(mut self, pod: usize) -> Self {
        self.pods.remove(pod);
        self
    }

    fn allows(mut self, pods: i32) -> Self {
        self.budget.status.as_mut().unwrap().disruptions_allowed = pods;
        self
    }

    fn changed(mut self) -> Self {
        self.desired = workload("newer", 0);
        self
    }

    /// The template differs from the pods in CPU alone.
    fn of_one_mould(mut self) -> Self {
        for set in [&mut self.desired, &mut self.live] {
            let template = &mut set.spec.as_mut().unwrap().template;
            *template = parse(
                "{metadata: {annotations: {pgpool.kubedb.com/template-base-hash: m}},
                  spec: {containers: [{name: pgpool, resources: {requests: {cpu: 2}}}]}}",
            );
        }
        for pod in 0..3 {
            let cpu = if self.pods[pod].revision.as_deref() == Some("b") {
                2
            } else {
                1
            };
            self = self.sized(pod, cpu, cpu);
        }
        self
    }

    /// CPU that a pod asks for, and has.
    fn sized(mut self, pod: usize, requested: u8, allocated: u8) -> Self {
        let size = |cpu| {
            let text = format!("containers: [{{name: pgpool, resources: {{requests: {{cpu: {cpu}}}}}}}]");
            Sizes::requested(&parse(&text))
        };
        self.pods[pod].resize = ResizeFacts {
            template_base_hash: Some("m".to_owned()),
            requested: size(requested),
            allocated: size(allocated),
            ..ResizeFacts::default()
        };
        self
    }

    fn resize(mut self, pod: usize, change: impl FnOnce(&mut ResizeFacts)) -> Self {
        change(&mut self.pods[pod].resize);
        self
    }

    fn settled(mut self) -> Self {
        self.live.status.as_mut().unwrap().current_revision = Some("b".to_owned());
        self
    }

    fn health(mut self, pod: &str, change: impl FnOnce(&mut PodHealth)) -> Self {
        change(self.pod_health.get_mut(pod).unwrap());
        self
    }

    fn next_pod(&self) -> Step {
        next_pod(&View {
            desired: &self.desired,
            live: Some(&self.live),
            budget: Some(&self.budget),
            pods: &self.pods,
            pod_health: &self.pod_health,
            certificate_delivery: CertificateDelivery::Restart,
            leaves: &Leaves::of(&self.copies),
            probing: self.probing,
            now: now(),
        })
    }

    /// Partition, pods that are proven, and what happens in few words.
    fn outcome(&self) -> (i32, usize, String) {
        let step = self.next_pod();
        let words = match step.action {
            Action::UpToDate => "level".to_owned(),
            Action::Unobserved => "unnoticed".to_owned(),
            Action::Replacing { pod } => format!("replaces {pod}"),
            Action::Resizing { pod, resize, .. } => match resize {
                Resize::Later => format!("will resize {pod}"),
                Resize::Request { .. } => format!("resizes {pod}"),
                Resize::InProgress { .. } => format!("awaits {pod}"),
                Resize::Adopt { revision } => format!("adopts {pod} as {revision}"),
            },
            Action::Proving { pod, left, .. } => format!("proves {pod} for {}", left.as_secs()),
            Action::Waiting { after, .. } => format!("waits {:?}", after.map(|it| it.as_secs())),
            Action::Failed { pod, .. } => format!("failed {pod}"),
        };
        (step.partition, step.proven, words)
    }
}

fn refused() -> Login {
    Login::Refused {
        fault: "no".into(),
        reason: None,
        message: "no".to_owned(),
    }
}

const NONE: [&str; 3] = ["a", "a", "a"];
const ONE: [&str; 3] = ["a", "a", "b"];
const ALL: [&str; 3] = ["b", "b", "b"];

fn all(rows: Vec<(&str, World, &str)>) {
    for (what, world, expected) in rows {
        let (partition, proven, words) = world.outcome();
        assert_eq!(format!("{partition} {proven} {words}"), expected, "{what}");
    }
}

#[test]
fn a_pod_is_replaced_and_proven() {
    let changed = World::new(0, &ALL).settled().changed();
    let starts = |seconds| World::new(2, &ONE).unready(2, seconds);
    all(vec![
        ("the template is changed", changed, "2 0 replaces pool-2"),
        ("nobody has begun", World::new(2, &NONE), "2 0 replaces pool-2"),
        (
            "it goes",
            World::new(2, &NONE).unready(2, 1),
            "2 0 replaces pool-2",
        ),
        (
            "it is gone",
            World::new(2, &NONE).without(2),
            "2 0 replaces pool-2",
        ),
        ("it starts", starts(10), "2 0 proves pool-2 for 290"),
        (
            "it is in trouble",
            starts(10).trouble(2),
            "2 0 proves pool-2 for 50",
        ),
        ("trouble lasts", starts(60).trouble(2), "2 0 failed pool-2"),
        ("it takes too long", starts(300), "2 0 failed pool-2"),
        ("it is proven", World::new(2, &ONE), "1 1 replaces pool-1"),
    ]);
}

#[test]
fn the_budget_counts_before_a_pod_goes() {
    let used_up = || World::new(2, &ONE).allows(0);
    let begun = World::new(1, &ONE).allows(0);
    all(vec![
        ("it is used up", used_up(), "2 1 waits None"),
        ("that counts for nothing once begun", begun, "1 1 replaces pool-1"),
        (
            "a pod before is away",
            used_up().unready(0, 20),
            "2 1 waits Some(40)",
        ),
        (
            "but not for ever",
            used_up().unready(0, 60),
            "1 1 replaces pool-1",
        ),
        (
            "one that is lost comes first",
            used_up().without(0),
            "2 1 waits None",
        ),
        ("no loss", used_up().unready(1, 1), "1 1 replaces pool-1"),
    ]);
}

#[test]
fn the_end_of_a_rollout() {
    let settled = || World::new(0, &ALL).settled();
    let starts = World::new(0, &ALL).unready(0, 0);
    all(vec![
        ("the last", World::new(1, &["a", "b", "b"]), "0 2 replaces pool-0"),
        ("the last starts", starts, "0 2 proves pool-0 for 300"),
        ("all are proven", World::new(0, &ALL), "0 3 level"),
        ("and settled", settled(), "0 0 level"),
        (
            "a pod is lost when all is settled",
            settled().without(1),
            "0 0 level",
        ),
    ]);
}

#[test]
fn a_change_in_the_middle_begins_anew_with_what_is_broken() {
    let stuck = World::new(2, &["a", "a", "b"]).unready(2, 400).changed();
    assert_eq!(stuck.outcome(), (2, 0, "replaces pool-2".to_owned()));
    let further = World::new(1, &["a", "b", "b"]).unready(1, 30).allows(0).changed();
    assert_eq!(
        further.outcome(),
        (3, 0, "waits Some(30)".to_owned()),
        "two pods away would be one too many"
    );
    let later = World::new(1, &["a", "b", "b"])
        .unready(1, 400)
        .allows(0)
        .changed();
    assert_eq!(later.outcome(), (2, 0, "replaces pool-2".to_owned()));
}

#[test]
fn a_field_that_was_taken_out_of_the_template_is_a_change() {
    let mut world = World::new(0, &["b", "b", "b"]).settled();
    world
        .desired
        .annotations_mut()
        .insert(names::ANNOTATION_TEMPLATE_HASH.to_owned(), "less".to_owned());
    assert_eq!(world.next_pod().partition, 2);
    // One that an older operator made bears no note.
    world.live.metadata.annotations = None;
    assert_eq!(world.next_pod().partition, 0);
}

#[test]
fn one_replica_rolls_at_once() {
    let mut world = World::new(0, &["b"]).settled().changed();
    for set in [&mut world.desired, &mut world.live] {
        set.spec.as_mut().unwrap().replicas = Some(1);
    }
    for allowed in [0, 1] {
        world = world.allows(allowed);
        assert_eq!(world.outcome(), (0, 0, "replaces pool-0".to_owned()));
    }
}

#[test]
fn a_change_that_nobody_has_noticed_holds_everything() {
    let mut world = World::new(2, &["b", "b", "b"]);
    world.live.metadata.generation = Some(3);
    assert_eq!(world.outcome(), (2, 0, "unnoticed".to_owned()));
}

#[test]
fn a_pod_of_one_mould_is_resized_and_adopted() {
    let world = |partition, revisions: &[&str; 3]| World::new(partition, revisions).of_one_mould();
    let begun = || world(3, &NONE);
    let unknown = World {
        live: workload("before", 0),
        ..world(0, &ALL).settled()
    };
    let unknown = (0..3).fold(unknown, |world, pod| world.sized(pod, 1, 1));
    let asked = || begun().sized(2, 2, 1);
    let waits =
        |facts: &mut ResizeFacts| facts.in_progress = Some(ResizeState::Waiting("Deferred".to_owned()));
    let given = || begun().sized(2, 2, 2);
    let away = begun().unready(1, 10).allows(0);
    all(vec![
        ("the template is changed", unknown, "3 0 will resize pool-2"),
        ("it is known", begun(), "3 0 resizes pool-2"),
        ("another is away", away, "3 0 waits Some(50)"),
        ("a kubelet is at work", asked(), "3 0 awaits pool-2"),
        ("it has no room", asked().resize(2, waits), "3 0 awaits pool-2"),
        (
            "its container restarts",
            asked().unready(2, 10),
            "3 0 awaits pool-2",
        ),
        ("it has given", given(), "3 0 adopts pool-2 as b"),
        (
            "it still says something",
            given().resize(2, waits),
            "3 0 awaits pool-2",
        ),
        ("the first is adopted", world(3, &ONE), "2 1 resizes pool-1"),
        ("all are", world(1, &ALL), "0 3 level"),
    ]);
}

#[test]
fn a_pod_that_cannot_be_resized_is_replaced() {
    let begun = |partition| World::new(partition, &NONE).of_one_mould();
    let asked = || begun(3).sized(2, 2, 1);
    let infeasible = |facts: &mut ResizeFacts| facts.in_progress = Some(ResizeState::Infeasible);
    let other = |facts: &mut ResizeFacts| facts.template_base_hash = Some("other".to_owned());
    let old = |facts: &mut ResizeFacts| facts.template_base_hash = None;
    let refused = |facts: &mut ResizeFacts| facts.rejected = true;
    let earlier = begun(3).resize(2, infeasible);
    let replaced = "2 0 replaces pool-2";
    all(vec![
        ("its node can never give", asked().resize(2, infeasible), replaced),
        ("that was said of another size", earlier, "3 0 resizes pool-2"),
        ("it is refused", begun(3).resize(2, refused), replaced),
        ("more has changed", begun(3).resize(2, other), replaced),
        ("an older operator made it", begun(3).resize(2, old), replaced),
        ("it does not serve", begun(3).unready(2, 1), replaced),
        ("not for too long", asked().unready(2, 61), replaced),
        ("its turn has come already", begun(2), replaced),
    ]);
}

#[test]
fn what_counts_as_proof() {
    let world = || World::new(2, &["a", "a", "b"]);
    let other =
        |health: &mut PodHealth| health.served.as_mut().unwrap().fingerprint = Fingerprint::of_der(b"x");
    let nothing = |health: &mut PodHealth| health.served = None;
    let refuses = |health: &mut PodHealth| health.login = refused();
    let unreachable = |health: &mut PodHealth| {
        health.served = None;
        health.login = refused();
    };
    let everywhere = |world: World, change: fn(&mut PodHealth)| {
        ["pool-0", "pool-1", "pool-2"]
            .iter()
            .fold(world, |world, pod| world.health(pod, change))
    };
    let unasked = || {
        let mut world = world();
        world.pod_health.remove("pool-2");
        world
    };
    let rows = vec![
        ("its certificate", world(), true),
        ("another certificate", world().health("pool-2", other), false),
        (
            "another certificate, as everywhere",
            everywhere(world(), other),
            false,
        ),
        ("no certificate", world().health("pool-2", nothing), false),
        ("no login", world().health("pool-2", refuses), false),
        ("no login, as everywhere", everywhere(world(), refuses), true),
        ("out of reach", world().health("pool-2", unreachable), false),
        (
            "out of reach, as everywhere",
            everywhere(world(), unreachable),
            true,
        ),
        ("not asked yet", unasked(), false),
        (
            "nobody can ask",
            World {
                probing: false,
                ..unasked()
            },
            true,
        ),
    ];
    for (what, world, proven) in rows {
        assert_eq!(world.next_pod().partition == 1, proven, "{what}");
    }
}
