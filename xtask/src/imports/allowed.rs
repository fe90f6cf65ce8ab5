//! Known findings that are allowed for a while: `imports-allowed.txt`, one a line, as rule and path.
//!
//! An entry covers findings all of whose paths start with its path. An entry that covers nothing is a finding itself.

use std::{fs, io};

use anyhow::Context;

use super::{Finding, Rule};
use crate::workspace;

const FILE: &str = "xtask/imports-allowed.txt";

pub(super) struct Allowed(Vec<(String, String)>);

impl Allowed {
    pub(super) fn read() -> anyhow::Result<Self> {
        match fs::read_to_string(workspace::root().join(FILE)) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(Vec::new())),
            Err(error) => Err(error).context(FILE),
        }
    }

    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let entry = |line: &str| {
            let (rule, path) = line
                .split_once(' ')
                .with_context(|| format!("{FILE}: {line:?} is not a rule and a path"))?;
            Ok((rule.to_owned(), path.to_owned()))
        };
        Ok(Self(lines.map(entry).collect::<anyhow::Result<_>>()?))
    }

    /// The findings that are allowed, and those that are not.
    pub(super) fn split(&self, findings: Vec<Finding>) -> (Vec<Finding>, Vec<Finding>) {
        let (tolerated, mut rest): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .partition(|finding| self.0.iter().any(|entry| covers(entry, finding)));
        for entry in &self.0 {
            if !tolerated.iter().any(|finding| covers(entry, finding)) {
                rest.push(Finding {
                    rule: Rule::Unused,
                    paths: Vec::new(),
                    text: format!(
                        "remove \"{} {}\" from {FILE}: there is nothing of the kind any more",
                        entry.0, entry.1
                    ),
                });
            }
        }
        (tolerated, rest)
    }
}

fn covers((rule, path): &(String, String), finding: &Finding) -> bool {
    finding.rule.name() == rule && finding.paths.iter().all(|file| file.starts_with(path))
}
