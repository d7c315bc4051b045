//! The promises of `generate`, on loads of some ten thousand orders.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use retailflow_engine::keys::{hex, sha256};
use retailflow_engine::wire::decode_command;

use super::*;

const SHARES: Shares = Shares {
    cancel_permille: 100,
    return_permille: 50,
    duplicate_permille: 30,
    late_permille: 20,
    reuse_permille: 0,
    early_permille: 0,
    decline_permille: 0,
    review_permille: 0,
    report_permille: 0,
    pay_permille: 0,
    split_permille: 0,
    refund_permille: 0,
    hold_permille: 0,
    amend_permille: 0,
    cancel_units_permille: 0,
    record_permille: 0,
    exchange_permille: 0,
    parts_permille: 0,
};

fn settings(orders: u64, seed: u64) -> Settings {
    Settings { tenant: TenantId::parse("shop").unwrap(), orders, seed, shares: SHARES, reorder: 0 }
}

fn bytes(settings: &Settings) -> (Vec<u8>, Summary) {
    let mut out = Vec::new();
    let summary = run(settings, &mut out).unwrap();
    (out, summary)
}

/// What was made, read again as `run` reads it.
fn events(settings: &Settings) -> (Vec<CommandEvent>, Summary) {
    let (out, summary) = bytes(settings);
    let events = out.split_inclusive(|b| *b == b'\n').map(|line| decode_command(line).unwrap()).collect();
    (events, summary)
}

/// Frozen: figures that were written down refer to these bytes.
#[test]
fn the_same_settings_give_the_same_bytes_for_ever() {
    let reordered = Settings { reorder: 5, ..settings(2_000, 7) };
    assert_eq!(hex(&sha256(&bytes(&reordered).0)[..8]), "02eb30762110f55c");
    assert_eq!(bytes(&reordered).0, bytes(&reordered).0);
    assert_ne!(bytes(&settings(100, 7)).0, bytes(&settings(100, 8)).0);
}

#[test]
fn payments_are_declined_and_reviewed_and_reviews_reported() {
    let shares = Shares { decline_permille: 30, review_permille: 20, report_permille: 500, ..SHARES };
    let (events, summary) = events(&Settings { shares, ..settings(10_000, 7) });
    assert!((200..400).contains(&summary.declined) && (120..280).contains(&summary.reviewed), "{summary}");
    assert!((60..140).contains(&summary.reports), "{summary}");
    let mut references = HashSet::new();
    for event in &events {
        if let CommandData::Report(report) = &event.data {
            assert!(report.reference.starts_with("aut-rf1-"), "{}", report.reference);
            assert!(references.insert(report.reference.clone()), "each review has its own");
        }
    }
}

#[test]
fn a_shop_does_some_of_all() {
    let shares = Shares {
        decline_permille: 30,
        pay_permille: 500,
        split_permille: 150,
        refund_permille: 30,
        hold_permille: 20,
        amend_permille: 40,
        cancel_units_permille: 20,
        record_permille: 10,
        exchange_permille: 30,
        parts_permille: 100,
        ..SHARES
    };
    let (events, summary) = events(&Settings { shares, ..settings(10_000, 7) });
    for (what, found, expected) in [
        ("pays", summary.pays, 150),
        ("split", summary.split, 1_450),
        ("refunds", summary.refunds, 300),
        ("holds", summary.holds, 200),
        ("amends", summary.amends, 400),
        ("unit cancels", summary.unit_cancels, 200),
        ("records", summary.records, 100),
        ("exchanges", summary.exchanges, 300),
        ("shipments", summary.goods_in_parts, 800),
    ] {
        assert!(
            found.abs_diff(expected) * 100 <= expected * 30,
            "{what}: {found}, expected about {expected}"
        );
    }
    // A hold is followed by its release, under its name.
    let mut held = HashMap::new();
    for event in &events {
        match &event.data {
            CommandData::Hold(hold) => drop(held.insert(event.order.clone(), hold.name.clone())),
            CommandData::ReleaseHold(release) => assert_eq!(held[&event.order], release.name),
            _ => {}
        }
    }
    let releases = events.iter().filter(|event| matches!(event.data, CommandData::ReleaseHold(_)));
    let releases: HashSet<_> = releases.map(|event| event.order.clone()).collect();
    assert_eq!((held.len() as u64, releases.len()), (summary.holds, held.len()));
}

