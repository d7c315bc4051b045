//! `import`, from the file to the lines on standard output.

use std::io::Read;

use serde_json::Value;

use crate::support::cli::{Call, Ended, exit_code, file, repository, retailflow};

const COLUMNS: &[&str] = &[
    "import",
    "--tenant",
    "cdnow",
    "--order-column",
    "row",
    "--customer-column",
    "customer_id",
    "--quantity-column",
    "quantity",
    "--amount-column",
    "amount_cents",
    "--amount-unit",
    "minor",
];

fn import(csv: &str) -> Call {
    retailflow(COLUMNS).arg("--csv").arg(csv)
}

const HEADER: &str = "row,customer_id,date,quantity,amount_cents\n";

#[test]
fn real_orders_become_commands() {
    let text = std::fs::read_to_string(repository().join("examples/orders.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let imported = import("examples/orders.csv").arg("--time-column").arg("date").run().expect(0);
    let commands: Vec<Value> =
        imported.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(commands.len(), rows.len());
    for (command, row) in commands.iter().zip(&rows) {
        let line = &command["data"]["lines"][0];
        assert_eq!(command["type"], "retailflow.order.place.v1");
        assert_eq!((&command["tenant"], &command["subject"]), (&"cdnow".into(), &row[0].into()));
        assert_eq!(command["data"]["customer"], row[1]);
        assert_eq!(command["data"]["placed_at"], format!("{}T00:00:00.000Z", row[2]));
        assert_eq!(line["quantity"].to_string(), row[3]);
        assert_eq!(line["amount_minor"].to_string(), row[4]);
    }
    imported.says(&["2,000 orders, 2,000 lines", "no row rejected"]);
}

#[test]
fn importing_again_gives_the_same_bytes() {
    let csv = format!("{HEADER}1,a,1997-01-12,2,300\n2,b,1997-01-12,1,5\n");
    let first = import("-").stdin(csv.clone()).run().expect(0);
    let second = import("-").stdin(csv).run().expect(0);
    assert_eq!((first.stdout.lines().count(), &first.stdout), (2, &second.stdout));
}

#[test]
fn bad_rows_are_a_finding_and_good_ones_pass() {
    let folder = tempfile::tempdir().unwrap();
    let rejects = folder.path().join("rejects.csv");
    let csv = file(folder.path(), "orders.csv", format!("{HEADER}1,a,,0,300\n2,b,,1,5\n3,c,,1,x\n"));
    let imported = import(&csv).arg("--rejects").arg(&rejects).run().expect(1).says(&[
        "line 2, column \"quantity\": \"0\" is out of range",
        "line 4, column \"amount_cents\": \"x\": not an amount",
        "1 order, 1 line, 1 unit, 0.05 USD (5 minor units); 2 rows rejected",
    ]);
    assert_eq!(imported.lines().len(), 1);
    let kept = std::fs::read_to_string(rejects).unwrap();
    let lines: Vec<&str> = kept.lines().collect();
    assert_eq!(lines[0], "row,customer_id,date,quantity,amount_cents,reject_reason");
    assert!(lines[1].starts_with("1,a,,0,300,\"line 2, column"), "{}", lines[1]);
    assert_eq!(lines.len(), 3);
}

#[test]
fn programs_get_findings_and_summary_as_json() {
    let csv = format!("{HEADER}1,a,,0,300\n2,b,,1,5\n");
    let imported = import("-").arg("-o").arg("json").stdin(csv).run().expect(1);
    let told: Vec<Value> = imported.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&told[0]["kind"], &told[0]["line"]), (&"reject".into(), &2.into()));
    assert_eq!(told[0]["column"], "quantity");
    assert_eq!((&told[1]["kind"], &told[1]["orders"]), (&"summary".into(), &1.into()));
    assert_eq!((&told[1]["amount_minor"], &told[1]["rejected_rows"]), (&5.into(), &1.into()));
}

