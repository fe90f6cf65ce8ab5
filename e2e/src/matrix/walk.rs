//! Ways through the modes of a running pool, which together make every kind of change. Pure.
//!
//! What is covered: each ordered pair of *no TLS*, *TLS optional* and *TLS required*, with each method before and each
//! method after; each ordered pair of *no certificates*, *`disable` with certificates*, *optional*, *`require`* and
//! *verify*; each ordered pair of two ways to write the same; and each ordered pair of methods in front of each kind
//! of PostgreSQL, since that decides whether a change needs new pods or only new rules.
//!
//! Left out: `cert` in front of a PostgreSQL of an unknown authority, where nobody gets in (the table of modes says so).

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use shared_types::{ClientAuthMode, SslMode};

use super::cells::{Cell, Certificate, Client, Password};
use super::oracle::{self, Verdict};
use super::pools::{Backend, Combination, Mode, VERSION};

/// Pods of each pool: clients are to come through while one of them is replaced.
pub const REPLICAS: usize = 2;

/// One pool, and what it is changed to, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Its name in the cluster.
    pub name: String,
    /// What it is at first, and all that it becomes.
    pub stops: Vec<Combination>,
}

/// A part of all changes, for whoever has not the time for all of them at once: `2/3` is the second of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    number: usize,
    of: usize,
}

impl Part {
    /// The changes of each pool in this part; a pool begins as what the part before has left it.
    #[must_use]
    pub fn of(self, walks: Vec<Walk>) -> Vec<Walk> {
        let cut = |walk: Walk| {
            let changes = walk.stops.len().saturating_sub(1);
            let at = |number: usize| changes * number / self.of;
            Walk {
                stops: walk.stops[at(self.number - 1)..=at(self.number)].to_vec(),
                ..walk
            }
        };
        walks.into_iter().map(cut).collect()
    }
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (number, of) = text.split_once('/').context("a part is written as in 1/3")?;
        let part = Self {
            number: number.parse()?,
            of: of.parse()?,
        };
        ensure!(
            (1..=part.of).contains(&part.number),
            "there is no part {} of {}",
            part.number,
            part.of
        );
        Ok(part)
    }
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Between strengths, or of the method, or of both.
    Strength(Strength, Method, Strength, Method),
    /// Between the modes as users tell them apart.
    Mode(u8, u8),
    /// Between two ways to write the same strength.
    Written(Strength, usize, usize),
    /// Of the method, in front of some PostgreSQL.
    Method(Method, Method, Backend),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    None,
    Optional,
    Required,
}

/// A method, in an order.
type Method = &'static str;

fn strength(mode: Mode) -> Strength {
    match mode.effective() {
        SslMode::Disable => Strength::None,
        SslMode::Allow | SslMode::Prefer => Strength::Optional,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Strength::Required,
    }
}

fn told_apart(mode: Mode) -> u8 {
    match (mode.effective(), mode.tls) {
        (SslMode::Disable, false) => 0,
        (SslMode::Disable, true) => 1,
        (SslMode::Allow | SslMode::Prefer, _) => 2,
        (SslMode::Require, _) => 3,
        (SslMode::VerifyCa | SslMode::VerifyFull, _) => 4,
    }
}

fn written(mode: Mode) -> usize {
    let all = Mode::all();
    all.iter().position(|it| *it == mode).unwrap_or_default()
}

/// The kinds that a change is of.
fn kinds(before: Combination, after: Combination) -> Vec<Kind> {
    let [from, to] = [before, after].map(|pool| (strength(pool.mode), pool.auth.as_str()));
    let mut kinds = Vec::new();
    if from != to {
        kinds.push(Kind::Strength(from.0, from.1, to.0, to.1));
    }
    let [from_mode, to_mode] = [before, after].map(|pool| told_apart(pool.mode));
    if from_mode != to_mode {
        kinds.push(Kind::Mode(from_mode, to_mode));
    }
    if from.0 == to.0 && before.mode != after.mode {
        kinds.push(Kind::Written(from.0, written(before.mode), written(after.mode)));
    }
    if from.1 != to.1 && from.0 != Strength::None && to.0 != Strength::None {
        kinds.push(Kind::Method(from.1, to.1, before.backend));
    }
    kinds
}

