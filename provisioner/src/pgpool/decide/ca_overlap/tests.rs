use std::sync::Arc;

use super::*;
use crate::fixtures::{Pki, certificates, now, observed, tls_pgpool};
use crate::pgpool::decide::fixtures::{FixedLimiter, Planned, planned};
use crate::rotation_limiter::Admission;

const OVERLAP: Duration = Duration::from_mins(10);

fn later(minutes: u64) -> Timestamp {
    now().checked_add(Duration::from_mins(minutes)).unwrap()
}

/// A pool that serves certificates of one authority, with all pods up, and time for those of an earlier one.
struct Pool {
    pgpool: Pgpool,
    world: Observed,
}

impl Pool {
    fn of(pki: &Pki) -> Self {
        let pgpool = tls_pgpool();
        let mut world = observed(&pgpool, pki);
        world.inputs.ca_overlap = OVERLAP;
        world.complete_for = Duration::from_mins(1);
        let mut pool = Self { pgpool, world };
        pool.step(now());
        pool.rolled();
        pool
    }

    fn plan(&self, now: Timestamp) -> Planned {
        let limiter = FixedLimiter::new(Admission::Granted);
        planned(&self.pgpool, &self.world, &limiter, Duration::ZERO, now).unwrap()
    }

    /// Carries out a plan, and returns the time until the next reconcile.
    fn step(&mut self, now: Timestamp) -> Option<Duration> {
        let plan = self.plan(now);
        if let Some(copy) = plan.objects.tls_copy {
            self.world
                .live
                .tls_copies
                .insert(CertificateRevision::of_copy(&copy), Arc::new(copy));
        }
        self.world.live.stateful_set = plan.objects.stateful_set.map(Arc::new);
        plan.retry_after
    }

    fn copy(&self) -> &Secret {
        running(&self.world).unwrap().1
    }

    /// Every pod is up with the present copy.
    fn rolled(&mut self) {
        let copy = self.copy().name_any();
        let pod = |ordinal| PodFacts {
            name: format!("pool-{ordinal}"),
            ordinal,
            ready: true,
            mounted_certificates: Some(copy.clone().into()),
            ..PodFacts::default()
        };
        self.world.pods = (0..self.pgpool.spec.replicas()).map(pod).collect();
    }

    /// One certificate comes from another authority from now on.
    fn reissued(&mut self, index: usize, pki: &Pki) {
        self.world.certificates[index] = certificates(&self.pgpool, pki).remove(index);
    }

    fn trusts(&self, pki: &Pki) -> bool {
        let trusted: Vec<_> = read(&self.copy().data.as_ref().unwrap()["ca.pem"].0).collect();
        read(pki.ca().as_bytes()).all(|authority| trusted.contains(&authority))
    }
}

#[test]
fn the_authority_of_each_certificate_is_trusted() {
    let pkis = [Pki::new(), Pki::new(), Pki::new()];
    let mut pool = Pool::of(&pkis[0]);
    for (index, pki) in pkis.iter().enumerate() {
        pool.reissued(index, pki);
    }
    pool.step(now());
    assert!(pkis.iter().all(|pki| pool.trusts(pki)));
}

