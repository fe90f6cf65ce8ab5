//! The guides of the book in `docs/`, run as they are: every command of a page, in the page's order, with
//! the output that the page promises. A new guide is a test case as soon as the book lists it.
//!
//! | Module | Concern |
//! |---|---|
//! | [`book`] | which pages there are |
//! | [`page`] | what the reader of a page has to do |
//! | [`expected`] | whether an output is the promised one |
//! | [`transcript`] | the script of a page, and what came of it |
//! | [`reader`] | running it as a reader would, in a namespace of its own |

pub(crate) mod book;
pub(crate) mod expected;
pub(crate) mod page;
pub(crate) mod reader;
pub(crate) mod transcript;

use std::path::Path;
use std::sync::Arc;

use crate::case::Case;
use book::Book;

/// Pods of the default size that a guide has at most, where that is not one.
const PODS: [(&str, u32); 5] = [
    ("certificates", 2),
    ("operations", 2),
    ("pod-template", 0),
    ("quick-start", 2),
    ("what-you-need", 0),
];

fn pods(guide: &str) -> u32 {
    let known = PODS.iter().find(|(name, _)| *name == guide);
    known.map_or(1, |(_, pods)| *pods)
}

/// One case for each guide that the book lists, named after its file.
pub(crate) fn cases(workspace: &Path) -> anyhow::Result<Vec<Case>> {
    let book = Book::open(workspace)?;
    let guides = book.pages.iter().filter(|page| page.guide);
    Ok(guides
        .map(|entry| {
            let (name, file, shown) = (entry.stem(), book.file(entry), entry.file.clone());
            let pods = pods(&name);
            Case::cluster(format!("guides::{name}"), move |context| {
                let (file, shown) = (file.clone(), shown.clone());
                Box::pin(async move {
                    let shared = Arc::clone(&context.shared);
                    let _room = shared.room(pods).await?;
                    reader::follow(context, &file, &shown).await
                })
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_whose_pods_are_counted_are_in_the_book() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cases = cases(&workspace).unwrap();
        for (guide, _) in PODS {
            let name = format!("guides::{guide}");
            assert!(cases.iter().any(|case| case.name == name), "{name}");
        }
    }
}
