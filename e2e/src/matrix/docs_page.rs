//! The page of the book about who gets in has one block for all pools that treat clients alike.

use super::cells::Cell;
use super::mode_report::{block, legend};
use super::oracle;
use super::pools::Combination;

const PAGE: &str = include_str!("../../../docs/src/reference/modes.md");

/// What the rules say about one pool.
fn expected(pool: &Combination) -> String {
    let cells = Cell::of(pool).into_iter();
    let cells = cells.map(|cell| (cell, oracle::verdict(pool, cell).to_string()));
    block(&cells.collect::<Vec<_>>())
}

#[test]
fn the_book_has_what_the_rules_say() {
    let blocks = PAGE.split("```text\n").skip(1);
    let blocks: Vec<_> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    let mut wanted = vec![legend()];
    for pool in Combination::all() {
        let block = expected(&pool);
        let name = pool.name();
        assert!(
            blocks.contains(&block.as_str()),
            "docs/src/reference/modes.md lacks this, for {name}:\n{block}"
        );
        wanted.push(block);
    }
    assert!(
        blocks.contains(&wanted[0].as_str()),
        "docs/src/reference/modes.md lacks the legend:\n{}",
        wanted[0]
    );
    let outdated = blocks
        .iter()
        .filter(|block| !wanted.iter().any(|it| it == *block));
    assert_eq!(
        outdated.collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "no rule has this"
    );
}
