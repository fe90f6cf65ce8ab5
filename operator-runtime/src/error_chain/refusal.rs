//! Messages of the API server without the values that they quote. Pure.

use serde::de::IgnoredAny;

/// What precedes a value in the message about an invalid field.
const BEFORE_VALUES: [&str; 4] = [
    "Invalid value: ",
    "Unsupported value: ",
    "Duplicate value: ",
    "Not found: ",
];

/// What takes the place of a value.
const MASK: &str = "(value not shown)";

/// From here on a message quotes the body of a request.
const BEFORE_BODIES: [&str; 2] = [", error found in #", ", bigger context "];

/// Returns the message of a response with this code, without the values that it quotes: one may be a password in the
/// environment of a container, or belong to a Secret.
pub(super) fn without_values(message: &str, code: u16) -> String {
    let end = BEFORE_BODIES.iter().filter_map(|mark| message.find(mark)).min();
    let message = end.and_then(|end| message.get(..end)).unwrap_or(message);
    // The API server could not decode the request: what is quoted may be any part of it.
    if code == 400 {
        return without_quotes(message);
    }
    let mut shown = String::new();
    let mut rest = message;
    while let Some((at, mark)) = next_mark(rest) {
        let Some((before, value)) = rest.split_at_checked(at.saturating_add(mark.len())) else {
            return shown;
        };
        shown.push_str(before);
        shown.push_str(MASK);
        match length_of_value(value).and_then(|length| value.get(length..)) {
            Some(after) => rest = after,
            // Text without quotes may contain anything, so that its end is not known.
            None => return shown,
        }
    }
    shown.push_str(rest);
    shown
}

fn next_mark(text: &str) -> Option<(usize, &'static str)> {
    let marks = BEFORE_VALUES.iter();
    marks.filter_map(|mark| Some((text.find(mark)?, *mark))).min()
}

/// Returns the length of the value at the start of a text: a Go string, JSON, or a number.
fn length_of_value(text: &str) -> Option<usize> {
    match text.as_bytes().first()? {
        b'"' => length_of_quoted(text),
        b'{' | b'[' => {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
            values.next()?.ok()?;
            Some(values.byte_offset())
        }
        _ => {
            let end = text.find([':', ',', ']']).unwrap_or(text.len());
            let value = text.get(..end)?;
            let is_plain = value.parse::<f64>().is_ok() || ["true", "false", "null"].contains(&value);
            is_plain.then_some(end)
        }
    }
}

/// Returns the length of the quoted text at the start.
fn length_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at.checked_add(1),
            _ => escaped = false,
        }
    }
    None
}

fn without_quotes(message: &str) -> String {
    let mut shown = String::new();
    let mut rest = message;
    while let Some((before, quoted)) = rest.find('"').and_then(|at| rest.split_at_checked(at)) {
        shown.push_str(before);
        shown.push_str(MASK);
        match length_of_quoted(quoted).and_then(|length| quoted.get(length..)) {
            Some(after) => rest = after,
            None => return shown,
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_advice_are_shown_and_values_are_not() {
        let rows = [
            (
                422,
                r#"Pod "p" is invalid: spec.x: Invalid value: "MARK\"ED: y": must be z"#,
                r#"Pod "p" is invalid: spec.x: Invalid value: (value not shown): must be z"#,
            ),
            (
                422,
                r#"[a: Invalid value: 70000: must be less, b: Unsupported value: {"k":"MARK]"}: supported values: "A"]"#,
                r#"[a: Invalid value: (value not shown): must be less, b: Unsupported value: (value not shown): supported values: "A"]"#,
            ),
            (
                422,
                r#"a: Duplicate value: "MARK""#,
                "a: Duplicate value: (value not shown)",
            ),
            (
                422,
                "a: Invalid value: MARK: ED: must be",
                "a: Invalid value: (value not shown)",
            ),
            (
                422,
                r#"a: Invalid value: "MARK"#,
                "a: Invalid value: (value not shown)",
            ),
            (
                422,
                r#"a: Invalid value: {"MARK"#,
                "a: Invalid value: (value not shown)",
            ),
            (
                403,
                r#"secrets "s" is forbidden: no right"#,
                r#"secrets "s" is forbidden: no right"#,
            ),
            (
                400,
                r#"parsing time "MARK" as "2006": cannot parse"#,
                "parsing time (value not shown) as (value not shown): cannot parse",
            ),
            (400, "bad, error found in #10 byte of ...|MARK|...", "bad"),
        ];
        for (code, message, expected) in rows {
            assert_eq!(without_values(message, code), expected);
        }
    }
}