/// What a pool in front of this PostgreSQL may be changed to.
fn places(backend: Backend) -> Vec<Combination> {
    let all = Combination::all().into_iter();
    all.filter(|pool| pool.backend == backend && oracle::reaches_backend(pool))
        .collect()
}

/// Every kind of change that there is.
fn everything() -> BTreeSet<Kind> {
    let mut all = BTreeSet::new();
    for backend in Backend::ALL {
        let places = places(backend);
        for before in &places {
            all.extend(places.iter().flat_map(|after| kinds(*before, *after)));
        }
    }
    all
}

/// Ways that cover every kind of change, of about the same length.
#[must_use]
pub fn every() -> Vec<Walk> {
    let backends = [
        Backend::Known,
        Backend::Plain,
        Backend::Known,
        Backend::Plain,
        Backend::Known,
        Backend::Plain,
        Backend::Unknown,
    ];
    let mut open = everything();
    let mut walks: Vec<_> = (0..)
        .zip(backends)
        .map(|(number, backend)| {
            let places = places(backend);
            Walk {
                name: format!("walk-{number}"),
                // Each begins elsewhere.
                stops: places
                    .get(number * 3 % places.len())
                    .copied()
                    .into_iter()
                    .collect(),
            }
        })
        .collect();
    loop {
        let mut moved = false;
        for walk in &mut walks {
            if let Some(next) = next(walk, &open) {
                if let Some(last) = walk.stops.last() {
                    for kind in kinds(*last, next) {
                        open.remove(&kind);
                    }
                }
                walk.stops.push(next);
                moved = true;
            }
        }
        if !moved {
            return walks;
        }
    }
}

/// The change that covers most of what is open, or leads to one that does; `None` when neither is to be had.
fn next(walk: &Walk, open: &BTreeSet<Kind>) -> Option<Combination> {
    let here = *walk.stops.last()?;
    let mut places = places(here.backend);
    // Another order each time, so that equals are taken in turn.
    let turn = walk.stops.len() * 5 % places.len();
    places.rotate_left(turn);
    let gain = |from: Combination, to: Combination| {
        let kinds = kinds(from, to);
        kinds.iter().filter(|kind| open.contains(kind)).count()
    };
    let best = |from: Combination| {
        let others = places.iter().filter(|to| **to != from);
        others
            .map(|to| (gain(from, *to), *to))
            .max_by_key(|(gain, _)| *gain)
            .filter(|(gain, _)| *gain > 0)
    };
    if let Some((_, to)) = best(here) {
        return Some(to);
    }
    let others = places.iter().filter(|to| **to != here);
    let promising = others.filter_map(|to| Some((best(*to)?.0, *to)));
    promising.max_by_key(|(gain, _)| *gain).map(|(_, to)| to)
}

/// A few changes that tell most: certificates come, become a must, prove clients, and go.
#[must_use]
pub fn few() -> Vec<Walk> {
    let (md5, scram, cert) = (ClientAuthMode::Md5, ClientAuthMode::Scram, ClientAuthMode::Cert);
    let bare = |auth| (false, None, auth);
    let with = |ssl, auth| (true, Some(ssl), auth);
    let ways = [
        (
            Backend::Known,
            [
                bare(scram),
                with(SslMode::Require, scram),
                with(SslMode::VerifyFull, cert),
                bare(md5),
            ],
        ),
        (
            Backend::Plain,
            [
                with(SslMode::Prefer, md5),
                with(SslMode::Require, cert),
                with(SslMode::Disable, scram),
                with(SslMode::VerifyCa, md5),
            ],
        ),
        (
            Backend::Known,
            [
                with(SslMode::VerifyFull, cert),
                with(SslMode::Allow, scram),
                with(SslMode::Require, md5),
                with(SslMode::Prefer, cert),
            ],
        ),
    ];
    let walks = (0..).zip(ways).map(|(number, (backend, stops))| Walk {
        name: format!("walk-{number}"),
        stops: stops
            .map(|(tls, ssl, auth)| Combination {
                mode: Mode { tls, ssl },
                auth,
                backend,
                version: VERSION,
            })
            .into(),
    });
    walks.collect()
}

