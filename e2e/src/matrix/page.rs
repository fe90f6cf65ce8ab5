//! What the book says about who gets in: one block for all pools that treat clients alike. Pure.

use super::pools::Combination;
use super::table::promised;

/// Pools that treat all clients alike, with how they do.
pub type Class = (Vec<Combination>, String);

/// Every pool of the matrix, in as few classes as there are.
#[must_use]
pub fn classes() -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    for pool in Combination::all() {
        let text = promised(&pool);
        match classes.iter_mut().find(|(_, known)| *known == text) {
            Some((pools, _)) => pools.push(pool),
            None => classes.push((vec![pool], text)),
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::super::table::legend;
    use super::*;

    const PAGE: &str = include_str!("../../../docs/src/reference/modes.md");

    #[test]
    fn the_book_says_what_the_rules_say() {
        let blocks = PAGE.split("```text\n").skip(1);
        let blocks: Vec<_> = blocks.filter_map(|rest| rest.split("```").next()).collect();
        let classes = classes();
        for (pools, text) in &classes {
            let names: Vec<_> = pools.iter().map(Combination::name).collect();
            assert!(
                blocks.contains(&text.as_str()),
                "docs/src/reference/modes.md lacks this, for {names:?}:\n{text}"
            );
        }
        let legend = legend();
        assert!(
            blocks.contains(&legend.as_str()),
            "docs/src/reference/modes.md lacks the legend:\n{legend}"
        );
        let outdated: Vec<_> = blocks
            .iter()
            .filter(|block| **block != legend && !classes.iter().any(|(_, text)| text == **block))
            .collect();
        assert!(outdated.is_empty(), "no rule says this: {outdated:#?}");
    }
}