#[test]
fn what_the_caller_must_put_right_is_a_usage_error() {
    import("-")
        .stdin("a,b\n1,2\n")
        .run()
        .expect(2)
        .says(&["there is no column \"row\"", "there are: \"a\", \"b\""]);
    import("-").run().expect(2).says(&["standard input is empty"]);
    import("there-is-none.csv").run().expect(2).says(&["cannot read there-is-none.csv"]);
    import("examples").run().expect(2).says(&["cannot read examples"]);
    import("-").arg("--currency").arg("XAU").run().expect(2).says(&["XAU has no minor units"]);
    import("-").arg("--order-prefix").arg("a.b").run().expect(2).says(&["expected 1 to 64"]);
    import("-").args_sku().run().expect(2).says(&["cannot be used with"]);
    let folder = tempfile::tempdir().unwrap();
    let csv = file(folder.path(), "orders.csv", HEADER);
    import(&csv).arg("--rejects").arg(&csv).run().expect(2).says(&["another name"]);
    assert_eq!(std::fs::read_to_string(csv).unwrap(), HEADER);
}

impl Call {
    fn args_sku(self) -> Self {
        ["--sku", "a", "--sku-column", "b"].iter().fold(self, |call, word| call.arg(word))
    }
}

/// As the orders' cases have it.
fn cases(rows: &str) -> Call {
    let words = [
        "import",
        "--csv",
        "-",
        "--tenant",
        "shop",
        "--order-column",
        "order",
        "--customer-column",
        "customer",
        "--quantity-column",
        "qty",
        "--amount-column",
        "amount",
        "--amount-unit",
        "major",
    ];
    retailflow(&words).stdin(rows.to_owned())
}

/// Order, quantity, amount of its lines in minor units, and currency.
type Placed = (String, Vec<(u64, i64)>, String);

fn placed(ended: &Ended) -> Vec<Placed> {
    let command = |line: &&str| {
        let command: Value = serde_json::from_str(line).unwrap();
        let lines = command["data"]["lines"].as_array().unwrap().iter();
        let lines =
            lines.map(|line| (line["quantity"].as_u64().unwrap(), line["amount_minor"].as_i64().unwrap()));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&command["subject"]), lines.collect(), text(&command["data"]["currency"]))
    };
    ended.lines().iter().map(command).collect()
}

fn one(order: &str, quantity: u64, minor: i64, currency: &str) -> Placed {
    (order.to_owned(), vec![(quantity, minor)], currency.to_owned())
}

/// Row 20: the first order was written with the line that named it, and without the one that did not.
#[test]
fn an_order_with_a_row_that_names_none_behind_it_is_left_out() {
    let ended =
        cases("order,customer,qty,amount\n55,K,1,8.00\n,,1,20.00\n56,K,1,20.00\n").run().expect(1).says(&[
            "line 2, column \"order\": order \"55\" is not imported: line 3, behind a row of it",
            "line 3, column \"order\": it is empty",
            "2 rows rejected",
        ]);
    assert_eq!(placed(&ended), [one("56", 1, 2000, "USD")]);
}

/// Row 21: it was written with its first row, and told to be left out.
#[test]
fn an_order_whose_rows_are_apart_is_written_whole() {
    let rows = "order,customer,qty,amount\n1,K,1,10.00\n2,K,1,10.00\n1,K,2,20.00\n";
    let ended =
        cases(rows).run().expect(0).says(&["2 orders, 3 lines, 4 units, 40.00 USD", "no row rejected"]);
    let whole = ("1".to_owned(), vec![(1, 1000), (2, 2000)], "USD".to_owned());
    assert_eq!(placed(&ended), [one("2", 1, 1000, "USD"), whole]);
    let ended = cases(&format!("{rows}1,K,0,1.00\n")).run().expect(1).says(&[
        "line 2, column \"order\": order \"1\" is not imported: line 5 is bad",
        "line 4, column \"order\": order \"1\" is not imported: line 5 is bad",
        "line 5, column \"qty\": \"0\" is out of range",
        "1 order, 1 line, 1 unit, 10.00 USD (1,000 minor units); 3 rows rejected",
    ]);
    assert_eq!(placed(&ended), [one("2", 1, 1000, "USD")]);
}

