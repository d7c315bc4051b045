//! What a run tells people when it is over.

use std::io::Write as _;
use std::time::Duration;

use retailflow_actors::{EffectCounts, OpenOrderCounts};
use retailflow_engine::wire::RunReport;
use retailflow_engine::wire::report::BooksReport;

/// How a run ended.
pub(crate) struct Ran {
    /// All commands were read; otherwise it was stopped.
    pub(crate) finished: bool,
    /// All that was in flight was answered.
    pub(crate) drained: bool,
    /// Actors that crashed and were started again.
    pub(crate) crashes: u64,
    /// What became of effects.
    pub(crate) effects: EffectCounts,
    /// How the orders stood that were still open when nothing moved any more.
    pub(crate) standing: Option<OpenOrderCounts>,
    /// Orders that were found driven by nobody on the way.
    pub(crate) found_undriven: u64,
}

/// Tells it on standard error, which may have gone.
pub(crate) fn tell(report: &RunReport, ran: &Ran, took: Duration) {
    let _ = std::io::stderr().write_all(text(report, ran, took).as_bytes());
}

fn text(report: &RunReport, ran: &Ran, took: Duration) -> String {
    let counts = report.commands;
    let end = if ran.finished { "all commands read" } else { "stopped; start it again and it goes on" };
    let mut text = format!("{} commands in {:.1} s: {end}\n", counts.received, took.as_secs_f64());
    let rows = [
        ("applied", counts.applied, "recorded now"),
        ("rejected", counts.rejected, "decided against, recorded now"),
        ("replayed", counts.replayed, "had an outcome before, and got the same"),
        ("refused", counts.refused, "not recorded; may come again"),
        ("parked", counts.parked, "kept in order behind a parked order"),
        ("dead-lettered", counts.dead_lettered, "unreadable; kept with the reason"),
    ];
    for (name, count, meaning) in rows {
        if count > 0 || name == "applied" {
            text.push_str(&format!("  {name:<14} {count:>9}   {meaning}\n"));
        }
    }
    let latency = report.outcome_latency_ms;
    text.push_str(&format!(
        "  {:.0} a second; outcome after {:.1} ms (median), {:.1} ms (99 of 100), {:.1} ms (slowest)\n",
        report.throughput_per_second, latency.p50, latency.p99, latency.max
    ));
    for (status, count) in &report.orders.by_status {
        text.push_str(&format!("  orders {status:<8} {count:>9}\n"));
    }
    if let Some(books) = &report.books {
        text.push_str(&books_text(books));
    }
    text.push_str(&standing_text(ran));
    if ran.crashes > 0 {
        text.push_str(&format!("  {} crashes of actors survived\n", ran.crashes));
    }
    if !ran.drained {
        text.push_str("  not all in flight was answered in time; run it again to get those outcomes\n");
    }
    for broken in report.invariants.iter().filter(|invariant| invariant.is_broken()) {
        text.push_str(&format!("  BROKEN {}: {}\n", broken.id, broken.detail));
    }
    for partly in report.invariants.iter().filter(|invariant| invariant.not_compared) {
        text.push_str(&format!("  PARTLY {}: {}\n", partly.id, partly.detail));
    }
    if report.invariants.iter().all(|invariant| invariant.held) {
        text.push_str(&format!(
            "  all {} invariants held; durability: fsync on one machine\n",
            report.invariants.len()
        ));
    }
    text
}

/// What is known of the orders that are still open, and no more.
fn standing_text(ran: &Ran) -> String {
    let mut text = String::new();
    if let Some(standing) = &ran.standing {
        let rows = [
            (standing.driven, "have a step that a participant is still asked for; run again to go on"),
            (standing.waiting, "wait for a person, or for a participant's report"),
            (standing.undriven, "are driven by nobody: a fault of RetailFlow; run again to go on"),
        ];
        for (count, meaning) in rows.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!("  still open {count:>11}   {meaning}\n"));
        }
        for order in &standing.undriven_first {
            text.push_str(&format!("    driven by nobody: {order}\n"));
        }
    }
    if ran.found_undriven > 0 {
        text.push_str(&format!(
            "  {} orders were found driven by nobody, and driven then: a fault of RetailFlow\n",
            ran.found_undriven
        ));
    }
    text
}

/// Money and goods on both sides, as a shopkeeper reads them.
fn books_text(books: &BooksReport) -> String {
    let mut text = String::new();
    for (currency, captured) in &books.ours.captured_minor {
        let refunded = books.ours.refunded_minor.get(currency).copied().unwrap_or(0);
        text.push_str(&format!(
            "  money {currency}: {captured} captured, {refunded} paid back (minor units)\n"
        ));
    }
    let ours = &books.ours;
    text.push_str(&format!(
        "  goods: {} units shipped, {} taken back; {} orders never came to a payment\n",
        ours.booked_units, ours.restocked_units, ours.orders_without_payment
    ));
    text.push_str(&format!(
        "  participants: {} calls, {} repeated, {} doubts settled, {} steps undone; {}\n",
        books.calls,
        books.retries,
        books.settled,
        books.compensations,
        match books.agree {
            true if books.under_way > 0 => "their books say the same of what was compared",
            true => "their books say the same",
            false => "THEIR BOOKS SAY SOMETHING ELSE",
        }
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(standing: Option<OpenOrderCounts>, found_undriven: u64) -> String {
        let effects = EffectCounts::default();
        standing_text(&Ran { finished: true, drained: true, crashes: 0, effects, standing, found_undriven })
    }

    /// It said of every order that was still open that it waits for people, or for a participant; of some nobody knew.
    #[test]
    fn of_open_orders_it_says_what_is_known_and_no_more() {
        assert_eq!(text_of(None, 0), "");
        let waits = OpenOrderCounts { waiting: 3, ..OpenOrderCounts::default() };
        let text = text_of(Some(waits), 0);
        assert!(text.contains("3   wait for a person, or for a participant's report"), "{text}");
        assert!(!text.contains("nobody"), "{text}");
        let text = text_of(Some(OpenOrderCounts { driven: 2, undriven: 1, ..OpenOrderCounts::default() }), 4);
        assert!(text.contains("2   have a step that a participant is still asked for"), "{text}");
        assert!(text.contains("1   are driven by nobody"), "{text}");
        assert!(text.contains("4 orders were found driven by nobody"), "{text}");
        assert!(!text.contains("wait for a person"), "{text}");
    }
}
