//! Which pages the book has, by its `SUMMARY.md`, and where links lead. Reads files, nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The part of the book whose pages are run.
const GUIDES: &str = "Guides";

#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) folder: PathBuf,
    pub(crate) pages: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) title: String,
    /// Its file, relative to the folder of the pages.
    pub(crate) file: String,
    /// It is a guide: its commands are to be run.
    pub(crate) guide: bool,
}

impl Book {
    /// Reads the list of the book in `docs/`.
    pub(crate) fn open(workspace: &Path) -> anyhow::Result<Self> {
        let folder = workspace.join("docs/src");
        let list = folder.join("SUMMARY.md");
        let text = fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
        let pages = listed(&text).with_context(|| list.display().to_string())?;
        Ok(Self { folder, pages })
    }

    pub(crate) fn file(&self, entry: &Entry) -> PathBuf {
        self.folder.join(&entry.file)
    }
}

impl Entry {
    /// The name of its file without folder and ending.
    pub(crate) fn stem(&self) -> String {
        let stem = Path::new(&self.file).file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }
}

fn listed(text: &str) -> anyhow::Result<Vec<Entry>> {
    let mut pages = Vec::new();
    let mut part = "";
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            part = title.trim();
        }
        for Link { text: title, target } in links(line) {
            if target.is_empty() {
                bail!("{title} has no page yet: list it when it has one");
            }
            pages.push(Entry {
                title,
                file: target,
                guide: part == GUIDES,
            });
        }
    }
    Ok(pages)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) text: String,
    pub(crate) target: String,
}

/// The links of a Markdown text, those within code left out.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for line in prose(text) {
        let mut rest = line.as_str();
        while let Some((before, after)) = rest.split_once("](") {
            let Some((target, behind)) = after.split_once(')') else {
                break;
            };
            let title = before.rsplit_once('[').map_or(before, |(_, title)| title);
            found.push(Link {
                text: title.to_owned(),
                target: target.trim().to_owned(),
            });
            rest = behind;
        }
    }
    found
}

/// The lines outside fenced blocks, with code spans emptied.
fn prose(text: &str) -> Vec<String> {
    let mut fence: Option<usize> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let ticks = line.trim_start().bytes().take_while(|byte| *byte == b'`').count();
        match fence {
            Some(open) if ticks >= open => fence = None,
            None if ticks >= 3 => fence = Some(ticks),
            Some(_) => {}
            None => {
                // Headings keep their words: an anchor is made of them, code or not.
                let heading = line.starts_with('#');
                lines.push(if heading {
                    line.to_owned()
                } else {
                    without_code(line)
                });
            }
        }
    }
    lines
}

fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    // An odd tick at the end opens nothing.
    let closed = parts.len() % 2 == 1;
    let kept = parts
        .iter()
        .enumerate()
        .filter(|(index, _)| index % 2 == 0 || (!closed && index + 1 == parts.len()))
        .map(|(_, part)| *part);
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guides_are_told_from_other_pages() {
        let text = "# Summary\n\n[Introduction](introduction.md)\n\n# Guides\n\n- [Quick start](guides/quick-start.md)\n\n\
                    # Reference\n\n- [Pgpool](reference/pgpool.md)\n";
        let pages = listed(text).unwrap();
        let reported: Vec<_> = pages.iter().map(|page| (page.stem(), page.guide)).collect();
        let reported: Vec<_> = reported
            .iter()
            .map(|(name, guide)| (name.as_str(), *guide))
            .collect();
        assert_eq!(
            reported,
            [("introduction", false), ("quick-start", true), ("pgpool", false)]
        );
        assert!(listed("- [Later]()").is_err());
    }

    /// The names by which the headings of a page can be linked to, as mdBook makes them.
    fn anchors(text: &str) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for line in prose(text) {
            let title = line.trim_start_matches('#');
            if title.len() == line.len() || !title.starts_with(' ') {
                continue;
            }
            let plain = title.trim().to_lowercase().replace(char::is_whitespace, "-");
            let name: String = plain
                .chars()
                .filter(|character| character.is_alphanumeric() || "-_".contains(*character))
                .collect();
            anchors.push(name);
        }
        anchors
    }

    fn workspace() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    /// The Markdown files of a folder and of those in it.
    fn texts(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(texts(&path));
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
        found
    }

    #[test]
    fn every_page_is_listed_and_begins_with_its_title() {
        let book = Book::open(workspace()).unwrap();
        let mut listed: Vec<_> = book.pages.iter().map(|page| book.file(page)).collect();
        listed.push(book.folder.join("SUMMARY.md"));
        for page in texts(&book.folder) {
            assert!(
                listed.contains(&page),
                "SUMMARY.md does not list {}",
                page.display()
            );
        }
        for page in &book.pages {
            let text =
                fs::read_to_string(book.file(page)).unwrap_or_else(|_| panic!("there is no {}", page.file));
            assert!(text.starts_with("# "), "{} begins without a title", page.file);
        }
    }

    #[test]
    fn every_guide_can_be_read_as_steps() {
        let book = Book::open(workspace()).unwrap();
        for page in book.pages.iter().filter(|page| page.guide) {
            let text = fs::read_to_string(book.file(page)).unwrap();
            let steps = crate::guides::page::steps(&text);
            let steps = steps.unwrap_or_else(|error| panic!("{}: {error:#}", page.file));
            crate::guides::transcript::ensure_plain(&steps).unwrap();
        }
    }

    #[test]
    fn every_link_leads_somewhere() {
        let mut pages = texts(&workspace().join("docs"));
        pages.extend(texts(&workspace().join("charts")));
        pages.extend(["README.md", "e2e/README.md"].map(|file| workspace().join(file)));
        for page in pages {
            let text = fs::read_to_string(&page).unwrap();
            for link in links(&text) {
                if link.target.contains("://") {
                    continue;
                }
                let (file, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
                let target = if file.is_empty() {
                    page.clone()
                } else {
                    page.parent().unwrap().join(file)
                };
                assert!(
                    target.exists(),
                    "{}: {} leads nowhere",
                    page.display(),
                    link.target
                );
                if !anchor.is_empty() {
                    let headings = anchors(&fs::read_to_string(&target).unwrap());
                    assert!(
                        headings.iter().any(|heading| heading == anchor),
                        "{}: {} names none of {headings:?}",
                        page.display(),
                        link.target
                    );
                }
            }
        }
    }

    #[test]
    fn links_in_code_are_none() {
        let text = "See [one](a.md) and [two](b.md#c), not `[three](c.md)`.\n```sh\n[four](d.md)\n```\nA ` and [five](e.md).";
        let targets: Vec<_> = links(text).into_iter().map(|link| link.target).collect();
        assert_eq!(targets, ["a.md", "b.md#c", "e.md"]);
    }

    #[test]
    fn headings_have_names() {
        let text = "# What you need\n## `sslMode`, and why\n#nothing\n```sh\n# a comment\n```\n";
        assert_eq!(anchors(text), ["what-you-need", "sslmode-and-why"]);
    }
}
