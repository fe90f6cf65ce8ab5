//! What the reader of a page has to do, by its fenced blocks. Pure.
//!
//! | Block | Meaning |
//! |---|---|
//! | `sh` | commands, which must succeed |
//! | `sh fails` | commands, the last of which must fail |
//! | `LANGUAGE file=NAME` | the text of a file that the page has just named |
//! | `text`, next after `sh` | the output of these commands |
//! | `LANGUAGE ignore REASON` | only to be read |
//!
//! Everything else is an error: a block that nobody runs is a block that is wrong one day.

use anyhow::{Context as _, bail, ensure};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    File {
        name: String,
        text: String,
        /// The line of the page where it begins.
        line: usize,
    },
    Commands(Commands),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Commands {
    pub(crate) text: String,
    /// The line of the page where they begin.
    pub(crate) line: usize,
    pub(crate) fails: bool,
    /// What they print, when the page says so.
    pub(crate) output: Option<Output>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) text: String,
    /// The line of the page where it begins.
    pub(crate) line: usize,
}

/// The steps of a page, in their order.
///
/// # Errors
/// When a block is neither run nor marked as one to be read; the error names its line.
pub(crate) fn steps(text: &str) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = Kind::Other;
    for block in blocks(text)? {
        let line = block.line;
        let kind = kind(&block).with_context(|| format!("line {line}"))?;
        match (&kind, before) {
            (Kind::Commands { fails }, _) => steps.push(Step::Commands(Commands {
                text: block.text,
                line,
                fails: *fails,
                output: None,
            })),
            (Kind::File(name), _) => steps.push(Step::File {
                name: name.clone(),
                text: block.text,
                line,
            }),
            (Kind::Output, Kind::Commands { .. }) => {
                if let Some(Step::Commands(commands)) = steps.last_mut() {
                    commands.output = Some(Output {
                        text: block.text,
                        line,
                    });
                }
            }
            // The output of commands that are not run.
            (Kind::Output, Kind::Ignored) | (Kind::Ignored, _) => {}
            (Kind::Output, _) => bail!("line {line}: no commands are before this output"),
            (Kind::Other, _) => bail!(
                "line {line}: a block is `sh`, `text`, names its `file=` or says why to `ignore` it, not {:?}",
                block.info
            ),
        }
        before = kind;
    }
    Ok(steps)
}

enum Kind {
    Commands { fails: bool },
    File(String),
    Output,
    Ignored,
    Other,
}

fn kind(block: &Block) -> anyhow::Result<Kind> {
    let mut words = block.info.split_whitespace();
    let language = words.next().unwrap_or_default();
    let option = words.next();
    let more = words.next();
    match (language, option) {
        (_, Some("ignore")) => {
            ensure!(more.is_some(), "say why the block is not run: `ignore REASON`");
            Ok(Kind::Ignored)
        }
        ("sh", None) => Ok(Kind::Commands { fails: false }),
        ("sh", Some("fails")) if more.is_none() => Ok(Kind::Commands { fails: true }),
        ("text", None) => Ok(Kind::Output),
        (_, Some(option)) if more.is_none() => match option.strip_prefix("file=") {
            Some(name) => {
                ensure!(
                    !name.is_empty() && !name.starts_with(['/', '.']),
                    "{name:?} is no plain name of a file"
                );
                ensure!(
                    block.before.contains(&format!("`{name}`")),
                    "the line before the block does not say that it is `{name}`"
                );
                Ok(Kind::File(name.to_owned()))
            }
            None => Ok(Kind::Other),
        },
        _ => Ok(Kind::Other),
    }
}

struct Block {
    info: String,
    text: String,
    /// The line of the opening fence, counted from 1.
    line: usize,
    /// The last line with something on it before the block.
    before: String,
}

fn blocks(text: &str) -> anyhow::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize, Block)> = None;
    let mut before = "";
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.len() - line.trim_start().len();
        let ticks = line[indent..].bytes().take_while(|byte| *byte == b'`').count();
        let info = line[indent + ticks..].trim();
        match &mut open {
            Some((fence, _, _)) if ticks >= *fence && info.is_empty() => {
                blocks.extend(open.take().map(|(_, _, block)| block));
                before = "";
            }
            Some((_, indent, block)) => {
                let cut = line.len() - line.trim_start().len();
                block.text.push_str(&line[cut.min(*indent)..]);
                block.text.push('\n');
            }
            None if ticks >= 3 => {
                let block = Block {
                    info: info.to_owned(),
                    text: String::new(),
                    line: number,
                    before: before.to_owned(),
                };
                open = Some((ticks, indent, block));
            }
            None if !line.trim().is_empty() => before = line,
            None => {}
        }
    }
    if let Some((_, _, block)) = open {
        bail!("line {}: the block does not end", block.line);
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A guide\n\nWrite `pool.yaml`:\n\n```yaml file=pool.yaml\na: 1\n\nb: 2\n```\n\nThen:\n\n\
                        ```sh\nkubectl apply --filename pool.yaml\n```\n\nIt says:\n\n```text\ncreated\n```\n\n\
                        ```sh ignore it needs a registry\ndocker push\n```\n\n```text\npushed\n```\n\n\
                        1. In a list:\n\n   ```sh fails\n   false\n     true\n   ```\n";

    #[test]
    fn each_block_is_what_it_says() {
        let steps = steps(PAGE).unwrap();
        let expected = [
            Step::File {
                name: "pool.yaml".to_owned(),
                text: "a: 1\n\nb: 2\n".to_owned(),
                line: 5,
            },
            Step::Commands(Commands {
                text: "kubectl apply --filename pool.yaml\n".to_owned(),
                line: 13,
                fails: false,
                output: Some(Output {
                    text: "created\n".to_owned(),
                    line: 19,
                }),
            }),
            Step::Commands(Commands {
                text: "false\n  true\n".to_owned(),
                line: 33,
                fails: true,
                output: None,
            }),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_block_that_nobody_runs_is_an_error() {
        for (page, words) in [
            ("```yaml\na: 1\n```", "line 1: a block is"),
            ("```\nx\n```", "line 1: a block is"),
            ("```sh loudly\nx\n```", "line 1: a block is"),
            ("```yaml ignore\na: 1\n```", "say why"),
            ("x\n```text\na\n```", "line 2: no commands"),
            ("Write this:\n```yaml file=a.yaml\n```", "does not say that"),
            ("Write `/a`:\n```yaml file=/a\n```", "no plain name"),
            ("```sh\nx\n", "does not end"),
        ] {
            let error = format!("{:#}", steps(page).unwrap_err());
            assert!(error.contains(words), "{page:?}: {error}");
        }
    }

    #[test]
    fn a_longer_fence_holds_a_shorter_one() {
        let page = "````md ignore an example\n```yaml\na: 1\n```\n````\n";
        assert_eq!(steps(page).unwrap(), []);
    }
}