#[test]
fn shares_change_no_order() {
    let places = |shares: Shares| -> Vec<CommandEvent> {
        let settings = Settings { shares, ..settings(500, 3) };
        let (mut events, _) = events(&settings);
        let mut seen = HashSet::new();
        events.retain(|event| event.kind().as_str().contains("place") && seen.insert(event.order.clone()));
        events
    };
    let none =
        Shares { cancel_permille: 0, return_permille: 0, duplicate_permille: 0, late_permille: 0, ..SHARES };
    assert_eq!(places(SHARES), places(none));
}

#[test]
fn a_load_is_as_mixed_as_was_asked() {
    let (events, summary) = events(&settings(20_000, 1));
    assert_eq!((summary.places, summary.commands), (20_000, events.len() as u64));
    let near = |what: &str, count: u64, expected: u64| {
        let off = count.abs_diff(expected) * 100 / expected;
        assert!(off <= 20, "{what}: {count}, expected about {expected}");
    };
    near("cancels", summary.cancels, 2_000);
    near("returns", summary.returns, 1_080);
    near("second returns", summary.second_returns, 80);
    near("late", summary.late, 400);
    near("duplicates", summary.duplicates, (20_000 + 2_000 + 1_080) * 30 / 1000);
    near("free", summary.free, 100);
    assert!((10..100).contains(&summary.too_much), "{}", summary.too_much);
    assert_eq!((summary.early, summary.reused), (0, 0));
    let sums: Vec<(&str, u64)> = summary.sums.iter().map(|sum| (sum.currency.code(), sum.orders)).collect();
    for ((code, orders), (expected, share)) in
        sums.iter().zip([("EUR", 5_000), ("JPY", 2_000), ("KWD", 1_000), ("USD", 12_000)])
    {
        assert_eq!(*code, expected);
        near(code, *orders, share);
    }
}

/// Decoding has checked components and payments; here the rest.
#[test]
fn orders_are_sensible_and_add_up() {
    let (events, summary) = events(&settings(5_000, 2));
    let (mut total, mut units, mut skus) = (HashMap::new(), 0, HashSet::new());
    let (mut with_parts, mut paid, mut few_lines, mut shipped) = (0, 0, 0, 0);
    let mut seen = HashSet::new();
    for event in &events {
        let CommandData::Place(place) = &event.data else { continue };
        if !seen.insert(event.order.clone()) {
            continue;
        }
        assert!((1..=order::LINES_MAX as usize).contains(&place.lines.len()));
        let minor = place.total_minor().unwrap().minor();
        *total.entry(place.currency.code()).or_insert(0) += i128::from(minor);
        units += place.units();
        few_lines += usize::from(place.lines.len() <= 3);
        with_parts += usize::from(!place.lines[0].components.is_empty());
        paid += usize::from(!place.payments.is_empty());
        shipped += usize::from(!place.components.is_empty());
        for line in &place.lines {
            skus.insert(line.sku.clone());
            let most = if place.currency.code() == "KWD" { 200_000 } else { 100_000 };
            assert!(line.amount_minor.minor() <= most * i64::from(line.quantity), "{line:?}");
        }
    }
    for sum in &summary.sums {
        assert_eq!(total[sum.currency.code()], sum.amount_minor);
    }
    assert_eq!((units, seen.len()), (summary.units, 5_000));
    assert!(skus.len() <= 500 && skus.len() > 300, "{}", skus.len());
    assert!(few_lines > 4_000 && with_parts > 800 && (2_500..3_500).contains(&paid) && shipped > 1_200);
}

#[test]
fn what_follows_comes_behind_its_place() {
    let reordered = Settings { reorder: 50, ..settings(30_000, 4) };
    let (events, _) = events(&reordered);
    let mut placed = HashMap::new();
    let mut first = HashMap::new();
    let mut near_cancels = 0;
    for (at, event) in events.iter().enumerate() {
        if let Some(before) = first.insert(event.key.clone(), event.clone()) {
            assert_eq!(before, *event, "a duplicate says the same");
            continue;
        }
        match &event.data {
            CommandData::Place(_) => drop(placed.insert(event.order.clone(), at)),
            CommandData::Cancel(_) => {
                let distance = at - placed[&event.order];
                assert!(distance <= 2_500, "{distance}");
                near_cancels += usize::from(distance < 700);
            }
            _ => {
                let distance = at - placed[&event.order];
                // Where no more orders begin, what is left comes close together.
                assert!(distance >= 2_900 || placed[&event.order] > 25_000, "{distance}");
            }
        }
    }
    assert!(near_cancels > 1_800, "{near_cancels}");
}

