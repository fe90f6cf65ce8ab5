//! Texts that people read in conditions, events and the log: in one line, of limited length, without what nobody may see.

/// Replaces control characters: a message contains what users wrote, and a line break in it could forge a line of a log or
/// of the output of kubectl.
#[must_use]
pub fn one_line(text: String) -> String {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ")
    } else {
        text
    }
}

/// Returns a text of at most so many bytes; one that was cut ends with an ellipsis, which counts.
#[must_use]
pub fn within_bytes(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub("…".len())));
        text.push('…');
    }
    text
}

/// Returns the first characters of a text; one that was cut ends with an ellipsis, which does not count.
#[must_use]
pub fn first_chars(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.split_at(end).0),
        None => text.to_owned(),
    }
}

/// Replaces a value where it is quoted, and elsewhere too if `everywhere`: a short one occurs in any text.
#[must_use]
pub fn without_value(text: &str, value: &str, replacement: &str, everywhere: bool) -> String {
    let text = text.replace(&format!("\"{value}\""), replacement);
    if everywhere {
        text.replace(value, replacement)
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, bytes, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc…"),
            ("äöüä", 7, "äö…"),
            ("äöü", 6, "äöü"),
        ] {
            assert_eq!(within_bytes(text.to_owned(), bytes), expected, "{text}");
        }
        assert_eq!(first_chars("äöü", 3), "äöü");
        assert_eq!(first_chars("äöü", 2), "äö…");
    }

    #[test]
    fn a_value_is_replaced_where_it_is_quoted_or_everywhere() {
        let text = "\"on\" is on";
        assert_eq!(without_value(text, "on", "?", false), "? is on");
        assert_eq!(without_value(text, "on", "?", true), "? is ?");
    }

    #[test]
    fn a_text_is_one_line() {
        assert_eq!(one_line("a\n\u{1b}b".to_owned()), "a  b");
    }
}
