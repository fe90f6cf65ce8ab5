//! Whether an output is the one that a page promises. Pure.
//!
//! Line by line. `…` matches any text within a line; a line that consists only of `…` matches any number of lines.
//! Blanks count as one, since the widths of columns follow the names in them; blank lines do not count.

/// Stands for what is different for each reader.
const ANYTHING: &str = "…";

/// Where an output is not the promised one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The promised line, counted from 1 in the promise.
    pub(crate) line: usize,
    /// What was promised there, and what came instead.
    pub(crate) text: String,
}

pub(crate) fn compare(promise: &str, output: &str) -> Result<(), Difference> {
    let promised: Vec<(usize, String)> = (1..)
        .zip(promise.lines())
        .map(|(number, line)| (number, squeezed(line)))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let got: Vec<String> = output
        .lines()
        .map(squeezed)
        .filter(|line| !line.is_empty())
        .collect();
    // The furthest position reached best shows what is wrong.
    let mut farthest = (0, 0);
    if fits(&promised, &got, (0, 0), &mut farthest) {
        return Ok(());
    }
    let (at, reached) = farthest;
    let shown = |line: Option<&String>| line.map_or("nothing more".to_owned(), |line| format!("`{line}`"));
    let wanted = promised.get(at);
    let last = promised.last().map_or(1, |(line, _)| line + 1);
    Err(Difference {
        line: wanted.map_or(last, |(line, _)| *line),
        text: format!(
            "{} is expected, and {} came",
            shown(wanted.map(|(_, line)| line)),
            shown(got.get(reached))
        ),
    })
}

fn fits(
    promised: &[(usize, String)],
    got: &[String],
    (at, reached): (usize, usize),
    farthest: &mut (usize, usize),
) -> bool {
    if reached >= farthest.1 {
        *farthest = (at, reached);
    }
    match (promised.get(at), got.get(reached)) {
        (None, None) => true,
        (Some((_, line)), _) if line == ANYTHING => {
            (reached..=got.len()).any(|next| fits(promised, got, (at + 1, next), farthest))
        }
        (Some((_, line)), Some(output)) => {
            matches(line, output) && fits(promised, got, (at + 1, reached + 1), farthest)
        }
        _ => false,
    }
}

fn matches(promised: &str, got: &str) -> bool {
    let Some((start, rest)) = promised.split_once(ANYTHING) else {
        return promised == got;
    };
    let Some(mut left) = got.strip_prefix(start) else {
        return false;
    };
    let parts: Vec<&str> = rest.split(ANYTHING).collect();
    let Some((end, between)) = parts.split_last() else {
        return true;
    };
    for part in between {
        match left.split_once(part) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.ends_with(end)
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_for_each_reader_may_differ() {
        for (promise, output) in [
            ("a", "a\n"),
            ("NAME   AGE\npool   …", "NAME          AGE\n\npool          12s"),
            ("pgpool/pool … met", "pgpool/pool condition met"),
            ("…\nlast", "one\ntwo\nlast"),
            ("first\n…", "first"),
            ("…", ""),
            ("a…b…c", "a1b2c"),
            ("…\nmiddle\n…\nend", "middle\nmiddle\nx\nend"),
        ] {
            assert_eq!(compare(promise, output), Ok(()), "{promise:?} {output:?}");
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        for (promise, output, line, words) in [
            ("a\nb", "a\nc", 2, "`b` is expected, and `c` came"),
            ("a\n\nb", "a", 3, "`b` is expected, and nothing more came"),
            ("a", "a\nb", 2, "nothing more is expected, and `b` came"),
            ("a…c", "abd", 1, "`a…c` is expected, and `abd` came"),
            (
                "…\nlast",
                "one\ntwo",
                2,
                "`last` is expected, and nothing more came",
            ),
            ("aa…a", "aa", 1, "`aa…a` is expected, and `aa` came"),
        ] {
            let difference = compare(promise, output).unwrap_err();
            assert_eq!(difference.line, line, "{promise:?}");
            assert_eq!(difference.text, words, "{promise:?}");
        }
    }
}
