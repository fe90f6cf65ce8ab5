//! The modes that running pools go through, one after the other: `fixtures/transitions.yaml`. Pure.
//!
//! They cover each ordered pair of *no TLS*, *TLS optional* and *TLS required*, with each method before and each
//! method after; each ordered pair of *no certificates*, *`disable` with certificates*, *optional*, *`require`* and
//! *verify*; each ordered pair of two spellings of one mode; and each ordered pair of methods in front of each kind
//! of PostgreSQL, since that decides whether a change needs new pods or only new rules.
//!
//! Left out: `cert` with a PostgreSQL whose CA pgpool does not know: no login succeeds (see the table of modes).

use std::str::FromStr;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::json;

use super::cells::{Cell, Certificate, Client, Password};
use super::oracle::{self, Verdict};
use super::pools::{Backend, Combination, Mode, VERSION};

const FIXTURE: &str = include_str!("../../fixtures/transitions.yaml");

/// Pods of each pool: clients must get through while one of them is replaced.
pub(crate) const REPLICAS: usize = 2;

/// One pool, what it is created as, and all that it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The name of the pool in the cluster.
    pub(crate) name: String,
    pub(crate) stops: Vec<Combination>,
}

#[derive(Deserialize)]
struct Fixture {
    every: Vec<Stops>,
    few: Vec<Stops>,
}

#[derive(Deserialize)]
struct Stops {
    backend: Backend,
    modes: Vec<String>,
}

pub(crate) fn every() -> anyhow::Result<Vec<Route>> {
    named(serde_yaml::from_str::<Fixture>(FIXTURE)?.every)
}

pub(crate) fn few() -> anyhow::Result<Vec<Route>> {
    named(serde_yaml::from_str::<Fixture>(FIXTURE)?.few)
}

fn named(routes: Vec<Stops>) -> anyhow::Result<Vec<Route>> {
    let routes = routes.into_iter().enumerate().map(|(number, route)| {
        let stops = route.modes.iter().map(|mode| parse(mode, route.backend));
        Ok(Route {
            name: format!("route-{number}"),
            stops: stops.collect::<anyhow::Result<_>>()?,
        })
    });
    routes.collect()
}

/// Reads a mode such as `tls verify-full cert`.
fn parse(text: &str, backend: Backend) -> anyhow::Result<Combination> {
    let mut words = text.split(' ');
    let (Some(tls), Some(ssl), Some(auth)) = (words.next(), words.next(), words.next()) else {
        anyhow::bail!("a mode has three words, not {text:?}")
    };
    let ssl = match ssl {
        "unset" => None,
        ssl => Some(serde_json::from_value(json!(ssl))?),
    };
    let mode = Mode {
        tls: tls == "tls",
        ssl,
    };
    Ok(Combination {
        mode,
        auth: serde_json::from_value(json!(auth))?,
        backend,
        version: VERSION,
    })
}

/// A part of all changes, for those who lack the time for all of them at once: `2/3` is the second of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    number: usize,
    of: usize,
}

impl Part {
    /// The changes of each pool in this part. A pool begins as the part before has left it.
    pub(crate) fn of(self, mut routes: Vec<Route>) -> Vec<Route> {
        for route in &mut routes {
            let changes = route.stops.len().saturating_sub(1);
            let end = |number: usize| changes * number / self.of;
            route.stops = route.stops[end(self.number - 1)..=end(self.number)].to_vec();
        }
        routes
    }
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (number, of) = text.split_once('/').context("a part is written as in 1/3")?;
        let (number, of) = (number.parse()?, of.parse()?);
        ensure!((1..=of).contains(&number), "there is no part {number} of {of}");
        Ok(Self { number, of })
    }
}

