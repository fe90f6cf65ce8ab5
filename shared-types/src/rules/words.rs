//! Fields that take one of a few words.
//!
//! A schema that lists the words refuses others, but cannot say which was meant, and it keeps rules from being asked
//! at all. So a rule decides here, and names the likely word; the list stays in the schema as one of two alternatives,
//! of which the other takes any text, for editors that offer it.

use serde_json::{Map, Value, json};

use super::{Rule, add};

/// Longest text that is looked at.
const LONGEST: usize = 64;

/// Makes a field take only its words.
pub(super) fn install(at: &str, values: &[&str], schema: &mut Map<String, Value>) {
    let optional = !values.is_empty();
    let listed = schema.remove("enum").and_then(|list| list.as_array().cloned());
    let listed = listed.unwrap_or_default();
    let values: Vec<&str> = if optional {
        values.to_vec()
    } else {
        listed.iter().filter_map(Value::as_str).collect()
    };
    schema.insert(
        "anyOf".into(),
        json!([{ "enum": values }, { "maxLength": LONGEST }]),
    );
    schema.insert("maxLength".into(), json!(LONGEST));
    add(schema, &rule(at, &values, optional));
}

fn rule(at: &str, values: &[&str], optional: bool) -> Rule {
    let list: Vec<_> = values.iter().map(|value| format!("'{value}'")).collect();
    let known = format!("self in [{}]", list.join(", "));
    let message = format!("{at} is one of {}", values.join(", "));
    Rule {
        at: at.to_owned(),
        expression: if optional {
            format!("self == '' || {known}")
        } else {
            known
        },
        message_expression: Some(format!("'{message}' + {}", hint(values))),
        message,
        field: None,
    }
}

/// In CEL, `; did you mean X?` for the first word that a text has in it, whatever its case and punctuation, or of which
/// it has a part that no other word has; else for the words that begin alike; else nothing.
fn hint(words: &[&str]) -> String {
    let mut longest_first = words.to_vec();
    longest_first.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut cases: Vec<_> = longest_first
        .iter()
        .map(|word| (spellings(word, words), (*word).to_owned()))
        .collect();
    let mut starts: Vec<(String, Vec<&str>)> = Vec::new();
    for word in words {
        let start: String = word.chars().take(2).collect::<String>().to_ascii_lowercase();
        match starts.iter_mut().find(|(known, _)| *known == start) {
            Some((_, words)) => words.push(word),
            None => starts.push((start, vec![word])),
        }
    }
    cases.extend(
        starts
            .into_iter()
            .map(|(start, words)| (format!("^{start}"), words.join(" or "))),
    );
    let cases = cases
        .iter()
        .map(|(pattern, word)| format!("self.matches(r'(?i){pattern}') ? '; did you mean {word}?' : "));
    format!("({}'')", cases.collect::<String>())
}

/// A pattern for a word, and for each of its parts that is long enough to mean it.
fn spellings(word: &str, words: &[&str]) -> String {
    let whole = parts(word).join("[-_./ ]?");
    let telling = |part: &String| {
        let others = words.iter().filter(|other| **other != word);
        part.len() >= 4
            && !others
                .clone()
                .any(|other| other.to_lowercase().contains(part.as_str()))
    };
    let telling = parts(word).into_iter().filter(telling);
    [whole.clone()]
        .into_iter()
        .chain(telling.filter(|part| *part != whole))
        .collect::<Vec<_>>()
        .join("|")
}

/// The parts of a word in lower case: between punctuation, or each with a capital letter.
fn parts(word: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = None;
    for letter in word.chars() {
        let capital = letter.is_ascii_uppercase() && before.is_some_and(|c: char| c.is_ascii_lowercase());
        if (capital || !letter.is_ascii_alphanumeric()) && parts.last().is_some_and(|part| !part.is_empty()) {
            parts.push(String::new());
        }
        if let (true, Some(part)) = (letter.is_ascii_alphanumeric(), parts.last_mut()) {
            part.push(letter.to_ascii_lowercase());
        }
        before = Some(letter);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_type_are_those_of_the_rule() {
        let mut schema = json!({"type": "string", "enum": ["verify-ca", "off"]});
        install("spec.mode", &[], schema.as_object_mut().unwrap());
        assert_eq!(schema["anyOf"][0]["enum"], json!(["verify-ca", "off"]));
        assert!(schema.get("enum").is_none());
        let rule = &schema["x-kubernetes-validations"][0];
        assert_eq!(rule["rule"], "self in ['verify-ca', 'off']");
        assert_eq!(rule["message"], "spec.mode is one of verify-ca, off");
        assert!(
            rule["messageExpression"]
                .as_str()
                .unwrap()
                .starts_with("'spec.mode is one of")
        );
    }

    #[test]
    fn words_are_told_by_what_only_they_have() {
        assert_eq!(parts("prometheus.io/builtin"), ["prometheus", "io", "builtin"]);
        assert_eq!(parts("ReconfigureTLS"), ["reconfigure", "tls"]);
        assert_eq!(
            spellings("verify-full", &["verify-ca", "verify-full"]),
            "verify[-_./ ]?full|full"
        );
        assert_eq!(spellings("disable", &["disable", "allow"]), "disable");
        assert_eq!(
            hint(&["a-one", "a-other"]),
            "(self.matches(r'(?i)a[-_./ ]?other|other') ? '; did you mean a-other?' : self.matches(r'(?i)a[-_./ ]?one') ? \
             '; did you mean a-one?' : self.matches(r'(?i)^a-') ? '; did you mean a-one or a-other?' : '')"
        );
    }
}
