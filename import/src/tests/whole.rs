//! Random files: each row is in a command or told, and each order is whole or not there.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A row: what it names its order, and whether it is good.
struct Made {
    text: String,
    order: Option<String>,
    is_good: bool,
    is_blank: bool,
}

fn row(rng: &mut fastrand::Rng, orders: u32, number: usize) -> Made {
    let order = rng.u32(1..=orders).to_string();
    let whole = |text: String, is_good| Made { text, order: Some(order.clone()), is_good, is_blank: false };
    match rng.u32(..40) {
        0 => whole(format!("{order},a,0,{number}"), false),
        1 => whole(format!("{order},a,1"), false),
        2 => whole(format!("{order},a,1,x"), false),
        3 => Made { text: format!(",a,1,{number}"), order: None, is_good: false, is_blank: false },
        4 => Made { text: format!("?,a,1,{number}"), order: None, is_good: false, is_blank: false },
        5 => Made { text: ",,,".to_owned(), order: None, is_good: true, is_blank: true },
        6 => whole(format!("{order},b,1,{number}"), true),
        _ => whole(format!("{order},a,1,{number}"), true),
    }
}

#[test]
fn whole_or_not_at_all_whatever_the_file_is() {
    for seed in 0..400 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let orders = rng.u32(1..12);
        let rows: Vec<Made> = (0..rng.usize(1..40)).map(|number| row(rng, orders, number)).collect();
        let csv = rows.iter().fold("o,c,q,a\n".to_owned(), |csv, row| csv + &row.text + "\n");
        let imported = import(&csv);

        let mut named: BTreeMap<&str, Vec<&Made>> = BTreeMap::new();
        for row in &rows {
            if let Some(order) = &row.order {
                named.entry(order).or_default().push(row);
            }
        }
        let mut written = 0;
        let mut placed = BTreeSet::new();
        for command in &imported.commands {
            let order = command.order.order.as_str();
            assert!(placed.insert(order.to_owned()), "seed {seed}: order {order} twice");
            let CommandData::Place(place) = &command.data else { panic!("not a place") };
            assert_eq!(place.lines.len(), named[order].len(), "seed {seed}: order {order} in\n{csv}");
            assert!(named[order].iter().all(|row| row.is_good), "seed {seed}: order {order} in\n{csv}");
            written += place.lines.len();
        }
        // Each row that is not in a command is told, once, and no other.
        let told = &imported.told[..imported.told.len() - 1];
        let lines: BTreeSet<usize> = told.iter().map(|text| line_of(text)).collect();
        assert_eq!(
            (lines.len(), imported.summary.rejected_rows as usize),
            (told.len(), told.len()),
            "seed {seed}"
        );
        let mut blank = 0;
        for (at, row) in rows.iter().enumerate() {
            let is_placed = row.order.as_ref().is_some_and(|order| placed.contains(order));
            blank += usize::from(row.is_blank);
            let is_told = lines.contains(&(at + 2));
            assert_eq!(is_told, !row.is_blank && !is_placed, "seed {seed}: line {} in\n{csv}", at + 2);
            // What names no order may be a line of the one before it.
            let before = rows[..at].iter().rev().find_map(|row| row.order.as_ref());
            if row.text.starts_with(",a") && before.is_some_and(|before| placed.contains(before)) {
                panic!("seed {seed}: line {} may be a line of {before:?} in\n{csv}", at + 2);
            }
        }
        assert_eq!(written + told.len() + blank, rows.len(), "seed {seed}");
    }
}

fn line_of(told: &str) -> usize {
    let digits = told.strip_prefix("line ").unwrap().split([',', ':']).next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn orders_that_are_apart_too_far_are_left_out_and_told() {
    let mut csv = "o,c,q,a\n".to_owned();
    for half in 1..=2 {
        for order in 1..=100 {
            csv += &format!("{order},a,1,{half}\n");
        }
    }
    let settings = settings();
    let (mut out, mut told) = (Vec::new(), Vec::new());
    let mut rejects = Rejects::new(&mut told, false, None);
    let outputs = Outputs { places: &mut out, returns: None };
    // Some tens of orders fit.
    let summary =
        run_within(&settings, Cursor::new(csv.as_bytes()), outputs, &mut rejects, 16 * 1024).unwrap();
    drop(rejects);
    let told = String::from_utf8(told).unwrap();
    assert!((10..90).contains(&summary.orders), "{}", summary.orders);
    assert_eq!((summary.lines, summary.rejected_rows), (2 * summary.orders, 200 - 2 * summary.orders));
    assert_eq!(told.matches("sort the file by \"o\"").count() as u64, summary.rejected_rows);
}
