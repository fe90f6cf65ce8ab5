//! What was seen over all rotations, as figures. Pure.

use std::time::Duration;

use super::schedule::Change;
use crate::bench::figures::Figure;
use crate::bench::statistics::{longest, mebibytes, median, number, percentile};
use crate::namespace::cert_manager::SECRETS;
use crate::namespace::pgbench::Counts;
use crate::namespace::rotation::{Requests, Rotation};
use crate::operators::NAMES;

/// Resident memory of both operators in bytes, in their order.
pub(crate) type Memory = [Option<u64>; 2];

#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) before: Memory,
    pub(crate) after: Memory,
    pub(crate) clients: Counts,
    pub(crate) whole: Duration,
    rotations: usize,
    ca_changes: usize,
    served: Vec<f64>,
    requests: usize,
    /// Requests that were one too many, or missing.
    odd_requests: usize,
    proofs: usize,
}

impl Totals {
    pub(crate) fn rotated(&mut self, change: Change, rotation: &Rotation, requests: &Requests) {
        self.rotations += 1;
        self.ca_changes += usize::from(change.changes_ca());
        self.served.push(rotation.served.as_secs_f64());
        self.requests += requests.values().sum::<usize>();
        let odd = SECRETS.iter().map(|certificate| {
            let expected = usize::from(change.is_of(certificate));
            requests
                .get(*certificate)
                .copied()
                .unwrap_or_default()
                .abs_diff(expected)
        });
        self.odd_requests += odd.sum::<usize>();
        self.proofs += rotation.pods.len();
    }

    pub(crate) fn rotations(&self) -> usize {
        self.rotations
    }

    /// The figures, when so many rotations were wanted.
    pub(crate) fn figures(&self, wanted: usize) -> Vec<Figure> {
        let count = |title: &str, count: usize| Figure::new(title, Some(number(count)), "");
        let clients = &self.clients;
        let mut figures = vec![
            count(&format!("rotations, of {wanted} wanted"), self.rotations),
            count("  of which changes of the CA", self.ca_changes),
            count("handshakes that proved the new leaf in a pod", self.proofs),
            count("new connections of clients, each verified", clients.connections),
            count("failed new connections", clients.failed).at_most(0.0),
            count("broken sessions of one query", clients.broken_queries),
            count(
                "held sessions that broke between transactions",
                clients.broken_idle,
            ),
            count("held sessions that broke within one", clients.broken_busy),
        ];
        figures.extend(self.times());
        let mean = (self.rotations > 0).then(|| number(self.requests) / number(self.rotations));
        figures.push(Figure::new("CertificateRequests per rotation", mean, ""));
        let odd = count(
            "  beyond, or short of, one for each certificate that changes",
            self.odd_requests,
        );
        figures.push(odd.at_most(0.0));
        for (index, name) in NAMES.iter().enumerate() {
            for (when, memory) in [("before", self.before), ("after", self.after)] {
                let title = format!("resident memory of {name}, {when}");
                figures.push(Figure::new(title, memory[index].map(mebibytes), "MiB"));
            }
        }
        figures.push(Figure::new("all of it", Some(self.whole.as_secs_f64()), "s"));
        figures
    }

    fn times(&self) -> Vec<Figure> {
        let title = "Secret change to served by every pod";
        let time = |which: &str, of: fn(Vec<f64>) -> f64| {
            let value = (!self.served.is_empty()).then(|| of(self.served.clone()));
            Figure::new(format!("{title}, {which}"), value, "s")
        };
        vec![
            time("median", median),
            time("95 of 100", |values| percentile(values, 95)),
            time("longest", longest),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_shown() {
        let mut tally = Totals::default();
        for (served, requests) in [(5, 1), (9, 2)] {
            let rotation = Rotation {
                issued: Duration::ZERO,
                served: Duration::from_secs(served),
                whole: Duration::ZERO,
                pods: Vec::new(),
            };
            let requests = Requests::from([("pool-server-cert".to_owned(), requests)]);
            tally.rotated(Change::Issuer, &rotation, &requests);
        }
        let figures = tally.figures(3);
        let value = |title: &str| {
            let found = figures.iter().find(|figure| figure.title.contains(title));
            found.and_then(|figure| figure.value)
        };
        assert_eq!(value("rotations, of 3"), Some(2.0));
        assert_eq!(value("longest"), Some(9.0));
        assert_eq!(value("per rotation"), Some(1.5));
        // Twice, two were missing; the second time, one was too many.
        assert_eq!(value("beyond"), Some(5.0));
        assert_eq!(value("before"), None);
    }
}
