//! `docs/order-life.md` shows what the code does: its diagrams and tables are made from the steps, and each change of
//! status in it is made to happen. `RETAILFLOW_BLESS=1` writes them anew; the prose between them stays.

use std::fmt::Write as _;

use super::saga::world::*;
use crate::fulfillment::steps::{BACKWARD, FORWARD, RETURN, spec};
use crate::ports::Role;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/order-life.md");

/// A change of status, what brings it about, and the proof.
type Change = (&'static str, &'static str, &'static str, fn() -> World);

const CHANGES: [Change; 7] = [
    ("[*]", "open", "place", World::placed),
    ("open", "completed", "all steps forward are done", World::completed),
    ("open", "canceling", "cancel, compensate, a step declined or given up", || {
        let mut world = World::at(Step::Book);
        world.ask(cancel());
        let mut other = World::at(Step::Book);
        other.answer(declined("no carrier"));
        assert_eq!(world.status(), other.status());
        world
    }),
    ("canceling", "canceled", "all that was done is undone", || {
        let mut world = World::at(Step::Book);
        world.answer(declined("no carrier"));
        world.runs_out();
        world
    }),
    ("canceling", "open", "the shipment cannot be called off", || {
        let mut world = World::at(Step::Capture);
        world.ask(cancel());
        world.answer(settled(false));
        world.answer(refused("gone"));
        world
    }),
    ("completed", "[*]", "archive", || {
        let mut world = World::completed();
        assert_eq!(world.ask(archive()), Code::Applied);
        world
    }),
    ("canceled", "[*]", "archive", || {
        let mut world = World::at(Step::Reserve);
        world.answer(declined("no stock"));
        assert_eq!(world.ask(archive()), Code::Applied);
        world
    }),
];

fn status() -> String {
    let mut text = String::from("```mermaid\nstateDiagram-v2\n");
    for (from, to, why, proof) in CHANGES {
        let world = proof();
        let is = format!("{:?}", world.status()).to_lowercase();
        assert_eq!(if to == "[*]" { from } else { to }, is, "{why}");
        assert_eq!(to == "[*]", world.order().saga.archived, "{why}");
        writeln!(text, "    {from} --> {to}: {why}").unwrap();
    }
    text + "```\n"
}

/// A state, its steps one after another, and where they lead to.
fn chain(name: &str, steps: &[Step], end: &str) -> String {
    let mut text = format!("    state {name} {{\n");
    let mut before = "[*]".to_owned();
    for step in steps {
        // A step may stand in two states, and mermaid knows names only once.
        let id = format!("{name}_{}", step.as_str());
        writeln!(text, "        state \"{}\" as {id}\n        {before} --> {id}", step.as_str()).unwrap();
        before = id;
    }
    writeln!(text, "        {before} --> [*]\n    }}\n    {name} --> {end}").unwrap();
    text
}

fn diagram() -> String {
    let mut text = String::from("```mermaid\nstateDiagram-v2\n    [*] --> open\n");
    text += &chain("open", &FORWARD, "completed");
    text += "    open --> canceling\n";
    text += &chain("canceling", &BACKWARD, "canceled");
    text += "    canceling --> open\n    completed --> returning\n";
    text += &chain("returning", &RETURN, "completed");
    text + "```\n"
}

fn table() -> String {
    let mut text = String::from("| Step | Of | Who | Undone by |\n|---|---|---|---|\n");
    let mut row = |step: Step, of: &str, undone_by: &str| {
        writeln!(text, "| `{}` | {of} | {} | {undone_by} |", step.as_str(), Role::of(step).as_str()).unwrap();
    };
    for (steps, of) in [(&FORWARD[..], "the way forward"), (&RETURN[..], "a return")] {
        for step in steps {
            let undone_by = spec(*step).compensation();
            let undone_by = undone_by.map_or("irreversible".into(), |step| format!("`{}`", step.as_str()));
            row(*step, of, &undone_by);
        }
    }
    for step in BACKWARD {
        row(step, "the way back", "it undoes");
    }
    text
}

/// What a cancel undoes, by the step in flight when it comes: as the order really does it.
fn cancels() -> String {
    let mut text = String::from(
        "| Step in flight | Settled as done: undone by | Settled as not done: undone by |\n|---|---|---|\n",
    );
    for step in FORWARD {
        let mut cells = [true, false].map(|was_done| {
            let mut world = World::at(step);
            world.ask(cancel());
            world.answer(settled(was_done));
            let steps: Vec<String> = world.runs_out().iter().map(|step| format!("`{step}`")).collect();
            if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") }
        });
        let [done, not_done] = &mut cells;
        writeln!(text, "| `{}` | {done} | {not_done} |", step.as_str()).unwrap();
    }
    text
}

#[test]
fn the_page_of_an_orders_life_is_true() {
    let mut page = std::fs::read_to_string(PAGE).unwrap().replace("\r\n", "\n");
    let then = page.clone();
    for (name, text) in
        [("status", status()), ("steps", diagram()), ("table", table()), ("cancels", cancels())]
    {
        let (begin, end) = (format!("<!-- made: {name} -->\n"), format!("<!-- end: {name} -->"));
        let from = page.find(&begin).unwrap_or_else(|| panic!("{begin} stands in the page")) + begin.len();
        let to = from + page[from..].find(&end).unwrap_or_else(|| panic!("{end} stands in the page"));
        page.replace_range(from..to, &format!("\n{text}\n"));
    }
    if std::env::var_os("RETAILFLOW_BLESS").is_some() {
        std::fs::write(PAGE, page).unwrap();
        return;
    }
    assert_eq!(page, then, "docs/order-life.md is not current; RETAILFLOW_BLESS=1 writes it anew");
}
