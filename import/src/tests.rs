mod whole;

use std::io::{self, Cursor, Write};

use retailflow_engine::ids::TenantId;
use retailflow_engine::wire::{CommandData, CommandEvent, decode_command};

use super::*;

struct Imported {
    commands: Vec<CommandEvent>,
    told: Vec<String>,
    rejects: String,
    summary: Summary,
}

pub(super) fn settings() -> Settings {
    let name = |text: &str| Some(text.to_owned());
    Settings {
        file: "test.csv".to_owned(),
        tenant: TenantId::parse("shop").unwrap(),
        preset: None,
        dialect: Dialect::default(),
        names: Names {
            order: name("o"),
            customer: name("c"),
            quantity: name("q"),
            amount: name("a"),
            ..Names::default()
        },
        numbers: Numbers { unit: AmountUnit::Minor, decimal_comma: false },
        per: None,
        currency: None,
        sku: "item".to_owned(),
        ids: OrderIds::default(),
        times: Times { formats: Vec::new(), zone: jiff::tz::TimeZone::UTC },
        totals: TotalRules::default(),
        dry_run: false,
    }
}

fn import_with(settings: &Settings, csv: &[u8]) -> Result<Imported, Failure> {
    let (mut out, mut told, mut file) = (Vec::new(), Vec::new(), Vec::new());
    let mut rejects = Rejects::new(&mut told, false, Some(Box::new(&mut file)));
    let outputs = Outputs { places: &mut out, returns: None };
    let summary = run(settings, Cursor::new(csv), outputs, &mut rejects)?;
    rejects.end(&summary)?;
    drop(rejects);
    let commands = out.split_inclusive(|b| *b == b'\n').map(|line| decode_command(line).unwrap()).collect();
    let told = String::from_utf8(told).unwrap().lines().map(str::to_owned).collect();
    Ok(Imported { commands, told, rejects: String::from_utf8_lossy(&file).into_owned(), summary })
}

fn import(csv: impl AsRef<[u8]>) -> Imported {
    import_with(&settings(), csv.as_ref()).unwrap()
}

/// The rows must be rejected with messages that begin so; all other orders pass.
#[track_caller]
fn rejected(csv: impl AsRef<[u8]>, expected: &[&str], passed: &[&str]) {
    let imported = import(csv);
    let told = &imported.told[..imported.told.len() - 1];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told:?} does not begin with {expected:?}");
    }
    let orders: Vec<&str> = imported.commands.iter().map(|command| command.order.order.as_str()).collect();
    assert_eq!(orders, passed);
    assert_eq!(imported.summary.rejected_rows, expected.len() as u64);
    let kept = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(imported.rejects.as_bytes())
        .into_records()
        .count();
    assert_eq!(kept, expected.len(), "rows in the file of rejected rows");
}

#[test]
fn adjacent_rows_are_the_lines_of_an_order() {
    let imported = import("o,c,q,a\n1,ann,2,300\n1,ann,1,0\n2,bob,1,5\n");
    assert_eq!(imported.told, ["2 orders, 3 lines, 4 units, 3.05 USD (305 minor units); no row rejected"]);
    assert_eq!(imported.rejects, "o,c,q,a,reject_reason\n");
    let CommandData::Place(first) = &imported.commands[0].data else { panic!("not a place") };
    let lines: Vec<(&str, &str, u32, i64)> = first
        .lines
        .iter()
        .map(|line| (&*line.line_id, &*line.sku, line.quantity, line.amount_minor.minor()))
        .collect();
    assert_eq!(lines, [("1", "item", 2, 300), ("2", "item", 1, 0)]);
    assert_eq!((first.customer.as_str(), first.placed_at), ("ann", None));
}

/// The beginning of `printf shop/1 | sha256sum`. Whoever imported yesterday must get the same ids tomorrow.
#[test]
fn a_command_is_known_by_tenant_and_order() {
    let one = import("o,c,q,a\n1,ann,2,300\n").commands.remove(0);
    assert_eq!(one.key.id.as_str(), "place-f0ad2890b03140d10195dd3526acbd50");
    assert_eq!(one.key.source.as_str(), "/import/csv");
    let other = import("o,c,q,a\n1,bob,1,1\n").commands.remove(0);
    assert_eq!(one.key, other.key);
}

