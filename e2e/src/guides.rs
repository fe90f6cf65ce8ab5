//! The guides of the book in `docs/`, run as they stand: every command of a page, in the page's order, with
//! the output that the page promises. A new guide is a test case as soon as the book lists it.
//!
//! | Module | Concern |
//! |---|---|
//! | [`book`] | which pages there are |
//! | [`page`] | what a page asks its reader to do |
//! | [`expected`] | whether an output is the promised one |
//! | [`transcript`] | the script of a page, and what came of it |
//! | [`reader`] | running it as a reader would, in a namespace of its own |

pub mod book;
pub mod expected;
pub mod page;
pub mod reader;
pub mod transcript;

use std::path::Path;

use crate::cases::Case;
use book::Book;

/// One case for each guide that the book lists, named after its file.
pub fn cases(workspace: &Path) -> anyhow::Result<Vec<Case>> {
    let book = Book::open(workspace)?;
    let guides = book.pages.iter().filter(|page| page.guide);
    Ok(guides
        .map(|entry| {
            let (name, file, shown) = (entry.stem(), book.file(entry), entry.file.clone());
            Case::cluster(format!("guides::{name}"), move |context| {
                let (file, shown) = (file.clone(), shown.clone());
                Box::pin(async move { reader::follow(context, &file, &shown).await })
            })
        })
        .collect())
}
