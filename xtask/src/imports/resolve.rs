//! From a path in the code to the file that defines what it names, through every re-export.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{FileId, ModuleId, Name, Tree};

/// Which file imports which, and the items for which it does.
pub(super) type Edges = BTreeMap<(FileId, FileId), BTreeSet<String>>;

pub(super) fn edges(tree: &Tree) -> Edges {
    let mut edges = Edges::new();
    let mut add = |from: FileId, to: FileId, item: String| {
        if from != to {
            edges.entry((from, to)).or_default().insert(item);
        }
    };
    for (id, module) in tree.modules.iter().enumerate() {
        let mut resolver = Resolver::new(tree);
        for path in &module.mentions {
            for meaning in resolver.resolve(id, path) {
                // A module alone is no import: what is used of it follows in a longer path.
                if let Meaning::Item(owner, name) = meaning {
                    add(module.file, tree.modules[owner].file, name);
                }
            }
        }
        for path in &module.globs {
            for meaning in resolver.resolve(id, path) {
                let owner = match meaning {
                    Meaning::Item(owner, _) | Meaning::Module(owner) => owner,
                };
                add(module.file, tree.modules[owner].file, "*".to_owned());
            }
        }
    }
    edges
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    /// An item of this name, defined in this module.
    Item(ModuleId, String),
    Module(ModuleId),
}

struct Resolver<'a> {
    tree: &'a Tree,
    /// Imports that are being followed: `use tls::tls` means another `tls` than itself, and globs may form cycles.
    followed: BTreeSet<(ModuleId, Vec<String>, Option<String>)>,
}

impl<'a> Resolver<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            followed: BTreeSet::new(),
        }
    }

    /// Empty for what other crates define.
    fn resolve(&mut self, from: ModuleId, path: &[String]) -> BTreeSet<Meaning> {
        let Some((first, rest)) = path.split_first() else {
            return BTreeSet::new();
        };
        let start = match first.as_str() {
            "crate" => BTreeSet::from([Meaning::Module(self.root(from))]),
            "self" => BTreeSet::from([Meaning::Module(from)]),
            "super" => self.tree.modules[from]
                .parent
                .map(Meaning::Module)
                .into_iter()
                .collect(),
            name => self.lookup_or_library(from, name),
        };
        rest.iter()
            .fold(start, |meanings, name| self.step(&meanings, name))
    }

    fn step(&mut self, meanings: &BTreeSet<Meaning>, name: &str) -> BTreeSet<Meaning> {
        let mut next = BTreeSet::new();
        for meaning in meanings {
            let Meaning::Module(module) = meaning else {
                continue;
            };
            if name == "super" {
                next.extend(self.tree.modules[*module].parent.map(Meaning::Module));
                continue;
            }
            let found = self.lookup(*module, name);
            if found.is_empty() && self.followed.is_empty() {
                // Macros define items that nobody sees here.
                next.insert(Meaning::Item(*module, name.to_owned()));
            }
            next.extend(found);
        }
        if next.is_empty() {
            // A method, a variant, an associated item.
            let items = meanings
                .iter()
                .filter(|meaning| matches!(meaning, Meaning::Item(..)));
            return items.cloned().collect();
        }
        next
    }

    fn lookup_or_library(&mut self, from: ModuleId, name: &str) -> BTreeSet<Meaning> {
        let found = self.lookup(from, name);
        match &self.tree.library {
            Some((library, root)) if found.is_empty() && library == name => {
                BTreeSet::from([Meaning::Module(*root)])
            }
            _ => found,
        }
    }

    fn lookup(&mut self, module: ModuleId, name: &str) -> BTreeSet<Meaning> {
        let mut found = BTreeSet::new();
        for meaning in self.tree.modules[module].names.get(name).into_iter().flatten() {
            match meaning {
                Name::Item => {
                    found.insert(Meaning::Item(module, name.to_owned()));
                }
                Name::Module(id) => {
                    found.insert(Meaning::Module(*id));
                }
                Name::Import(path) => found.extend(self.follow(module, path, None)),
            }
        }
        if found.is_empty() {
            for path in &self.tree.modules[module].globs {
                found.extend(self.follow(module, path, Some(name)));
            }
        }
        found
    }

    /// What the imported path means, or this name below it.
    fn follow(&mut self, module: ModuleId, path: &[String], name: Option<&str>) -> BTreeSet<Meaning> {
        let key = (module, path.to_vec(), name.map(ToOwned::to_owned));
        if !self.followed.insert(key.clone()) {
            return BTreeSet::new();
        }
        let mut found = self.resolve(module, path);
        if let Some(name) = name {
            let mut below = BTreeSet::new();
            for meaning in found {
                if let Meaning::Module(id) = meaning {
                    below.extend(self.lookup(id, name));
                }
            }
            found = below;
        }
        self.followed.remove(&key);
        found
    }

    fn root(&self, mut module: ModuleId) -> ModuleId {
        while let Some(parent) = self.tree.modules[module].parent {
            module = parent;
        }
        module
    }
}