#[test]
fn returns_ask_for_what_is_there_unless_they_mean_not_to() {
    let settings = settings(0, 9);
    let market = Market::new().unwrap();
    let (mut second_ones, mut with_amount) = (0, 0);
    for number in 0..3_000 {
        let place = order::place(&market, settings.seed, number).unwrap();
        let mut left: HashMap<&str, u32> = HashMap::new();
        left.extend(place.lines.iter().map(|line| (line.line_id.as_str(), line.quantity)));
        let Returns { first, second } = returns::of(&place, settings.seed, number).unwrap();
        second_ones += u32::from(second.is_some());
        for (data, too_much) in [Some(first), second].into_iter().flatten() {
            let asked_too_much = data.lines.iter().any(|line| line.quantity > left[&*line.line_id]);
            assert_eq!(asked_too_much, too_much, "order {number}");
            for line in &data.lines {
                let whole = place.lines.iter().find(|whole| whole.line_id == line.line_id).unwrap();
                let amount = line.amount_minor.unwrap_or_default();
                assert!(amount <= whole.amount_minor);
                with_amount += u32::from(line.amount_minor.is_some());
                let units = left.get_mut(&*line.line_id).unwrap();
                *units = units.saturating_sub(line.quantity);
            }
        }
    }
    assert!(second_ones > 1_000 && with_amount > 300, "{second_ones}, {with_amount}");
}

#[test]
fn what_will_be_refused_is_made_only_when_asked_for() {
    let shares = Shares { reuse_permille: 100, early_permille: 200, cancel_permille: 500, ..SHARES };
    let (events, summary) = events(&Settings { shares, ..settings(2_000, 5) });
    assert!(summary.early > 150 && summary.reused > 150, "{summary:?}");
    let mut placed = HashSet::new();
    let mut contents: HashMap<CommandKey, HashSet<[u8; 32]>> = HashMap::new();
    let mut early = 0;
    for event in &events {
        contents.entry(event.key.clone()).or_default().insert(event.content_hash());
        match event.data {
            CommandData::Place(_) => drop(placed.insert(event.order.clone())),
            _ => early += u64::from(!placed.contains(&event.order)),
        }
    }
    assert_eq!(early, summary.early);
    assert_eq!(contents.values().filter(|all| all.len() == 2).count() as u64, summary.reused);
}

#[test]
fn reordering_moves_lines_only_so_far() {
    let straight: Vec<Planned> = lines(&settings(3_000, 6)).collect();
    let moved: Vec<Planned> = lines(&Settings { reorder: 10, ..settings(3_000, 6) }).collect();
    // An order can plan the same duplicate once only, so that each line is known by itself.
    let at: BTreeMap<Planned, usize> = straight.iter().copied().zip(0..).collect();
    assert_eq!((at.len(), moved.len()), (straight.len(), straight.len()));
    let mut changed = 0;
    for (now, planned) in moved.iter().enumerate() {
        let far = at[planned].abs_diff(now);
        assert!(far <= 10, "{planned:?} moved {far} lines");
        changed += usize::from(far > 0);
    }
    assert!(changed > straight.len() / 2);
}

#[test]
fn memory_does_not_grow_with_the_number_of_orders() {
    let all = Shares {
        cancel_permille: 0,
        return_permille: 1000,
        duplicate_permille: 1000,
        late_permille: 1000,
        reuse_permille: 1000,
        early_permille: 1000,
        decline_permille: 400,
        review_permille: 600,
        report_permille: 1000,
        pay_permille: 1000,
        split_permille: 1000,
        hold_permille: 1000,
        ..SHARES
    };
    let peak = |orders, shares| {
        let mut lines = lines(&Settings { shares, ..settings(orders, 8) });
        let mut peak = 0;
        while lines.next().is_some() {
            peak = peak.max(lines.source().waiting());
        }
        peak
    };
    let (short, long) = (peak(50_000, SHARES), peak(200_000, SHARES));
    assert!(long < short * 11 / 10 && long < 2_000, "{short}, {long}");
    let (short, long) = (peak(50_000, all), peak(100_000, all));
    assert!(long < short * 11 / 10 && long < 60_000, "{short}, {long}");
}

#[test]
fn a_reader_that_has_gone_ends_it_quietly() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let failure = run(&settings(10, 1), Gone).unwrap_err();
    assert_eq!((failure.code, failure.error.is_none()), (ExitStatus::Fine, true));
}
