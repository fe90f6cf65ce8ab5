//! Patterns for reserved paths, which hold however a path is written.

/// A pattern for what is at or below one of the paths.
pub(super) fn at_or_below(paths: &[&str]) -> String {
    format!("{}(/.*)?$", start(paths))
}

/// A pattern for a path that goes up: what is below it cannot be told by its text.
pub(super) const UP: &str = r"(^|/)\.\.(/|$)";

fn start(paths: &[&str]) -> String {
    // What may stand between two parts: `//`, `/./`.
    const GAP: &str = r"/+(\./+)*";
    let path = |path: &&str| {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(GAP)
    };
    let paths: Vec<_> = paths.iter().map(path).collect();
    format!(r"^/*(\./+)*({})", paths.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_whole_parts() {
        assert_eq!(at_or_below(&["/a/b", "/c"]), r"^/*(\./+)*(a/+(\./+)*b|c)(/.*)?$");
    }
}