#[test]
fn sku_time_prefix_and_major_units() {
    let mut settings = settings();
    settings.names.sku = Some("s".to_owned());
    settings.names.time = Some("t".to_owned());
    settings.numbers.unit = AmountUnit::Major;
    settings.ids.prefix = "web-".to_owned();
    let csv = b"t,o,c,q,a,s\n1997-01-12, 7 ,ann,1,11.7,\"cd, \"\"blue\"\"\"\n1997-01-12T08:00:00+01:00,8,bob,1,1,lp\n";
    let imported = import_with(&settings, csv).unwrap();
    let text: Vec<String> =
        imported.commands.iter().map(|c| String::from_utf8(c.to_json()).unwrap()).collect();
    for part in ["\"subject\":\"web-7\"", "\"sku\":\"cd, \\\"blue\\\"\"", "\"amount_minor\":1170"] {
        assert!(text[0].contains(part), "{}", text[0]);
    }
    assert!(text[0].contains("\"placed_at\":\"1997-01-12T00:00:00.000Z\""), "{}", text[0]);
    assert!(text[1].contains("\"placed_at\":\"1997-01-12T07:00:00.000Z\""), "{}", text[1]);
}

#[test]
fn bad_cells_are_told_by_line_and_column() {
    let csv = b"o,c,q,a\r\n1,ann,0,1\r\n2,ann,1,-5\r\n3,ann,1,99999999999999999999\r\n4,,1,1\r\n5,ann,1\r\n6,ann,1,1,1\r\n\r\n\
        7,\xff\xfe,1,1\r\n\xff,ann,1,1\r\na b,ann,1,1\r\n,ann,1,1\r\n8,ann,x,1\r\n9,ann,1,1\r\n";
    rejected(
        csv,
        &[
            "line 2, column \"q\": \"0\" is out of range; expected a whole number from 1 to 1000000",
            "line 3, column \"a\": \"-5\" is below zero",
            "line 4, column \"a\": \"99999999999999999999\": the amount is beyond",
            "line 5, column \"c\": it is empty",
            "line 6, column \"a\": the cell is missing: the row has 3 cells, the header 4",
            "line 7: the row has 5 cells, the header 4",
            "line 9, column \"c\": \"\u{fffd}\u{fffd}\" is not UTF-8",
            "line 10, column \"o\": \"\u{fffd}\" is not UTF-8",
            "line 11, column \"o\": order \"a b\" is not valid: expected 1 to 64 of A-Z",
            "line 12, column \"o\": it is empty",
            "line 13, column \"q\": \"x\" is not a whole number",
        ],
        &["9"],
    );
}

#[test]
fn one_bad_row_spoils_its_order_and_no_other() {
    rejected(
        "o,c,q,a\n1,a,1,1\n2,a,1,1\n2,a,0,1\n2,a,1,1\n3,a,1,1\n",
        &[
            "line 3, column \"o\": order \"2\" is not imported: line 4 is bad",
            "line 4, column \"q\": \"0\" is out of range",
            "line 5, column \"o\": order \"2\" is not imported: line 4 is bad",
        ],
        &["1", "3"],
    );
    let customers = "line 3, column \"c\": \"b\" is not the customer of the same order in line 2, \"a\"";
    rejected("o,c,q,a\n1,a,1,1\n1,b,1,1\n", &["line 2, column \"o\": order", customers], &[]);
}

/// A row that names no order may go on with the one before it. One that names another order badly is no part of that, unless it stands
/// between rows of it.
#[test]
fn a_row_without_an_order_spoils_the_order_before_it() {
    rejected(
        "o,c,q,a\n1,a,1,1\n,a,1,1\n2,a,1,1\n?,a,1,1\n2,a,1,1\n3,a,1,1\n?,a,1,1\n4,a,1,1\n",
        &[
            "line 2, column \"o\": order \"1\" is not imported: line 3, behind a row of it, does not say which order",
            "line 3, column \"o\": it is empty",
            "line 4, column \"o\": order \"2\" is not imported: line 5, between its rows, is bad and may belong to it",
            "line 5, column \"o\": order \"?\" is not valid",
            "line 6, column \"o\": order \"2\" is not imported: line 5",
            "line 8, column \"o\": order \"?\" is not valid",
        ],
        &["3", "4"],
    );
}

