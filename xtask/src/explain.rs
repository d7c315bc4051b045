//! What the demo says about what it shows.

use std::path::Path;

use serde_json::Value;

pub(crate) fn opening(folder: &Path) {
    println!(
        "\nRetailFlow takes commands and answers each with an outcome, and brings each order through stock, payment,\n\
         shipping and capture, or back again. The participants here have a bad day: they fail, decline, and lose\n\
         answers; their own books must say the same as ours in the end. An outcome is given only when its record\n\
         is safe on disk; from then on it never changes, whatever crashes. This demo tries to break that.\n\
         All files are in {}.",
        folder.display()
    );
}

pub(crate) fn step(number: u32, name: &str, text: &str) {
    println!("\n== {number}. {name}: {text}");
}

pub(crate) fn commands(real: usize, mixed: usize, first: &str) {
    let mut shown: String = first.chars().take(300).collect();
    if shown.len() < first.len() {
        shown.push('…');
    }
    println!(
        "{real} commands of real orders, and {mixed} of made-up ones: of up to 20 lines, in four currencies, some\n\
         canceled, some sent back in part, some commands twice. The first: {shown}"
    );
}

pub(crate) fn killed(given: usize, commands: usize) {
    println!(
        "Killed. {given} of {commands} outcomes had been given; the engine had no moment to tidy up.\n\
         Before that, single order actors were crashed on purpose; others did not notice."
    );
}

pub(crate) fn compared(before: usize, after: usize, report: &Value) {
    let count = |name: &str| report["commands"][name].as_u64().unwrap_or(0);
    println!(
        "All {before} outcomes given before the crash are the same now, and all {after} commands have one.\n\
         Of {} commands, {} were found in the log and answered with their first outcome: their effect happened\n\
         once. That can be more than {before}: some were safe on disk and not yet answered when the kill came.",
        count("received"),
        count("replayed"),
    );
}

/// What a shopkeeper wants to know of a run.
pub(crate) fn shop(report: &Value, kills: usize) {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let (books, by_status) = (&report["books"], &report["orders"]["by_status"]);
    let of = |status: &str| count(&by_status[status]);
    println!(
        "orders      {} completed, {} canceled, {} still on their way",
        of("completed"),
        of("canceled"),
        of("open") + of("canceling")
    );
    for (currency, captured) in books["ours"]["captured_minor"].as_object().into_iter().flatten() {
        let side = |side: &str, what: &str| count(&books[side][what][currency]);
        println!(
            "money {currency}   {captured} taken and {} paid back by our books, {} and {} by the bank's (minor units)",
            side("ours", "refunded_minor"),
            side("theirs", "captured_minor"),
            side("theirs", "refunded_minor"),
        );
    }
    let units = |side: &str, what: &str| count(&books[side][what]);
    println!(
        "goods       {} units sent and {} taken back by our books, {} and {} by the carrier's and the stock's",
        units("ours", "booked_units"),
        units("ours", "restocked_units"),
        units("theirs", "booked_units"),
        units("theirs", "restocked_units"),
    );
    println!(
        "trouble     {} of {} calls in the last run repeated, {} doubts settled with the participants,\n            \
         {} steps undone for canceled orders, {kills} kills of the process survived",
        count(&books["retries"]),
        count(&books["calls"]),
        count(&books["settled"]),
        count(&books["compensations"]),
    );
}

pub(crate) fn closing(folder: &Path, tenant: &str, order: &str) {
    println!(
        "\nThat is the promise: an outcome once given stays, through crashes of orders and of the whole process.\n\
         (A kill spares what the operating system has buffered; that records outlive a power cut as well is\n\
         shown by the tests of the log, which keep only what was synced.)\n\
         Try on: retailflow order history {tenant} {order} --data {}",
        folder.join("data").display(),
    );
}
