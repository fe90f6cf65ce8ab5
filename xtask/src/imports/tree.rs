//! The modules of one crate: what each defines and imports. Code that only tests compile is left out.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use syn::{Item, ItemMod};

use super::{
    attributes::{self, is_for_tests},
    mentions::Mentions,
};
use crate::workspace::{Crate, Sources};

pub(super) type ModuleId = usize;
pub(super) type FileId = usize;

#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    pub(super) modules: Vec<Module>,
    /// The library, which binaries of the same crate import by this name.
    pub(super) library: Option<(String, ModuleId)>,
    /// Paths of the modules that only tests compile, without `.rs`.
    for_tests: Vec<String>,
}

pub(super) struct File {
    pub(super) path: String,
    /// The module whose body is this file.
    pub(super) module: ModuleId,
    pub(super) lines: usize,
}

pub(super) struct Module {
    pub(super) parent: Option<ModuleId>,
    pub(super) file: FileId,
    /// Whatever a name means in this module: a function and a module may share one.
    pub(super) names: BTreeMap<String, Vec<Name>>,
    /// Modules from which everything is imported.
    pub(super) globs: Vec<Vec<String>>,
    /// Every path in the code, and every imported item.
    pub(super) mentions: Vec<Vec<String>>,
}

pub(super) enum Name {
    Item,
    Module(ModuleId),
    Import(Vec<String>),
}

impl Tree {
    pub(super) fn of(one: &Crate) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        if let Some((path, name)) = &one.library {
            let root = tree.add_file(&one.sources, path, None)?;
            tree.library = Some((name.clone(), root));
        }
        for path in &one.binaries {
            tree.add_file(&one.sources, path, None)?;
        }
        Ok(tree)
    }

    fn add_file(
        &mut self,
        sources: &Sources,
        path: &str,
        parent: Option<ModuleId>,
    ) -> anyhow::Result<ModuleId> {
        let text = sources
            .get(path)
            .with_context(|| format!("{path} is a module but no file"))?;
        let syntax = syn::parse_file(text).with_context(|| path.to_owned())?;
        let file = self.files.len();
        self.files.push(File {
            path: path.to_owned(),
            module: self.modules.len(),
            lines: text.lines().count(),
        });
        let module = self.add_module(parent, file);
        let folder = match path.rsplit_once('/') {
            Some((folder, _)) if parent.is_none() => folder,
            _ => path.trim_end_matches("/mod.rs").trim_end_matches(".rs"),
        };
        self.add_items(sources, module, folder, &syntax.items)?;
        Ok(module)
    }

    fn add_module(&mut self, parent: Option<ModuleId>, file: FileId) -> ModuleId {
        self.modules.push(Module {
            parent,
            file,
            names: BTreeMap::new(),
            globs: Vec::new(),
            mentions: Vec::new(),
        });
        self.modules.len() - 1
    }

    fn add_items(
        &mut self,
        sources: &Sources,
        module: ModuleId,
        folder: &str,
        items: &[Item],
    ) -> anyhow::Result<()> {
        let mut mentions = Mentions::default();
        for item in items {
            if is_for_tests(attributes::of(item)) {
                if let Item::Mod(child) = item {
                    self.for_tests.push(format!("{folder}/{}", child.ident));
                }
                continue;
            }
            if let Item::Mod(child) = item {
                let id = self.add_child(sources, module, folder, child)?;
                self.name(module, child.ident.to_string(), Name::Module(id));
                continue;
            }
            if let Some(name) = defined_name(item) {
                self.name(module, name, Name::Item);
            }
            mentions.add(item);
        }
        for (name, path) in mentions.imports {
            self.name(module, name, Name::Import(path.clone()));
            mentions.paths.push(path);
        }
        self.modules[module].globs = mentions.globs;
        self.modules[module].mentions = mentions.paths;
        Ok(())
    }

    fn add_child(
        &mut self,
        sources: &Sources,
        parent: ModuleId,
        folder: &str,
        child: &ItemMod,
    ) -> anyhow::Result<ModuleId> {
        let below = format!("{folder}/{}", child.ident);
        if let Some((_, items)) = &child.content {
            let id = self.add_module(Some(parent), self.modules[parent].file);
            self.add_items(sources, id, &below, items)?;
            return Ok(id);
        }
        if child
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("path"))
        {
            bail!("{below}: this check does not follow #[path]");
        }
        let nested = format!("{below}/mod.rs");
        let path = if sources.contains_key(&nested) {
            nested
        } else {
            format!("{below}.rs")
        };
        self.add_file(sources, &path, Some(parent))
    }

    fn name(&mut self, module: ModuleId, name: String, meaning: Name) {
        self.modules[module].names.entry(name).or_default().push(meaning);
    }

    /// Whether a module names the file, or a test does.
    pub(super) fn reaches(&self, path: &str) -> bool {
        let below = |module: &String| {
            let rest = path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
        };
        self.files.iter().any(|file| file.path == path) || self.for_tests.iter().any(below)
    }

    /// The file of the module in which the module of this file is declared.
    pub(super) fn parent_file(&self, file: FileId) -> Option<FileId> {
        let parent = self.modules[self.files[file].module].parent?;
        Some(self.modules[parent].file)
    }
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
