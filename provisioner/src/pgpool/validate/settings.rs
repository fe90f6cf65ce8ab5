//! The user's own `pgpool.conf`: read line by line, refused where it would undo TLS, authentication or the paths the
//! pod relies on, and where pgpool would read past it without a word. pgpool itself judges the rest.

mod check;
mod line;
mod refusal;

use shared_types::Pgpool;
use shared_types::conditions::Reason;

use super::reference::{Reference, text};
use super::{Inputs, Setting, Unmet};
use crate::pgpool::validate::catalog::Version;

/// Whether a setting is the operator's alone to make.
pub(in crate::pgpool) fn is_ours(name: &str) -> bool {
    refusal::refusal(name, false).is_some()
}

const FILE: &str = "pgpool.conf";

/// The settings of the Secret, overruled by those in place; each name once, in the order of first mention.
pub(super) fn custom_settings(
    pgpool: &Pgpool,
    inputs: &Inputs,
    version: Version,
) -> Result<Vec<Setting>, Unmet> {
    let Some(configuration) = &pgpool.spec.configuration else {
        return Ok(Vec::new());
    };
    if let Some(other) = configuration.inline.keys().find(|key| *key != FILE) {
        return Err(invalid(
            "`spec.configuration.inline`",
            &format!("has a key `{other}`: only `{FILE}` is known"),
        ));
    }
    let mut reading = Reading {
        settings: Vec::new(),
        own_backends: !configuration.backends.is_empty(),
        version,
    };
    if let Some(name) = configuration.secret_name.as_ref().filter(|name| !name.is_empty()) {
        let namespace = pgpool.metadata.namespace.as_deref().unwrap_or_default();
        let what = format!("Secret `{namespace}/{name}`");
        let file = from_secret(&what, inputs)?;
        reading.file(&what, &file)?;
    }
    if let Some(file) = configuration.inline_pgpool_conf() {
        reading.file("`spec.configuration.inline`", file)?;
    }
    check::together(&reading.settings).map_err(|complaint| invalid("`spec.configuration`", &complaint))?;
    Ok(reading.settings)
}

fn from_secret(what: &str, inputs: &Inputs) -> Result<String, Unmet> {
    let Some(lookup) = &inputs.configuration_secret else {
        return Err(Unmet::Reading {
            what: what.to_owned(),
        });
    };
    let secret = Reference {
        what,
        cure: "create it with key `pgpool.conf`, or correct `spec.configuration.secretName`",
        absent: Reason::ConfigurationSecretNotFound,
        forbidden: Reason::ConfigurationSecretNotFound,
    }
    .read(lookup)?;
    text(&secret, FILE).map_err(|complaint| invalid(what, &complaint))
}

fn invalid(place: &str, complaint: &str) -> Unmet {
    Unmet::rejected(Reason::ConfigurationInvalid, format!("{place} {complaint}."))
}

/// What has been read so far.
struct Reading {
    settings: Vec<Setting>,
    own_backends: bool,
    version: Version,
}

impl Reading {
    /// Reads a file over what is already there.
    fn file(&mut self, place: &str, file: &str) -> Result<(), Unmet> {
        for (number, line) in (1..).zip(file.lines()) {
            self.line(place, number, line)
                .map_err(|complaint| invalid(place, &complaint))?;
        }
        Ok(())
    }

    fn line(&mut self, place: &str, number: usize, line: &str) -> Result<(), String> {
        let read = line::parse(line).map_err(|complaint| format!("has line {number} that {complaint}"))?;
        let Some((name, token)) = read else {
            return Ok(());
        };
        if let Some(why) = refusal::refusal(name, self.own_backends) {
            return Err(format!(
                "sets `{name}` in line {number}, which {why}: remove the line"
            ));
        }
        check::name(name, self.version)
            .map_err(|complaint| format!("sets `{name}` in line {number}, which {complaint}"))?;
        check::value(name, token)
            .map_err(|complaint| format!("sets `{name}` in line {number} {complaint}"))?;
        let setting = Setting {
            name: name.to_owned(),
            token: token.to_owned(),
            place: format!("line {number} of {place}"),
        };
        match self.settings.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = setting,
            None => self.settings.push(setting),
        }
        Ok(())
    }
}