/// Row 22: without a flag all of it was US dollars.
#[test]
fn the_currency_is_said_where_the_file_could_say_it() {
    let rows = "order,customer,qty,amount,currency\nM1,K,1,10.00,USD\nM2,K,1,1500,JPY\n";
    let ended = cases(rows).arg("--currency-column").arg("currency").run().expect(0);
    assert_eq!(placed(&ended), [one("M1", 1, 1000, "USD"), one("M2", 1, 1500, "JPY")]);
    let refused =
        cases(rows).run().expect(2).says(&["\"currency\" could say", "--currency-column", "--currency CODE"]);
    assert_eq!(refused.stdout, "");
    // Called something else, it still holds nothing but currencies.
    let other = rows.replace("amount,currency", "amount,wkz");
    assert_eq!(cases(&other).run().expect(2).says(&["\"wkz\" could say"]).stdout, "");
    // What the caller says must not be another thing than what the file says.
    let ended = cases(rows)
        .arg("--currency")
        .arg("USD")
        .run()
        .expect(1)
        .says(&["\"JPY\" is not USD, which --currency says"]);
    assert_eq!(placed(&ended), [one("M1", 1, 1000, "USD")]);
    let mixed = "order,customer,qty,amount,currency\n1,K,1,10.00,USD\n1,K,1,1500,JPY\n2,K,1,10.005,USD\n3,K,1,15.5,JPY\n4,K,1,1,\n5,K,1,1.234,KWD\n";
    let ended = cases(mixed).arg("--currency-column").arg("currency").run().expect(1).says(&[
        "line 3: it is in JPY, and the same order in line 2 in USD",
        "line 4, column \"amount\": \"10.005\": too many decimals: USD has 2",
        "line 5, column \"amount\": \"15.5\": too many decimals: JPY has 0",
        "line 6, column \"currency\": it is empty",
    ]);
    assert_eq!(placed(&ended), [one("5", 1, 1234, "KWD")]);
}

/// Row 23.
#[test]
fn ids_that_the_contract_has_not_are_written_another_way_where_that_is_said() {
    let rows = "order,customer,qty,amount\n#1001,K,1,1.00\n2024/001,K,1,2.00\n";
    cases(rows).run().expect(1).says(&[
        "order \"#1001\" is not valid",
        "--strip-order-prefix '#'",
        "--map-order",
    ]);
    let ended = cases(rows).arg("--strip-order-prefix").arg("#").arg("--map-order").run().expect(0);
    assert_eq!(placed(&ended), [one("1001", 1, 100, "USD"), one("2024_2F001", 1, 200, "USD")]);
    // What would become one order of two is neither.
    let two = "order,customer,qty,amount\n#7,K,1,1.00\n7,K,1,2.00\n8,K,1,3.00\n";
    let ended = cases(two)
        .arg("--strip-order-prefix")
        .arg("#")
        .run()
        .expect(1)
        .says(&["lines 2 and 3 call it by two names"]);
    assert_eq!(placed(&ended), [one("8", 1, 300, "USD")]);
}

/// Row 24.
#[test]
fn a_price_of_a_unit_is_multiplied() {
    let rows = "order,customer,qty,amount\n7,K,2,8.00\n";
    let ended = cases(rows).arg("--amount-per").arg("unit").run().expect(0);
    assert_eq!(placed(&ended), [one("7", 2, 1600, "USD")]);
    assert_eq!(placed(&cases(rows).run().expect(0)), [one("7", 2, 800, "USD")]);
    let help = retailflow(&["import", "--help"]).run().expect(0).stdout;
    assert!(help.contains("taken to be that of the whole row"), "{help}");
}

/// Row 25.
#[test]
fn what_spreadsheets_leave_behind_is_accepted() {
    let rows =
        "order,customer,qty,amount,,\n1,K,1.0,8.00,,\n,,,\n2,K,1,8.00,,,,\n,,,,,\n3,K,1,8.00\n4,K,1.5,1,,\n";
    let ended = cases(rows).run().expect(1).says(&[
        "line 7, column \"qty\": \"1.5\" is not a whole number",
        "1 row rejected, 2 blank rows skipped",
    ]);
    let eight = |order| one(order, 1, 800, "USD");
    assert_eq!(placed(&ended), [eight("1"), eight("2"), eight("3")]);
}

