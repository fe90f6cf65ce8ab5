//! The scripts of the clients, and what is read from their output. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;

use super::cells::{Cell, Certificate, Expects, From, Password, Question};
use super::pools::USER;
use super::psql_output::{self, Seen};

/// The folder of the CAs in the client's pod.
pub(crate) const CA_FOLDER: &str = "/cas";

pub(crate) const CERTIFICATES: &str = "/certificates";

/// The query of every attempt: who it is, and how pgpool's own connection is secured.
const QUERY: &str =
    "select 'row ' || current_user || ' ' || ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// Defines how one attempt is made, and printed.
pub(crate) fn preamble() -> String {
    format!(
        "try() {{ echo \"@ $1\"; psql \"connect_timeout=20 port=9999 user={USER} dbname=postgres $2\" -wXAtc '\\conninfo' -c \
         \"{QUERY}\" 2>&1; echo \"= $?\"; }}\n"
    )
}

/// One call of psql, of the cell with this number at the pool `name`.
pub(crate) fn attempt(name: &str, index: usize, cell: Cell, host: &str) -> String {
    format!("try '{name} {index}' \"{}\"\n", options(name, cell, host))
}

/// What psql is given to connect, beside port, user and database. `host` has the address in it.
pub(crate) fn options(name: &str, cell: Cell, host: &str) -> String {
    let mut options = format!("{host} sslmode={}", cell.client.as_str());
    let ca = match cell.expects {
        Expects::OtherCa => "other",
        _ => "own",
    };
    if cell.client.as_str().starts_with("verify") {
        let _ = write!(options, " sslrootcert={CA_FOLDER}/{ca}");
    }
    if cell.expects == Expects::ChannelBinding {
        options.push_str(" channel_binding=require");
    }
    let file = match cell.certificate {
        Certificate::Right => Some(name),
        other => other.file(),
    };
    if let Some(file) = file {
        let _ = write!(
            options,
            " sslcert={CERTIFICATES}/{file}.crt sslkey={CERTIFICATES}/{file}.key"
        );
    }
    match cell.password {
        Password::Right => {}
        Password::Wrong => options.push_str(" password=wrong"),
        Password::None => options.push_str(" passfile=/dev/null password=''"),
    }
    options
}

/// The cells that are tried from some place, with their numbers.
pub(crate) fn numbered(
    cells: &[Cell],
    wanted: impl Fn(From) -> bool,
) -> impl Iterator<Item = (usize, &Cell)> {
    cells
        .iter()
        .enumerate()
        .filter(move |(_, cell)| wanted(cell.from))
}

/// Takes the log apart, and fails when an attempt of this question is missing from it.
pub(crate) fn sorted(question: &Question, from: From, log: &str) -> anyhow::Result<Vec<(Cell, Seen)>> {
    let seen = attempts(log);
    let wanted = |it: From| (it == From::Service) == (from == From::Service);
    let mut found = Vec::new();
    for (index, cell) in numbered(&question.cells, wanted) {
        let key = format!("{} {index}", question.name);
        let seen = seen
            .get(key.as_str())
            .with_context(|| format!("psql did not end for {key}: {log}"))?;
        found.push((*cell, seen.clone()));
    }
    Ok(found)
}

/// What is in a log, by the key of each attempt.
fn attempts(log: &str) -> BTreeMap<&str, Seen> {
    let mut all = BTreeMap::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in log.lines() {
        if let Some(key) = line.strip_prefix("@ ") {
            open = Some((key, Vec::new()));
        } else if let Some(status) = line.strip_prefix("= ").and_then(|status| status.parse().ok()) {
            if let Some((key, output)) = open.take() {
                all.insert(key, psql_output::read(status, &output.join("\n")));
            }
        } else if let Some((_, output)) = &mut open {
            output.push(line);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::cells::Client;
    use super::super::oracle::Verdict;
    use super::super::pools::Combination;
    use super::*;

    #[test]
    fn a_log_is_taken_apart() {
        let question = Question {
            cells: vec![
                Cell::new(Client::Disable, Password::Right, Certificate::None),
                Cell::new(Client::Require, Password::Right, Certificate::None),
            ],
            ..Question::all("a".to_owned(), Combination::all()[0], 1)
        };
        let log = "noise\n@ a 1\nno\n= 2\n@ a 0\nrow postgres false\n= 0\n";
        let seen = sorted(&question, From::Service, log).unwrap();
        assert_eq!(seen[0].1.verdict, Some(Verdict::Allowed { encrypted: false }));
        assert_eq!(seen[1].1.output, "no");
        let half = "@ a 0\nrow postgres false\n= 0\n@ a 1\n";
        assert!(sorted(&question, From::Service, half).is_err());
    }

    #[test]
    fn an_attempt_shows_what_its_cell_has() {
        let cell = Cell {
            expects: Expects::OtherCa,
            ..Cell::new(Client::VerifyCa, Password::Wrong, Certificate::Foreign)
        };
        let line = attempt("a", 7, cell, "host=a");
        for words in [
            "'a 7'",
            "host=a sslmode=verify-ca sslrootcert=/cas/other",
            "sslcert=/certificates/foreign.crt",
            "password=wrong",
        ] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }
}
