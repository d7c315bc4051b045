//! `import`, from the file to the lines on standard output.

use std::io::Read;

use serde_json::Value;

use crate::support::cli::{Call, exit_code, file, repository, retailflow};

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