#[test]
fn other_files_of_cells_are_read_as_they_are_said() {
    let rows =
        "order;customer;qty;amount;when\n1;K;1,0;1234,50;03.07.2024 12:00\n2;K;1;8.00;03.07.2024 12:00\n";
    let words =
        ["--delimiter", ";", "--decimal-comma", "--time-column", "when", "--time-format", "%d.%m.%Y %H:%M"];
    let call = words.iter().fold(cases(rows), |call, word| call.arg(word));
    let ended =
        call.arg("--time-zone").arg("Europe/Berlin").run().expect(1).says(&["a point is no decimal mark"]);
    assert_eq!(placed(&ended), [one("1", 1, 123_450, "USD")]);
    assert!(ended.stdout.contains("\"placed_at\":\"2024-07-03T10:00:00"), "{}", ended.stdout);
    cases(rows).run().expect(2).says(&["--delimiter ';'"]);
    let tabs = "order\tcustomer\tqty\tamount\n1\t5\" disc\t1\t\"8.00\n2\t\"K\t1\t8.00\n";
    let ended =
        cases(tabs).arg("--delimiter").arg("tab").arg("--no-quoting").run().expect(1).says(&["\"\\\"8.00\""]);
    assert_eq!(placed(&ended), [one("2", 1, 800, "USD")]);
    for bad in [["--time-zone", "Europe/Nowhere"], ["--time-format", "%!"], ["--delimiter", "ab"]] {
        cases(rows).arg(bad[0]).arg(bad[1]).run().expect(2).says(&["expected"]);
    }
}

/// A quote that is opened somewhere swallows rows: their orders are not sure to be whole.
#[test]
fn orders_whose_rows_a_quote_swallowed_are_left_out() {
    let rows = "order,customer,qty,amount\n1,K,1,1.00\n2,K,1,1.00\n3,\"K,1,1.00\n1,K,1,5.00\n4,\"K\",1,1.00\n5,K,1,1.00\n";
    let ended = cases(rows).run().expect(1).says(&[
        "line 2, column \"order\": order \"1\" is not imported: the row that begins in line 4 has broken quotes",
        "lines 4 to 6: text follows a closing quote",
    ]);
    let placed: Vec<String> = placed(&ended).into_iter().map(|(order, ..)| order).collect();
    assert_eq!(placed, ["2", "5"]);
    let long = format!("order,customer,qty,amount\n1,K,1,1\n2,\"K,1,1\n{}", "3,K,1,1\n".repeat(200_000));
    let refused = cases(&long).run().expect(2).says(&["nothing is imported", "--no-quoting"]);
    assert_eq!(refused.stdout, "");
}

#[test]
fn a_dry_run_gives_sums_by_currency_and_writes_nothing() {
    let rows = "order,customer,qty,amount,currency\nM1,K,1,10.00,USD\nM2,K,1,1500,JPY\nM3,K,1,5.50,USD\n";
    let call = || cases(rows).arg("--currency-column").arg("currency").arg("--dry-run");
    let ended = call().run().expect(0).says(&[
        "3 orders",
        "USD: 2 orders, 15.50 USD",
        "JPY: 1 order, 1500 JPY",
        "nothing was written",
    ]);
    assert_eq!(ended.stdout, "");
    let ended = call().arg("-o").arg("json").run().expect(0);
    let said: Value = serde_json::from_str(ended.stderr.trim()).unwrap();
    assert_eq!(
        (&said["sums"][1]["currency"], &said["sums"][1]["amount_minor"]),
        (&"USD".into(), &1550.into()),
        "{said}"
    );
}

/// `retailflow import … | head -1`
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (mut child, _) = import("examples/orders.csv").spawn();
    let mut first = [0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((exit_code(&mut child), said.as_str()), (Some(0), ""));
}
