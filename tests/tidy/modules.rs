//! Which file uses which: no circle of files, and a drawing of the house in which no arrow runs up.
//!
//! A file that declares modules and names what of them others see (`pub use`) is a facade, and imports nothing by that.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Meta, Path, UseTree, Visibility};

use crate::repo::{Repo, none_broken};

/// The names from a crate's root to a module.
pub(crate) type Place = Vec<String>;

/// One `use`, of one thing.
struct Use {
    /// The module in which it stands.
    at: Place,
    path: Vec<String>,
    name: String,
    is_facade: bool,
}

/// What one file names.
#[derive(Default)]
struct Names {
    uses: Vec<Use>,
    /// The module in which each stands, and what it names.
    paths: Vec<(Place, Vec<String>)>,
}

struct Reader {
    at: Place,
    names: Names,
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

impl Reader {
    fn tree(&mut self, tree: &UseTree, before: &[String], is_facade: bool) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.tree(&path.tree, &with(path.ident.to_string()), is_facade),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(tree, before, is_facade));
            }
            UseTree::Name(name) => self.add(with(name.ident.to_string()), None, is_facade),
            UseTree::Rename(name) => {
                self.add(with(name.ident.to_string()), Some(name.rename.to_string()), is_facade);
            }
            UseTree::Glob(_) => self.add(with("*".into()), None, is_facade),
        }
    }

    fn add(&mut self, mut path: Vec<String>, name: Option<String>, is_facade: bool) {
        // At the end of a group it names what stands before.
        if path.len() > 1 && path.last().is_some_and(|part| part == "self") {
            path.pop();
        }
        let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
        self.names.uses.push(Use { at: self.at.clone(), path, name, is_facade });
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() {
            self.at.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.at.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_facade = !matches!(item.vis, Visibility::Inherited);
        self.tree(&item.tree, &[], is_facade);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.names.paths.push((self.at.clone(), names));
        }
        visit::visit_path(self, path);
    }

    // `pub(in …)` names a place and uses nothing of it.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// The files of one crate, by module.
pub(crate) struct Crate {
    files: BTreeMap<Place, (String, Names)>,
}

impl Crate {
    pub(crate) fn read(repo: &Repo, source: &str) -> Self {
        let mut files = BTreeMap::new();
        for file in repo.with_ending(".rs").filter(|file| file.starts_with(source)) {
            let inner = file.strip_prefix(source).unwrap().strip_suffix(".rs").unwrap();
            let mut place: Place = inner.split('/').map(str::to_owned).collect();
            if place.iter().any(|part| part == "tests" || part.ends_with("_tests")) {
                continue;
            }
            if matches!(place.last().map(String::as_str), Some("mod" | "lib" | "main")) {
                place.pop();
            }
            let parsed = syn::parse_file(&repo.text(file)).unwrap_or_else(|why| panic!("{file}: {why}"));
            let mut reader = Reader { at: place.clone(), names: Names::default() };
            reader.visit_file(&parsed);
            files.insert(place, (file.to_owned(), reader.names));
        }
        Self { files }
    }

    /// A path from the crate's root, if it names something of this crate.
    fn absolute(&self, at: &Place, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let joined = |base: &[String]| base.iter().chain(rest).cloned().collect();
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(joined(at)),
            "super" => {
                let up = rest.iter().take_while(|part| *part == "super").count();
                let base = at.get(..at.len().checked_sub(up + 1)?)?;
                Some(base.iter().chain(&rest[up..]).cloned().collect())
            }
            child => {
                let module: Place = at.iter().cloned().chain([child.to_owned()]).collect();
                self.files.contains_key(&module).then(|| at.iter().chain(path).cloned().collect())
            }
        }
    }

    /// The file in which what `path` names is, through facades.
    fn home(&self, path: &[String], depth: u8) -> Option<&Place> {
        let known = (0..=path.len()).rev().find(|end| self.files.contains_key(&path[..*end]))?;
        let (place, (_, names)) = self.files.get_key_value(&path[..known])?;
        if let Some(name) = path.get(known).filter(|_| depth > 0) {
            let facades = names.uses.iter().filter(|used| used.name == *name && used.at == *place);
            for used in facades {
                if let Some(further) = self.absolute(place, &used.path).filter(|further| further != path) {
                    let rest = path[known + 1..].iter().cloned();
                    return self.home(&further.into_iter().chain(rest).collect::<Vec<_>>(), depth - 1);
                }
            }
        }
        Some(place)
    }

    /// Which file uses which others.
    pub(crate) fn arrows(&self) -> BTreeMap<&Place, BTreeSet<&Place>> {
        let arrows = |(place, (_, names)): (&'_ Place, &'_ (String, Names))| {
            let used = names.uses.iter().filter(|used| !used.is_facade).map(|used| (&used.at, &used.path));
            let named = names.paths.iter().map(|(at, path)| (at, path));
            let all = used.chain(named).filter_map(|(at, path)| self.home(&self.absolute(at, path)?, 6));
            all.filter(|home| *home != place).collect::<BTreeSet<_>>()
        };
        self.files.iter().map(|file| (file.0, arrows(file))).collect()
    }

    /// Files of which each leads to all others, in groups.
    fn circles(&self) -> Vec<Vec<&str>> {
        let arrows = self.arrows();
        let reached = |from: &Place| {
            let (mut found, mut next) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(place) = next.pop() {
                for other in &arrows[&place] {
                    if found.insert((*other).clone()) {
                        next.push((*other).clone());
                    }
                }
            }
            found
        };
        let all: BTreeMap<&Place, BTreeSet<Place>> =
            self.files.keys().map(|place| (place, reached(place))).collect();
        let mut circles = BTreeSet::new();
        for (place, reaches) in &all {
            let both = |other: &&Place| reaches.contains(*other) && all[*other].contains(*place);
            let circle: Vec<&str> =
                all.keys().copied().filter(both).map(|other| self.files[other].0.as_str()).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }
}

/// The folders of all crates, in which their sources are.
fn sources(repo: &Repo) -> Vec<String> {
    let manifests = repo.with_ending("Cargo.toml").map(|file| file.strip_suffix("Cargo.toml").unwrap());
    let folders = manifests.map(|folder| format!("{folder}src/"));
    folders.filter(|source| repo.files.iter().any(|file| file.starts_with(source.as_str()))).collect()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    for source in sources(&repo) {
        for circle in Crate::read(&repo, &source).circles() {
            broken.push(circle.join(", "));
        }
    }
    let rule = "files use each other in a circle: move what they share into a file below them, or what puts them together into one above";
    none_broken(rule, &broken);
}
