//! The user's own `pgpool.conf`: parsed line by line, rejected where it would undo TLS, authentication or the paths that the
//! pod relies on, and where pgpool would silently ignore it. The config check covers the rest.

mod check;
mod forbidden;
mod line;

use std::collections::HashMap;

use shared_types::Pgpool;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::limits;

use super::resolve::{Reference, text_of_at_most};
use super::{Inputs, Setting};
use crate::pgpool::validate::settings_catalog::{self, Known, Version};

/// Whether only the operator may set it.
pub(in crate::pgpool) fn is_ours(name: &str) -> bool {
    forbidden::refusal(name, false).is_some()
}

const FILE: &str = "pgpool.conf";

/// The settings of the Secret, overridden by the inline ones; each name once, in the order of first mention.
pub(super) fn custom_settings(
    pgpool: &Pgpool,
    inputs: &Inputs,
    version: Version,
) -> Result<Vec<Setting>, Blocked> {
    let Some(configuration) = &pgpool.spec.configuration else {
        return Ok(Vec::new());
    };
    if let Some(other) = configuration.inline.keys().find(|key| *key != FILE) {
        return Err(invalid(
            "`spec.configuration.inline`",
            &format!("has a key `{other}`: only `{FILE}` is supported"),
        ));
    }
    let mut reading = Reading {
        settings: Vec::new(),
        positions: HashMap::new(),
        own_backends: !configuration.backends.is_empty(),
        allow_commands: inputs.allow_commands,
        version,
    };
    if let Some(name) = configuration.secret_name.as_ref().filter(|name| !name.is_empty()) {
        let namespace = pgpool.metadata.namespace.as_deref().unwrap_or_default();
        let what = format!("Secret `{namespace}/{name}`");
        let file = from_secret(&what, inputs)?;
        reading.file(&what, true, &file)?;
    }
    if let Some(file) = configuration.inline_pgpool_conf() {
        reading.file("`spec.configuration.inline`", false, file)?;
    }
    check::together(&reading.settings).map_err(|problem| invalid("`spec.configuration`", &problem))?;
    Ok(reading.settings)
}

fn from_secret(what: &str, inputs: &Inputs) -> Result<String, Blocked> {
    let Some(lookup) = &inputs.configuration_secret else {
        return Err(Blocked::Unknown);
    };
    let secret = Reference {
        what,
        how_to_fix: "create it with key `pgpool.conf`, or correct `spec.configuration.secretName`",
        absent: Reason::ConfigurationSecretNotFound,
        forbidden: Reason::ConfigurationSecretNotFound,
    }
    .read(lookup)?;
    text_of_at_most(limits::SETTINGS_BYTES, &secret, FILE).map_err(|problem| invalid(what, &problem))
}

fn invalid(place: &str, problem: &str) -> Blocked {
    Blocked::stuck(Reason::ConfigurationInvalid, format!("{place} {problem}."))
}

/// The settings read so far.
struct Reading {
    settings: Vec<Setting>,
    /// Where each setting is in the list, by its name.
    positions: HashMap<String, usize>,
    own_backends: bool,
    allow_commands: bool,
    version: Version,
}

impl Reading {
    /// Adds the settings of a file; they override earlier ones.
    fn file(&mut self, place: &str, is_confidential: bool, file: &str) -> Result<(), Blocked> {
        if file.len() > limits::SETTINGS_BYTES {
            let problem = format!(
                "has a `{FILE}` of {} bytes, and at most {} are read: shorten it",
                file.len(),
                limits::SETTINGS_BYTES
            );
            return Err(invalid(place, &problem));
        }
        for (number, line) in (1..).zip(file.lines()) {
            self.line((place, number), is_confidential, line)
                .map_err(|problem| invalid(place, &problem))?;
        }
        Ok(())
    }

    fn line(
        &mut self,
        (place, number): (&str, usize),
        is_confidential: bool,
        line: &str,
    ) -> Result<(), String> {
        let read = line::parse(line).map_err(|problem| format!("has line {number} that {problem}"))?;
        let Some((name, token)) = read else {
            return Ok(());
        };
        check::length(name, token).map_err(|problem| format!("has in line {number} {problem}"))?;
        // A text in a Secret that is no setting may be anything.
        let shown = match settings_catalog::known(name, self.version) {
            Known::No(_) if is_confidential => "something".to_owned(),
            _ => format!("`{name}`"),
        };
        if let Some(why) = forbidden::refusal(name, self.own_backends) {
            return Err(format!(
                "sets {shown} in line {number}, which {why}: remove the line"
            ));
        }
        if !self.allow_commands && forbidden::runs_command(name) {
            return Err(format!(
                "sets `{name}` in line {number}, with which pgpool runs a command: remove the line, or ask the administrators \
                 of the cluster to allow such settings in the chart of the provisioner"
            ));
        }
        check::name(name, self.version)
            .map_err(|problem| format!("sets {shown} in line {number}, which {problem}"))?;
        check::value(name, token).map_err(|problem| format!("sets {shown} in line {number} {problem}"))?;
        let setting = Setting {
            name: name.to_owned(),
            token: token.to_owned(),
            place: format!("line {number} of {place}"),
            is_confidential,
        };
        let known = self.positions.get(name).and_then(|at| self.settings.get_mut(*at));
        if let Some(known) = known {
            *known = setting;
            return Ok(());
        }
        if self.settings.len() == limits::SETTINGS {
            return Err(format!(
                "sets {shown} in line {number} as one more than the {} settings that are accepted: remove some",
                limits::SETTINGS
            ));
        }
        self.positions.insert(name.to_owned(), self.settings.len());
        self.settings.push(setting);
        Ok(())
    }
}
