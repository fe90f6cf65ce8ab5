//! The paths in a piece of code: imports, paths in expressions and types, and what looks like a path in the tokens of
//! macros and attributes.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemUse, Macro, Meta, Path, Stmt, UseTree, VisRestricted,
    visit::{self, Visit},
};

use super::attributes::{self, is_for_tests};

#[derive(Default)]
pub(super) struct Mentions {
    pub(super) paths: Vec<Vec<String>>,
    /// Name in the module, and the path that it refers to.
    pub(super) imports: Vec<(String, Vec<String>)>,
    pub(super) globs: Vec<Vec<String>>,
}

impl Mentions {
    pub(super) fn add(&mut self, item: &Item) {
        self.visit_item(item);
    }

    fn add_use(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_use(&with(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => {
                if let Some(last) = before.last() {
                    self.imports.push((last.clone(), before.to_vec()));
                }
            }
            UseTree::Name(name) => self.imports.push((name.ident.to_string(), with(&name.ident))),
            UseTree::Rename(rename) if rename.ident == "self" => {
                self.imports.push((rename.rename.to_string(), before.to_vec()));
            }
            UseTree::Rename(rename) => {
                self.imports
                    .push((rename.rename.to_string(), with(&rename.ident)));
            }
            UseTree::Glob(_) => self.globs.push(before.to_vec()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(before, tree);
                }
            }
        }
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.add_path(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                _ => {
                    self.add_path(std::mem::take(&mut path));
                    colons = 0;
                }
            }
            match token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                // Derive macros take paths as text: `#[serde(default = "crate::yes")]`.
                TokenTree::Literal(literal) => {
                    if let Ok(path) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                        .and_then(|text| text.parse_with(Path::parse_mod_style))
                    {
                        self.add_path(names(&path));
                    }
                }
                _ => {}
            }
        }
        self.add_path(path);
    }

    /// One word in tokens may be anything; a path is a path.
    fn add_path(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.paths.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Mentions {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes::of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let for_tests = match item {
            ImplItem::Const(item) => is_for_tests(&item.attrs),
            ImplItem::Fn(item) => is_for_tests(&item.attrs),
            ImplItem::Type(item) => is_for_tests(&item.attrs),
            _ => false,
        };
        if !for_tests {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let for_tests = match statement {
            Stmt::Local(local) => is_for_tests(&local.attrs),
            Stmt::Macro(call) => is_for_tests(&call.attrs),
            Stmt::Item(_) | Stmt::Expr(..) => false,
        };
        if !for_tests {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.add_use(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            self.paths.push(names(path));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.paths.push(names(&call.path));
        self.add_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::List(list) => self.add_tokens(list.tokens.clone()),
            Meta::Path(_) | Meta::NameValue(_) => {}
        }
    }

    /// `pub(in path)` says who may import, and imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}

fn names(path: &Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect()
}
