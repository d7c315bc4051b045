//! What `verify` found, for people.

use retailflow_disk::log::Position;
use retailflow_engine::wire::report::BookSums;

use crate::repair::Compared;
use crate::verify::found::{Online, Verified};

pub(crate) fn of(verified: &Verified) -> String {
    let mut text = format!(
        "log: {} segments, {} frames, {} bytes, {}\n",
        verified.segments,
        verified.frames,
        verified.payload_bytes,
        match verified.clean_stop {
            _ if verified.online.is_some() => "of a running server, up to what was durable when it was asked",
            true => "closed in good order",
            false if verified.problems.is_empty() =>
                "not closed in good order (killed, or a copy: no harm by itself)",
            false => "not closed in good order",
        }
    );
    if let Some(scrubbed) = &verified.scrubbed {
        text.push_str(&format!("scrubbed in the background: segments 1 to {}\n", scrubbed.segments));
    }
    text.push_str(&format!("orders: {} in {} records\n", verified.orders, verified.records));
    for tenant in &verified.tenants {
        text.push_str(&format!(
            "ledger {}: {} applied + {} rejected + {} parked = {} commands\n",
            tenant.tenant,
            tenant.applied,
            tenant.rejected,
            tenant.parked,
            tenant.applied + tenant.rejected + tenant.parked
        ));
    }
    for cut in &verified.cuts {
        text.push_str(&format!(
            "cut: partition {} at group {} of epoch {}\n",
            cut.partition, cut.group, cut.epoch
        ));
    }
    if let Some(books) = &verified.books {
        text.push_str(&format!(
            "books: {} orders placed up to the cut, {} missing\n",
            books.placed, books.missing
        ));
        books.named.iter().for_each(|missing| text.push_str(&format!("missing: {missing}\n")));
    }
    if let Some(lost) = &verified.lost {
        let Compared { commands, same, changed, missing, named } = lost;
        text.push_str(&format!(
            "lost: {commands} commands; {same} have the same outcome here, {changed} another one, {missing} are not here\n"
        ));
        named.iter().for_each(|one| text.push_str(&format!("lost: {one}\n")));
    }
    if let Some(sides) = &verified.sides {
        let line = |name: &str, sums: &BookSums| {
            let money: Vec<String> = sums
                .captured_minor
                .iter()
                .map(|(currency, minor)| {
                    let refunded = sums.refunded_minor.get(currency).copied().unwrap_or(0);
                    format!("{currency} {minor} captured, {refunded} paid back")
                })
                .collect();
            format!(
                "{name}: {}; {} units booked, {} restocked; {} orders without a payment call\n",
                money.join("; "),
                sums.booked_units,
                sums.restocked_units,
                sums.orders_without_payment
            )
        };
        text.push_str(&line("ours  ", &sides.ours));
        text.push_str(&line("theirs", &sides.theirs));
        for difference in &sides.differences {
            text.push_str(&format!("differs: {difference}\n"));
        }
        if !sides.agree {
            text.push_str("`retailflow reconcile` asks the participants step by step what they know\n");
        }
    }
    for invariant in &verified.invariants {
        let mark = match invariant {
            invariant if invariant.held => "held  ",
            invariant if invariant.not_compared => "PARTLY",
            _ => "BROKEN",
        };
        text.push_str(&format!("{mark} {:<14} {}\n", invariant.id, invariant.detail));
    }
    for problem in &verified.problems {
        text.push_str(&format!("problem: {problem}\n"));
    }
    if let Some(Online { server, position, not_looked_at }) = &verified.online {
        text.push_str(&format!("looked at {server} up to position {}\n", Position(*position)));
        not_looked_at.iter().for_each(|one| text.push_str(&format!("not looked at: {one}\n")));
    }
    let sums_differ = verified.sides.as_ref().is_some_and(|sides| sides.sums_differ);
    text.push_str(match (verified.sound, verified.problems.is_empty()) {
        (true, _) if sums_differ => {
            "the log is in order, and so is each order that is at rest; the sums above differ by steps that run: they are compared once \
             those have ended\n"
        }
        (true, _) => "all is in order\n",
        (false, false) => "NOT in order; `retailflow repair --dry-run` tells what can be done\n",
        // No repair of the log helps against what others' books say.
        (false, true) => {
            "NOT in order, and the log itself is whole: `retailflow reconcile` asks participants key by key; an order that stands \
             in their books alone is decided when its caller sends its command again\n"
        }
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use retailflow_engine::wire::report::BooksReport;

    fn verified(ours: i64, theirs: i64) -> Verified {
        let sums =
            |minor| BookSums { captured_minor: [("USD".to_owned(), minor)].into(), ..BookSums::default() };
        let (ours, theirs) = (sums(ours), sums(theirs));
        let sums_differ = ours.differs_from(&theirs);
        let sides =
            BooksReport { ours, theirs, sums_differ, agree: true, under_way: 1, ..BooksReport::default() };
        Verified {
            sound: true,
            online: None,
            segments: 1,
            frames: 1,
            payload_bytes: 1,
            clean_stop: true,
            scrubbed: None,
            groups: 1,
            records: 1,
            orders: 1,
            tenants: Vec::new(),
            cuts: Vec::new(),
            books: None,
            lost: None,
            sides: Some(sides),
            problems: Vec::new(),
            invariants: Vec::new(),
        }
    }

    /// It stood below sums that differ.
    #[test]
    fn nothing_is_in_order_beside_sums_that_differ() {
        assert!(of(&verified(500, 500)).ends_with("all is in order\n"));
        let text = of(&verified(500, 700));
        assert!(!text.contains("all is in order") && text.contains("the sums above differ"), "{text}");
    }
}