/// The clients that both modes admit: none of them may be rejected at any moment of the change.
pub(crate) fn admitted_by_both(before: &Combination, after: &Combination) -> Vec<Cell> {
    let (password, own) = (Password::Right, Certificate::Right);
    let clients = [
        Cell::new(Client::Disable, password, Certificate::None),
        Cell::new(Client::Prefer, password, own),
        Cell::new(Client::VerifyFull, password, Certificate::None),
        Cell::new(Client::VerifyFull, password, own),
        Cell::new(Client::VerifyFull, Password::None, own),
    ];
    let admits = |pool, cell| matches!(oracle::verdict(pool, cell), Verdict::Allowed { .. });
    let both = |cell: &Cell| admits(before, *cell) && admits(after, *cell);
    clients.into_iter().filter(both).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared_types::SslMode;

    use super::*;

    /// A kind of change: what differs, before and after.
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Kind {
        /// Of the strength, or of the method, or of both.
        Strength([(&'static str, &'static str); 2]),
        Mode([&'static str; 2]),
        /// Between two ways to write the same strength.
        Written([String; 2]),
        /// Of the method, in front of some PostgreSQL.
        Method([&'static str; 2], Backend),
    }

    fn strength(mode: Mode) -> &'static str {
        match mode.effective() {
            SslMode::Disable => "none",
            SslMode::Allow | SslMode::Prefer => "optional",
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => "required",
        }
    }

    fn distinguished(mode: Mode) -> &'static str {
        match (mode.effective(), mode.tls) {
            (SslMode::Disable, false) => "no certificates",
            (SslMode::VerifyCa | SslMode::VerifyFull, _) => "verify",
            (SslMode::Require, _) => "require",
            (SslMode::Disable, true) => "disable",
            (SslMode::Allow | SslMode::Prefer, _) => "optional",
        }
    }

    fn kinds(before: &Combination, after: &Combination) -> Vec<Kind> {
        let pair = [before, after];
        let strengths = pair.map(|pool| strength(pool.mode));
        let methods = pair.map(|pool| pool.auth.as_str());
        let modes = pair.map(|pool| distinguished(pool.mode));
        let mut kinds = Vec::new();
        if strengths[0] != strengths[1] || methods[0] != methods[1] {
            kinds.push(Kind::Strength([0, 1].map(|at| (strengths[at], methods[at]))));
        }
        if modes[0] != modes[1] {
            kinds.push(Kind::Mode(modes));
        }
        if strengths[0] == strengths[1] && before.mode != after.mode {
            kinds.push(Kind::Written(pair.map(|pool| format!("{:?}", pool.mode))));
        }
        if methods[0] != methods[1] && !strengths.contains(&"none") {
            kinds.push(Kind::Method(methods, before.backend));
        }
        kinds
    }

    fn made(routes: &[Route]) -> BTreeSet<Kind> {
        let changes = routes.iter().flat_map(|route| route.stops.windows(2));
        changes.flat_map(|pair| kinds(&pair[0], &pair[1])).collect()
    }

    #[test]
    fn every_kind_of_change_is_made() {
        let routes = every().unwrap();
        let mut all = BTreeSet::new();
        for backend in Backend::ALL {
            let pools = Combination::all().into_iter();
            let pools = pools.filter(|pool| pool.backend == backend && oracle::reaches_backend(pool));
            let pools: Vec<_> = pools.collect();
            all.extend(
                pools
                    .iter()
                    .flat_map(|from| pools.iter().flat_map(|to| kinds(from, to))),
            );
        }
        // 8 pairs of strength and method; 5 modes; 3, 2 and 4 ways to write a strength; 3 methods, with one kind of
        // PostgreSQL only 2.
        assert_eq!(all.len(), 8 * 7 + 5 * 4 + (6 + 2 + 12) + (6 + 6 + 2));
        assert_eq!(made(&routes), all);
        let changes: usize = routes.iter().map(|route| route.stops.len() - 1).sum();
        assert!(changes < 90, "{changes} for {} kinds", all.len());
    }

    #[test]
    fn the_few_add_and_remove_tls_and_change_every_method() {
        let routes = few().unwrap();
        let made = made(&routes);
        let has = |from: &str, to: &str| {
            let strength =
                |kind: &Kind| matches!(kind, Kind::Strength([(a, _), (b, _)]) if *a == from && *b == to);
            made.iter().any(strength)
        };
        assert!(has("none", "required") && has("required", "none"));
        assert!(has("optional", "required") && has("required", "optional"));
        assert!(
            made.iter()
                .any(|kind| matches!(kind, Kind::Method(["cert", _], _)))
        );
        assert!(
            made.iter()
                .any(|kind| matches!(kind, Kind::Method([_, "cert"], _)))
        );
        assert!(
            routes
                .iter()
                .all(|route| route.stops.len() == routes[0].stops.len())
        );
    }

    #[test]
    fn some_client_is_admitted_through_every_change() {
        for route in every().unwrap().iter().chain(&few().unwrap()) {
            for pair in route.stops.windows(2) {
                assert_ne!(pair[0], pair[1]);
                assert!(!admitted_by_both(&pair[0], &pair[1]).is_empty(), "{pair:?}");
            }
        }
    }

    #[test]
    fn the_parts_are_the_whole() {
        let whole = made(&every().unwrap());
        let parts = ["1/3", "2/3", "3/3"].map(|part| part.parse::<Part>().unwrap());
        let of_parts = parts.iter().flat_map(|part| made(&part.of(every().unwrap())));
        assert_eq!(of_parts.collect::<BTreeSet<_>>(), whole);
        for wrong in ["0/3", "4/3", "1", "1/0", "a/b"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
