//! One line of `pgpool.conf`.
//!
//! Values keep the user's spelling, once it is proven that each is exactly one token of pgpool's grammar: that grammar allows
//! several settings on one line, so a value must never contain a second one.

/// Parses `name = value`; the sign is optional in pgpool's grammar. `None` for a blank line or a comment.
///
/// # Errors
/// What is wrong with the line, without any text of it: it may come from a Secret.
pub(super) fn parse(line: &str) -> Result<Option<(&str, &str)>, String> {
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
        return Err("has no value: write `NAME = VALUE`".to_owned());
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let token = token(rest).map_err(|problem| format!("has {problem}"))?;
    let tail = rest.strip_prefix(token).unwrap_or_default().trim_start();
    if !tail.is_empty() && !tail.starts_with('#') {
        return Err("has text after the value: write one setting per line".to_owned());
    }
    Ok(Some((name, token)))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The first token of a value.
fn token(rest: &str) -> Result<&str, String> {
    if let Some(inside) = rest.strip_prefix('\'') {
        let (text, after) = inside
            .split_once('\'')
            .ok_or("a value whose quote is not closed")?;
        if text.ends_with('\\') || after.starts_with('\'') {
            return Err("a value with a quote inside, which pgpool cannot read".to_owned());
        }
        if text.contains(char::is_control) {
            return Err("a value with a control character".to_owned());
        }
        return Ok(rest.strip_suffix(after).unwrap_or(rest));
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || c == '#')
        .unwrap_or(rest.len());
    let (token, _) = rest.split_at(end);
    match token.is_empty() {
        true => Err("no value".to_owned()),
        false if is_number(token) || is_word(token) => Ok(token),
        false => Err("a value that must be quoted: put it in single quotes".to_owned()),
    }
}

/// A whole number with an optional unit, or a fraction.
fn is_number(token: &str) -> bool {
    let digits = token.trim_start_matches(['+', '-']);
    if token.len() > digits.len().saturating_add(1) {
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
