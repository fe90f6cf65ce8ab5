//! The user's own `pgpool.conf`: read line by line, refused where it would undo TLS, authentication or the paths the
//! pod relies on.
//!
//! Values keep the form the user gave them, after it has been proven that each is exactly one token of pgpool's
//! grammar: several settings fit on one line of that grammar, so a value must never carry a second one along.

use shared_types::Pgpool;
use shared_types::conditions::Reason;

use super::reference::{Reference, text};
use super::{Inputs, Setting, Unmet};

const FILE: &str = "pgpool.conf";

/// The settings of the Secret, overruled by those in place; each name once, in the order of first mention.
pub(super) fn custom_settings(pgpool: &Pgpool, inputs: &Inputs) -> Result<Vec<Setting>, Unmet> {
    let Some(configuration) = &pgpool.spec.configuration else {
        return Ok(Vec::new());
    };
    if let Some(other) = configuration.inline.keys().find(|key| *key != FILE) {
        return Err(invalid(
            "`spec.configuration.inline`",
            &format!("has a key `{other}`: only `{FILE}` is known"),
        ));
    }
    let own_backends = !configuration.backends.is_empty();
    let mut settings = Vec::new();
    if let Some(name) = configuration.secret_name.as_ref().filter(|name| !name.is_empty()) {
        let namespace = pgpool.metadata.namespace.as_deref().unwrap_or_default();
        let what = format!("Secret `{namespace}/{name}`");
        let file = from_secret(&what, inputs)?;
        merge(&mut settings, &file, own_backends).map_err(|complaint| invalid(&what, &complaint))?;
    }
    if let Some(file) = configuration.inline_pgpool_conf() {
        let place = "`spec.configuration.inline`";
        merge(&mut settings, file, own_backends).map_err(|complaint| invalid(place, &complaint))?;
    }
    Ok(settings)
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

/// Reads a file over what is already there.
fn merge(settings: &mut Vec<Setting>, file: &str, own_backends: bool) -> Result<(), String> {
    for (index, line) in file.lines().enumerate() {
        let number = index + 1;
        let Some(setting) = parse(line).map_err(|complaint| format!("has line {number} that {complaint}"))?
        else {
            continue;
        };
        if let Some(why) = refusal(&setting.name, own_backends) {
            return Err(format!(
                "sets `{}` in line {number}, which {why}: remove the line",
                setting.name
            ));
        }
        match settings.iter_mut().find(|known| known.name == setting.name) {
            Some(known) => *known = setting,
            None => settings.push(setting),
        }
    }
    Ok(())
}

/// Reads one line: `name = value`, the sign being optional in pgpool's grammar; nothing for a blank or a comment.
fn parse(line: &str) -> Result<Option<Setting>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("does not begin with the name of a setting".to_owned());
    }
    if !rest.starts_with([' ', '\t', '=']) {
        return Err(format!("has no value for `{name}`: write `{name} = VALUE`"));
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let token = token(rest).map_err(|complaint| format!("gives `{name}` {complaint}"))?;
    let tail = rest[token.len()..].trim_start();
    if !tail.is_empty() && !tail.starts_with('#') {
        return Err(format!(
            "has something behind the value of `{name}`: one setting a line"
        ));
    }
    Ok(Some(Setting {
        name: name.to_owned(),
        token: token.to_owned(),
    }))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The first token of a value.
fn token(rest: &str) -> Result<&str, String> {
    if let Some(inside) = rest.strip_prefix('\'') {
        let end = inside.find('\'').ok_or("a value whose quote is not closed")?;
        if inside[..end].ends_with('\\') || inside[end + 1..].starts_with('\'') {
            return Err("a value with a quote inside, which pgpool cannot read".to_owned());
        }
        if inside[..end].contains(char::is_control) {
            return Err("a value with a control character".to_owned());
        }
        return Ok(&rest[..end + 2]);
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || c == '#')
        .unwrap_or(rest.len());
    let token = &rest[..end];
    match token.is_empty() {
        true => Err("no value".to_owned()),
        false if is_number(token) || is_word(token) => Ok(token),
        false => Err(format!("the value {token}: put it in single quotes")),
    }
}

/// A whole number with an optional unit, or a fraction.
fn is_number(token: &str) -> bool {
    let digits = token.trim_start_matches(['+', '-']);
    if token.len() - digits.len() > 1 {
        return false;
    }
    let unit = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let whole = unit.len() < digits.len() && unit.chars().all(|c| c.is_ascii_alphabetic());
    let fraction = digits.contains('.') && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    whole || (fraction && digits.parse::<f64>().is_ok())
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && token
            .chars()
            .all(|c| is_name(c) || matches!(c, '-' | '.' | ':' | '/'))
}

/// Why a setting is not the user's to make.
fn refusal(name: &str, own_backends: bool) -> Option<&'static str> {
    // pgpool compares names exactly, but not in every version: judge without regard to case.
    let name = name.to_ascii_lowercase();
    if name == "ssl" || name.starts_with("ssl_") {
        return Some("decides on TLS and follows from `spec.sslMode` and `spec.tls`");
    }
    if name.starts_with("include") {
        return Some("would read settings past all checks");
    }
    if name.starts_with("pcp_") {
        return Some("would open the control port, which knows no TLS");
    }
    match name.as_str() {
        "enable_pool_hba" | "pool_passwd" | "allow_clear_text_frontend_auth" => {
            Some("decides on authentication and follows from `spec.clientAuthMode`")
        }
        "listen_addresses" | "port" => Some("is where the Services and the probes expect the pool"),
        "unix_socket_directories" | "socket_dir" | "pid_file_name" | "logdir" | "work_dir" => {
            Some("is a path that the pod provides")
        }
        _ => backend_refusal(&name, own_backends),
    }
}

fn backend_refusal(name: &str, own_backends: bool) -> Option<&'static str> {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if base.len() == name.len() {
        return None;
    }
    match base {
        "backend_hostname" | "backend_port" | "backend_data_directory" => {
            Some("names a server and belongs into `spec.configuration.backends`")
        }
        "backend_weight" | "backend_flag" if own_backends => Some("stands in `spec.configuration.backends`"),
        _ => None,
    }
}