#[test]
fn an_earlier_authority_is_trusted_until_all_serve_the_new_one_and_its_time_is_over() {
    let (old, new) = (Pki::new(), Pki::new());
    let mut pool = Pool::of(&old);
    assert_eq!(pool.step(now()), None, "nothing is earlier");

    // The certificates of pods come first; the client still has its own.
    pool.reissued(0, &new);
    pool.reissued(2, &new);
    assert_eq!(pool.step(now()), None);
    assert!(pool.trusts(&old) && pool.trusts(&new));
    pool.rolled();
    let served = pool.copy().name_any();

    // Then the client: from here on time is counted, and no pod restarts for that.
    pool.reissued(1, &new);
    assert_eq!(accepted_until(&pool.pgpool, &pool.world), None);
    assert_eq!(pool.step(later(1)), Some(OVERLAP));
    assert_eq!(pool.copy().name_any(), served);
    assert_eq!(accepted_until(&pool.pgpool, &pool.world), Some(later(11)));
    assert_eq!(
        pool.step(later(4)),
        Some(Duration::from_mins(7)),
        "it goes on where it was"
    );
    assert!(pool.trusts(&old));

    // A renewal in between begins nothing anew.
    pool.reissued(0, &new);
    assert_eq!(pool.step(later(5)), Some(Duration::from_mins(6)));
    assert_ne!(pool.copy().name_any(), served);
    assert!(pool.trusts(&old));

    // Its time is over, but one pod has not come that far.
    assert_eq!(pool.step(later(11)), None);
    assert!(pool.trusts(&old));
    pool.rolled();
    pool.world.pods[0].ready = false;
    pool.step(later(12));
    assert!(pool.trusts(&old));

    pool.rolled();
    assert_eq!(pool.step(later(13)), None);
    assert!(!pool.trusts(&old) && pool.trusts(&new));
    assert_eq!(accepted_until(&pool.pgpool, &pool.world), None);
    let copy = pool.copy().clone();
    pool.rolled();
    pool.step(later(14));
    assert!(*pool.copy() == copy, "and that is all");
}

#[test]
fn a_pgpool_may_have_its_own_time_for_it() {
    let (old, new) = (Pki::new(), Pki::new());
    for (asked, dropped) in [("0s", true), ("1h", false), ("for a while", false)] {
        let mut pool = Pool::of(&old);
        let annotations = pool.pgpool.metadata.annotations.get_or_insert_default();
        annotations.insert(names::ANNOTATION_CA_OVERLAP.into(), asked.into());
        (0..3).for_each(|index| pool.reissued(index, &new));
        pool.step(now());
        // While they roll nothing is taken away.
        assert!(pool.trusts(&old), "{asked}");
        pool.rolled();
        pool.step(later(9));
        assert_eq!(pool.trusts(&old), !dropped, "{asked}");
        assert_eq!(unreadable_overlap(&pool.pgpool).is_some(), asked == "for a while");
    }
}

#[test]
fn an_authority_that_comes_back_is_no_earlier_one() {
    let (old, new) = (Pki::new(), Pki::new());
    let mut pool = Pool::of(&old);
    (0..3).for_each(|index| pool.reissued(index, &new));
    pool.step(now());
    pool.rolled();
    (0..3).for_each(|index| pool.reissued(index, &old));
    pool.step(later(1));
    pool.rolled();
    assert_eq!(pool.step(later(1)), Some(OVERLAP), "now the other one is");
    pool.step(later(30));
    assert!(pool.trusts(&old) && !pool.trusts(&new));
}

#[test]
fn authorities_of_postgresql_are_not_kept() {
    let (pki, behind) = (Pki::new(), Pki::new());
    let mut pool = Pool::of(&pki);
    let mut copy = pool.copy().clone();
    let ca = copy.data.as_mut().unwrap().get_mut("ca.pem").unwrap();
    ca.0.extend_from_slice(behind.ca().as_bytes());
    pool.world
        .live
        .tls_copies
        .insert(CertificateRevision::of_copy(&copy), Arc::new(copy.clone()));
    let present: Vec<_> = read(pki.ca().as_bytes()).collect();
    let kept = |world: &Observed, backend: &[CertificateDer<'_>]| {
        former_cas(&pool.pgpool, world, &present, backend, now())
    };
    assert_eq!(kept(&pool.world, &[]), []);

    // A copy from before there were notes: what PostgreSQL still has is not an issuer's.
    copy.metadata.annotations = None;
    let mut world = pool.world.clone();
    world
        .live
        .tls_copies
        .insert(CertificateRevision::of_copy(&copy), Arc::new(copy));
    assert_eq!(kept(&world, &[]).len(), 1);
    let backend: Vec<_> = read(behind.ca().as_bytes()).collect();
    assert_eq!(kept(&world, &backend), []);
}