/// Its first rows were written, and the others told as left out: half an order was placed.
#[test]
fn an_order_whose_rows_are_apart_is_whole_or_not_there() {
    let imported = import("o,c,q,a\n1,a,1,1000\n2,a,1,1000\n1,a,2,2000\n");
    let CommandData::Place(place) = &imported.commands[1].data else { panic!("not a place") };
    assert_eq!((imported.commands.len(), imported.commands[1].order.order.as_str()), (2, "1"));
    assert_eq!((place.lines.len(), place.total_minor().unwrap().minor()), (2, 3000));
    rejected(
        "o,c,q,a\n1,a,1,1\n2,a,1,1\n1,a,1,2\n1,a,0,1\n",
        &[
            "line 2, column \"o\": order \"1\" is not imported: line 5 is bad",
            "line 4, column \"o\": order \"1\" is not imported: line 5 is bad",
            "line 5, column \"q\": \"0\" is out of range",
        ],
        &["2"],
    );
    // Two exports in one file: an order twice is no order of double size.
    rejected(
        "o,c,q,a\n1,a,1,1\n1,a,1,1\n2,a,1,1\n1,a,1,1\n",
        &[
            "line 2, column \"o\": order \"1\" is not imported: line 5 repeats line 2 in another place",
            "line 3, column \"o\": order \"1\" is not imported: line 5 repeats line 2",
            "line 5, column \"o\": order \"1\" is not imported: line 5 repeats line 2",
        ],
        &["2"],
    );
}

#[test]
fn what_is_too_much_together_is_rejected_together() {
    let rows =
        |count: usize, amount: i64| -> String { (0..count).map(|_| format!("1,a,1,{amount}\n")).collect() };
    assert_eq!(import(format!("o,c,q,a\n{}", rows(1000, 1))).summary.lines, 1000);
    let imported = import(format!("o,c,q,a\n{}2,a,1,1\n", rows(1001, 1)));
    assert_eq!((imported.summary.orders, imported.summary.rejected_rows), (1, 1001));
    assert!(imported.told[1000].starts_with("line 1002: an order has at most 1000 lines"));
    let imported = import(format!("o,c,q,a\n{}", rows(2, (1 << 53) - 1)));
    assert_eq!((imported.summary.orders, imported.summary.rejected_rows), (0, 2));
    assert!(imported.told[0].contains("the order's total: the amount is beyond"), "{}", imported.told[0]);
}

#[test]
fn a_huge_cell_and_an_open_quote_are_told() {
    let huge = "x".repeat(3 * 1024 * 1024);
    rejected(
        format!("o,c,q,a\n1,{huge},1,1\n2,{},1,1\n3,a,1,1\n4,\"a,1,1\n5,a,1,1\n", "y".repeat(129)),
        &[
            "line 2: the row is longer than 1048576 bytes",
            "line 3, column \"c\": \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"… is too long: at most 128 characters",
            "lines 5 to 7: the quote opened in line 5 is never closed",
        ],
        &["3"],
    );
}

#[test]
fn rejects_can_be_put_right_and_imported_again() {
    let first = import("o,c,q,a\n1,\"a, b\",0,1\n2,b,1,1\n");
    let again = import(first.rejects.replace(",0,1,", ",1,1,"));
    let orders: Vec<&str> = again.commands.iter().map(|c| c.order.order.as_str()).collect();
    assert_eq!((orders, again.summary.rejected_rows), (vec!["1"], 0));
}

#[test]
fn a_file_without_a_good_header_is_refused() {
    for (csv, part) in
        [("", "test.csv is empty"), ("\n\n", "is empty"), ("a,b\n1,2\n", "there is no column \"o\"")]
    {
        let failure = import_with(&settings(), csv.as_bytes()).err().unwrap();
        assert_eq!(failure.code, ExitStatus::Usage);
        assert!(failure.to_string().contains(part), "{failure}");
    }
    assert_eq!(import("o,c,q,a").summary.orders, 0);
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
    let mut told = Vec::new();
    let mut rejects = Rejects::new(&mut told, false, None);
    let outputs = Outputs { places: &mut Gone, returns: None };
    let csv = Cursor::new(&b"o,c,q,a\n1,a,1,1\n"[..]);
    let failure = run(&settings(), csv, outputs, &mut rejects).unwrap_err();
    assert_eq!((failure.code, failure.error.is_none()), (ExitStatus::Fine, true));
}
