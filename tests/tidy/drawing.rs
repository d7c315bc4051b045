//! `docs/architecture.svg`: the packages in layers, each above all that it depends on, with its modules from top to bottom.
//!
//! It is made of `cargo metadata` and of what files import; `RETAILFLOW_BLESS=1 cargo test --test tidy drawing` draws it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::crates::{Package, packages};
use crate::modules::{Crate, Place};
use crate::repo::Repo;

const FILE: &str = "docs/architecture.svg";
/// Of one package, in pixels.
const WIDTH: usize = 210;
const GAP: usize = 40;
const LINE: usize = 16;
const HEAD: usize = 44;

/// One package as it is drawn.
struct Drawn {
    name: String,
    below: BTreeSet<String>,
    modules: Vec<String>,
}

/// How many steps lead down from each, over the longest way.
fn heights(below: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, usize> {
    let mut heights: BTreeMap<String, usize> = BTreeMap::new();
    while heights.len() < below.len() {
        let before = heights.len();
        for (name, needs) in below {
            let known: Option<Vec<usize>> = needs.iter().map(|need| heights.get(need).copied()).collect();
            if let Some(known) = known {
                heights.insert(name.clone(), known.into_iter().max().map_or(0, |highest| highest + 1));
            }
        }
        assert!(heights.len() > before, "an arrow runs up: a circle of {below:?}");
    }
    heights
}

/// The modules at the root of a package, those first that no other one uses.
fn modules(read: &Crate) -> Vec<String> {
    let root = |place: &Place| place.first().cloned();
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (place, used) in read.arrows() {
        let Some(own) = root(place) else { continue };
        let used = used.into_iter().filter_map(root).filter(|other| *other != own).collect::<Vec<_>>();
        below.entry(own).or_default().extend(used);
    }
    // Two folders may use files of each other, though no files do: then their names stand in their order.
    let mut order: Vec<String> = Vec::new();
    while order.len() < below.len() {
        let free =
            |name: &&String| !order.contains(name) && below[*name].iter().all(|need| order.contains(need));
        let next = below.keys().find(free).or_else(|| below.keys().find(|name| !order.contains(name)));
        order.push(next.unwrap().clone());
    }
    order.reverse();
    order
}

fn drawn(repo: &Repo) -> Vec<Drawn> {
    let packages: Vec<Package> = packages(repo);
    let short = |name: &str| name.strip_prefix("retailflow-").unwrap_or("command line").to_owned();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let draw = |package: &Package| {
        let folder = package.folder(repo);
        let source = if folder.is_empty() { "src/".to_owned() } else { format!("{folder}/src/") };
        let needs = package.dependencies.iter().filter(|(name, dev)| !dev && ours.contains(name.as_str()));
        Drawn {
            name: short(&package.name),
            below: needs.map(|(name, _)| short(name)).collect(),
            modules: modules(&Crate::read(repo, &source)),
        }
    };
    packages.iter().map(draw).collect()
}

fn svg(all: &[Drawn]) -> String {
    let below: BTreeMap<String, BTreeSet<String>> =
        all.iter().map(|one| (one.name.clone(), one.below.clone())).collect();
    let heights = heights(&below);
    let layers = heights.values().max().map_or(0, |highest| highest + 1);
    let mut rows: Vec<Vec<&Drawn>> = vec![Vec::new(); layers];
    for one in all {
        rows[layers - 1 - heights[&one.name]].push(one);
    }
    let (mut places, mut y, mut widest) = (BTreeMap::new(), GAP, 0);
    for row in &mut rows {
        row.sort_by(|a, b| a.name.cmp(&b.name));
        let tallest = row.iter().map(|one| HEAD + LINE * one.modules.len()).max().unwrap_or(0);
        for (column, one) in row.iter().enumerate() {
            places.insert(
                one.name.as_str(),
                (GAP + column * (WIDTH + GAP), y, HEAD + LINE * one.modules.len()),
            );
        }
        widest = widest.max(GAP + row.len() * (WIDTH + GAP));
        y += tallest + 2 * GAP;
    }
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {widest} {y}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>The packages of RetailFlow: each stands above all that it depends on</title>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0 8 4 0 8z\" fill=\"#888\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for one in all {
        let (x, top, height) = places[one.name.as_str()];
        for need in &one.below {
            let (to_x, to_y, _) = places[need.as_str()];
            let (from_x, from_y, to_x) = (x + WIDTH / 2, top + height, to_x + WIDTH / 2);
            assert!(from_y < to_y, "an arrow runs up, from {} to {need}", one.name);
            let _ = writeln!(
                text,
                "<path d=\"M{from_x} {from_y} C{from_x} {} {to_x} {} {to_x} {to_y}\" fill=\"none\" stroke=\"#888\" marker-end=\"url(#tip)\"/>",
                from_y + GAP,
                to_y - GAP
            );
        }
    }
    for one in all {
        let (x, top, height) = places[one.name.as_str()];
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\" fill=\"#f4f7fb\" stroke=\"#456\"/>\n\
             <text x=\"{}\" y=\"{}\" font-weight=\"bold\" font-size=\"14\">{}</text>",
            x + 12,
            top + 22,
            one.name
        );
        for (number, module) in one.modules.iter().enumerate() {
            let _ =
                writeln!(text, "<text x=\"{}\" y=\"{}\">{module}</text>", x + 12, top + HEAD + LINE * number);
        }
    }
    text.push_str("</svg>\n");
    text
}

#[test]
fn the_drawing_of_the_house_is_current() {
    let repo = Repo::open();
    let text = svg(&drawn(&repo));
    if std::env::var_os("RETAILFLOW_BLESS").is_some() {
        std::fs::write(repo.root().join(FILE), &text).unwrap();
    }
    let stands = if repo.exists(FILE) { repo.text(FILE) } else { String::new() };
    assert!(stands == text, "{FILE} is not current: RETAILFLOW_BLESS=1 cargo test --test tidy drawing");
}
