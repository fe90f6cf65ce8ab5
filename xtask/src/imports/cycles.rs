//! Import cycles between files.
//!
//! A module may use what is below it, and what is below it may use the module: that alone is no cycle. So every cycle
//! counts in which no file is the parent or ancestor of all others. They are found level by level: among all files
//! below one module, those that reach each other and belong to at least two of its children.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    resolve::Edges,
    tree::{FileId, Tree},
};

pub(super) struct Cycle {
    /// All files that reach each other.
    pub(super) files: BTreeSet<FileId>,
    /// The shortest way around, the first file again at the end.
    pub(super) shortest: Vec<FileId>,
}

pub(super) fn cycles(tree: &Tree, edges: &Edges) -> Vec<Cycle> {
    let parents = tree
        .files
        .iter()
        .enumerate()
        .filter_map(|(file, _)| tree.parent_file(file));
    let mut found = Vec::new();
    for parent in parents.collect::<BTreeSet<_>>() {
        // Each file below the parent, with the child of the parent to which it belongs.
        let children: BTreeMap<FileId, FileId> = (0..tree.files.len())
            .filter_map(|file| Some((file, child_above(tree, parent, file)?)))
            .collect();
        let mut next: BTreeMap<FileId, Vec<FileId>> = BTreeMap::new();
        for (from, to) in edges.keys() {
            if children.contains_key(from) && children.contains_key(to) {
                next.entry(*from).or_default().push(*to);
            }
        }
        for files in components(children.keys().copied(), &next) {
            if let Some(shortest) = shortest(&files, &next, &children) {
                found.push(Cycle { files, shortest });
            }
        }
    }
    found
}

/// The child of `parent` that is `file` or an ancestor of it.
fn child_above(tree: &Tree, parent: FileId, mut file: FileId) -> Option<FileId> {
    loop {
        let above = tree.parent_file(file)?;
        if above == parent {
            return Some(file);
        }
        file = above;
    }
}

/// Strongly connected components.
fn components(
    files: impl Iterator<Item = FileId>,
    next: &BTreeMap<FileId, Vec<FileId>>,
) -> Vec<BTreeSet<FileId>> {
    let reached: BTreeMap<_, _> = files.map(|file| (file, reach(file, next))).collect();
    let mut found: Vec<BTreeSet<FileId>> = Vec::new();
    for (file, others) in &reached {
        if found.iter().any(|component| component.contains(file)) {
            continue;
        }
        let mut component: BTreeSet<FileId> = others
            .iter()
            .filter(|other| reached[other].contains(file))
            .copied()
            .collect();
        component.insert(*file);
        found.push(component);
    }
    found
}

fn reach(from: FileId, next: &BTreeMap<FileId, Vec<FileId>>) -> BTreeSet<FileId> {
    let mut reached = BTreeSet::new();
    let mut queue = vec![from];
    while let Some(file) = queue.pop() {
        for to in next.get(&file).into_iter().flatten() {
            if reached.insert(*to) {
                queue.push(*to);
            }
        }
    }
    reached
}

/// The shortest cycle that leaves a child of the parent; none where all files belong to the same child.
fn shortest(
    files: &BTreeSet<FileId>,
    next: &BTreeMap<FileId, Vec<FileId>>,
    children: &BTreeMap<FileId, FileId>,
) -> Option<Vec<FileId>> {
    let mut shortest: Option<Vec<FileId>> = None;
    for from in files {
        for to in next.get(from).into_iter().flatten() {
            if !files.contains(to) || children[from] == children[to] {
                continue;
            }
            let Some(back) = path(*to, *from, files, next) else {
                continue;
            };
            if shortest.as_ref().is_none_or(|known| back.len() + 1 < known.len()) {
                shortest = Some([&[*from][..], &back].concat());
            }
        }
    }
    shortest
}

/// The shortest path from one file to another, both of them included.
fn path(
    from: FileId,
    to: FileId,
    files: &BTreeSet<FileId>,
    next: &BTreeMap<FileId, Vec<FileId>>,
) -> Option<Vec<FileId>> {
    let mut before = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        if file == to {
            let mut path = vec![to];
            let mut at = to;
            while at != from {
                at = before[&at];
                path.push(at);
            }
            path.reverse();
            return Some(path);
        }
        for other in next.get(&file).into_iter().flatten() {
            if files.contains(other) && !before.contains_key(other) {
                before.insert(*other, file);
                queue.push_back(*other);
            }
        }
    }
    None
}
