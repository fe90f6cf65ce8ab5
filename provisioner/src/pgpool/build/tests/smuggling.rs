//! No text of a user becomes a setting that he may not make.
//!
//! Every combination of a few dangerous fragments goes through the real steps; what comes out is read by a second,
//! independent model of pgpool's grammar, which takes several settings from one line.

use std::collections::BTreeMap;

use super::support::{self, World, file};

const FRAGMENTS: [&str; 11] = [
    "max_pool", "ssl", "=", "on", "'", "\\", "#", "\n", " ", "5", "\u{b}",
];
const LENGTH: usize = 4;

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Key(&'a str),
    Equals,
    Value(&'a str),
    EndOfLine,
}

/// The first token and what follows it, by pgpool's rule that the longest match wins.
fn next(text: &str) -> Result<Option<(Token<'_>, &str)>, String> {
    let text = text.trim_start_matches([' ', '\t', '\r']);
    let Some(first) = text.chars().next() else {
        return Ok(None);
    };
    let word = |more: &str| {
        text.find(|c: char| !c.is_alphanumeric() && !more.contains(c))
            .unwrap_or(text.len())
    };
    let (token, end) = match first {
        '\n' => (Token::EndOfLine, 1),
        '=' => (Token::Equals, 1),
        '#' => return next(&text[text.find('\n').unwrap_or(text.len())..]),
        '\'' => {
            let line = &text[..text.find('\n').unwrap_or(text.len())];
            let mut ends = line.match_indices('\'').map(|(at, _)| at).skip(1);
            let mut end = ends.next().ok_or("an open quote")?;
            for further in ends {
                if !line[..end].ends_with('\\') {
                    break;
                }
                end = further;
            }
            (Token::Value(&text[..=end]), end + 1)
        }
        c if c.is_alphabetic() || c == '_' => {
            let (key, value) = (word("_"), word("_-.:/"));
            if value > key {
                (Token::Value(&text[..value]), value)
            } else {
                (Token::Key(&text[..key]), key)
            }
        }
        c if c.is_ascii_digit() || "+-.".contains(c) => {
            let end = word("+-.").max(1);
            (Token::Value(&text[..end]), end)
        }
        c => return Err(format!("the character {c:?}")),
    };
    Ok(Some((token, &text[end..])))
}

/// What pgpool would take from a file.
fn read(mut text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut settings = BTreeMap::new();
    while let Some((token, rest)) = next(text)? {
        text = rest;
        let Token::Key(name) = token else {
            if token == Token::EndOfLine {
                continue;
            }
            return Err(format!("{token:?} in place of a name"));
        };
        let mut value = next(text)?.ok_or("the end in place of a value")?;
        if value.0 == Token::Equals {
            value = next(value.1)?.ok_or("the end in place of a value")?;
        }
        text = value.1;
        let (Token::Key(value) | Token::Value(value)) = value.0 else {
            return Err(format!("{:?} in place of a value", value.0));
        };
        if settings.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(format!("{name} twice"));
        }
    }
    Ok(settings)
}

#[test]
fn the_model_reads_as_pgpool_does() {
    let read = |text: &str| read(text).map(|settings| settings.into_iter().collect::<Vec<_>>());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(read("a = 5 b 6").unwrap(), [pair("a", "5"), pair("b", "6")]);
    assert_eq!(read("a = 'x\\' y' # c\n").unwrap(), [pair("a", "'x\\' y'")]);
    assert!(read("a = 'it''s'").is_err());
    assert!(read("max_pool: 5").is_err());
}

#[test]
fn no_text_smuggles_a_setting() {
    let mut world = World::plain().spec("configuration: {inline: {}}");
    let mut taken = 0;
    for number in 0..FRAGMENTS.len().pow(u32::try_from(LENGTH).unwrap()) {
        let mut rest = number;
        let text: String = std::iter::repeat_with(|| {
            let fragment = FRAGMENTS[rest % FRAGMENTS.len()];
            rest /= FRAGMENTS.len();
            fragment
        })
        .take(LENGTH)
        .collect();
        let text = format!("log_line_prefix = '%m'\nmax_pool={text}");
        let inline = &mut world.pgpool.spec.configuration.as_mut().unwrap().inline;
        inline.insert("pgpool.conf".to_owned(), text.clone());
        let Ok(validated) = world.validate() else { continue };
        taken += 1;
        let conf = file(
            &support::foundation(&validated).config_secret.unwrap(),
            "pgpool.conf",
        );
        let settings = read(&conf).unwrap_or_else(|error| panic!("{text:?} became {error}:\n{conf}"));
        assert_eq!(settings["ssl"], "off", "{text:?}");
        assert_eq!(settings["enable_pool_hba"], "on", "{text:?}");
        assert_eq!(settings["log_line_prefix"], "'%m'", "{text:?}");
    }
    assert!(taken > 100, "nearly nothing was taken: {taken}");
}