/// The clients that both modes admit: none of them may be refused at any moment of the change.
#[must_use]
pub fn faithful(before: &Combination, after: &Combination) -> Vec<Cell> {
    let (password, own) = (Password::Right, Certificate::Right);
    let clients = [
        Cell::new(Client::Disable, password, Certificate::None),
        Cell::new(Client::Prefer, password, own),
        Cell::new(Client::VerifyFull, password, Certificate::None),
        Cell::new(Client::VerifyFull, password, own),
        Cell::new(Client::VerifyFull, Password::None, own),
    ];
    let admitted = |pool, cell| matches!(oracle::verdict(pool, cell), Verdict::Allowed { .. });
    let both = |cell: &Cell| admitted(before, *cell) && admitted(after, *cell);
    clients.into_iter().filter(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(walks: &[Walk]) -> BTreeSet<Kind> {
        let changes = walks.iter().flat_map(|walk| walk.stops.windows(2));
        changes.flat_map(|pair| kinds(pair[0], pair[1])).collect()
    }

    #[test]
    fn every_kind_of_change_is_made() {
        let all = everything();
        let count = |wanted: fn(&Kind) -> bool| all.iter().filter(|kind| wanted(kind)).count();
        // 8 pairs of strength and method; 5 modes; 3, 2 and 4 ways to write a strength; 3 methods, with one kind of
        // PostgreSQL only 2.
        assert_eq!(count(|kind| matches!(kind, Kind::Strength(..))), 8 * 7);
        assert_eq!(count(|kind| matches!(kind, Kind::Mode(..))), 5 * 4);
        assert_eq!(count(|kind| matches!(kind, Kind::Written(..))), 6 + 2 + 12);
        assert_eq!(count(|kind| matches!(kind, Kind::Method(..))), 6 + 6 + 2);
        let walks = every();
        assert_eq!(made(&walks), all);
        let changes: usize = walks.iter().map(|walk| walk.stops.len() - 1).sum();
        assert!(changes < 90, "{changes} for {} kinds", all.len());
    }

    #[test]
    fn the_few_add_and_remove_tls_and_change_every_method() {
        use Strength::{None, Optional, Required};

        let walks = few();
        let made = made(&walks);
        let has = |wanted: fn(&Kind) -> bool| made.iter().any(wanted);
        assert!(has(|kind| matches!(kind, Kind::Strength(None, _, Required, _))));
        assert!(has(|kind| matches!(kind, Kind::Strength(Required, _, None, _))));
        assert!(has(|kind| matches!(
            kind,
            Kind::Strength(Optional, _, Required, _)
        )));
        assert!(has(|kind| matches!(
            kind,
            Kind::Strength(Required, _, Optional, _)
        )));
        assert!(has(|kind| matches!(kind, Kind::Method("cert", _, _))));
        assert!(has(|kind| matches!(kind, Kind::Method(_, "cert", _))));
        assert!(walks.iter().all(|walk| walk.stops.len() == walks[0].stops.len()));
    }

    #[test]
    fn somebody_is_faithful_through_every_change() {
        for walk in every().iter().chain(&few()) {
            for pair in walk.stops.windows(2) {
                assert!(!faithful(&pair[0], &pair[1]).is_empty(), "{pair:?}");
            }
        }
    }

    #[test]
    fn the_parts_are_the_whole() {
        let whole = made(&every());
        let parts = ["1/3", "2/3", "3/3"].map(|part| part.parse::<Part>().unwrap());
        let made: BTreeSet<_> = parts.iter().flat_map(|part| made(&part.of(every()))).collect();
        assert_eq!(made, whole);
        for wrong in ["0/3", "4/3", "1", "1/0", "a/b"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_stop_is_like_the_one_before() {
        for walk in every() {
            assert!(walk.stops.windows(2).all(|pair| pair[0] != pair[1]), "{walk:?}");
        }
    }
}
