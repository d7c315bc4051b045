//! `import --preset`: the exports of shops, each tried on a file made by hand (`examples/exports`).

use std::path::Path;

use serde_json::{Value, json};

use crate::support::cli::{Call, Ended, file, repository, retailflow};
use crate::support::world::World;

fn import(preset: &str, csv: &str) -> Call {
    retailflow(&["import", "--tenant", "shop", "--preset", preset, "--csv", csv])
}

fn commands(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Orders, with their lines' amounts, components, total and currency.
fn placed(ended: &Ended) -> Vec<Value> {
    let pairs = |parts: &Value| -> Vec<Value> {
        let parts = parts.as_array().map_or(&[][..], Vec::as_slice).iter();
        parts.map(|part| json!([part["kind"], part["amount_minor"]])).collect()
    };
    let one = |command: &Value| {
        let data = &command["data"];
        let lines: Vec<Value> = data["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| {
                json!([line["sku"], line["quantity"], line["amount_minor"], pairs(&line["components"])])
            })
            .collect();
        json!([command["subject"], data["currency"], lines, pairs(&data["components"])])
    };
    commands(&ended.stdout).iter().map(one).collect()
}

#[test]
fn shopify() {
    let ended = import("shopify", "examples/exports/shopify.csv").run().expect(1).says(&[
        "line 4: of order \"1002\": its refund of 11.90 EUR is left out",
        "line 5, column \"Cancelled at\": \"2026-03-02 13:00:00 +0100\": the shop canceled the order",
        "3 orders, 4 lines, 5 units; 1 row rejected, 1 refund left out",
        "EUR: 2 orders, 69.90 EUR",
        "discounts         -5.00 EUR",
        "shipping          4.90 EUR",
        "taxes             8.10 EUR",
        "JPY: 1 order, 1350 JPY",
    ]);
    assert_eq!(
        placed(&ended),
        [
            json!([
                "1001",
                "EUR",
                [["MUG-1", 2, 3000, []], ["POT-7", 1, 2000, []]],
                [["discount", -500], ["shipping", 490], ["tax", 810]]
            ]),
            json!(["1002", "EUR", [["Tea towel", 1, 1190, []]], []]),
            json!(["1004", "JPY", [["MUG-1", 1, 1350, [["goods", 1500], ["discount", -150]]]], []]),
        ]
    );
    let commands = commands(&ended.stdout);
    assert_eq!(commands[1]["data"]["attributes"]["tax_included_minor"], "190");
    let time = commands[0]["data"]["placed_at"].as_str().unwrap();
    assert!(time.starts_with("2026-03-02T08:15:08"), "{time}");
    assert_eq!(commands[2]["data"]["customer"], "guest");
    // Nobody's address is written where it stays for ever.
    assert!(!ended.stdout.contains("example.com"), "{}", ended.stdout);
}

#[test]
fn woocommerce() {
    let folder = tempfile::tempdir().unwrap();
    let returns = folder.path().join("returns.jsonl");
    let call =
        import("woocommerce", "examples/exports/woocommerce.csv").arg("--time-zone").arg("Europe/Berlin");
    let ended = call.arg("--returns").arg(&returns).run().expect(1).says(&[
        "line 4, column \"Order Status\": \"Cancelled\": the shop canceled the order",
        "of order \"2003\": its refund of 4.90 EUR is left out",
        "1 row rejected, 1 return written, 1 refund left out",
    ]);
    assert_eq!(
        placed(&ended),
        [
            json!([
                "2001",
                "EUR",
                [["MUG-1", 2, 3000, []], ["POT-7", 1, 2000, []]],
                [["discount", -500], ["shipping", 490], ["tax", 810]]
            ]),
            json!(["2003", "EUR", [["MUG-1", 2, 3000, []]], [["shipping", 490]]]),
        ]
    );
    let returned = commands(&std::fs::read_to_string(&returns).unwrap());
    assert_eq!((returned.len(), &returned[0]["subject"]), (1, &"2001".into()));
    assert_eq!(returned[0]["data"]["lines"], json!([{"line_id": "1", "quantity": 1, "amount_minor": 1500}]));
    // What is written is what `run` takes.
    let world = World::new();
    let places = world.file("places", &ended.stdout);
    world.run(&places).run().expect(0);
    world.run(returns.to_str().unwrap()).run().expect(0);
    world.expect_counts([1, 1, 0, 0, 0, 0, 0]);
    // Without a place for it, it is left out and told.
    let ended = import("woocommerce", "examples/exports/woocommerce.csv").run().expect(1);
    ended.says(&["of order \"2001\": units of it came back", "give --returns FILE"]);
}

#[test]
fn magento() {
    let folder = tempfile::tempdir().unwrap();
    let returns = folder.path().join("returns.jsonl");
    let ended = import("magento", "examples/exports/magento.csv")
        .arg("--returns")
        .arg(&returns)
        .run()
        .expect(1)
        .says(&[
            "line 4, column \"status\": \"canceled\": the shop canceled the order",
            "2 orders, 3 lines, 5 units, 92.90 USD",
            "goods             80.00 USD",
        ]);
    assert_eq!(
        placed(&ended),
        [
            json!([
                "000000301",
                "USD",
                [
                    ["MUG-1", 2, 3213, [["goods", 3000], ["discount", -300], ["tax", 513]]],
                    ["POT-7", 1, 2097, [["goods", 2000], ["discount", -200], ["tax", 297]]]
                ],
                [["shipping", 490]]
            ]),
            json!(["000000303", "USD", [["MUG-1", 2, 3000, []]], [["shipping", 490]]]),
        ]
    );
    let returned = commands(&std::fs::read_to_string(&returns).unwrap());
    assert_eq!(returned[0]["data"]["lines"], json!([{"line_id": "2", "quantity": 1, "amount_minor": 2000}]));
}

/// The grid tells neither lines nor currency, and taxes and discounts only together.
#[test]
fn the_grid_of_magento() {
    let grid = || import("magento", "examples/exports/magento-grid.csv");
    grid().run().expect(2).says(&["no column says which currency", "--currency CODE"]);
    let usd = || grid().arg("--currency").arg("USD");
    let ended = usd()
        .run()
        .expect(1)
        .says(&["it adds up to 54.90, and the file says that it costs 58.00", "--rest-as"]);
    assert_eq!(placed(&ended), [json!(["000000303", "USD", [["item", 1, 3000, []]], [["shipping", 490]]])]);
    let ended = usd().arg("--rest-as").arg("tax").arg("--sku").arg("order").run().expect(1);
    let first = json!(["000000301", "USD", [["order", 1, 5000, []]], [["shipping", 490], ["tax", 310]]]);
    assert_eq!(placed(&ended)[0], first);
    ended.says(&["its refund of 20.00 USD is left out"]);
}

#[test]
fn amazon() {
    let report = || import("amazon", "examples/exports/amazon.txt");
    // Nothing in it says whether its taxes are in its prices.
    let ended = report().run().expect(1).says(&["say --tax included or --tax added"]);
    let towel = json!(["111-0000003-0000003", "USD", [["TOWEL-2", 1, 1190, []]], [["shipping", 490]]]);
    assert_eq!(placed(&ended), std::slice::from_ref(&towel));
    let ended = report().arg("--tax").arg("added").run().expect(1).says(&[
        "line 4, column \"order-status\": \"Cancelled\": the shop canceled the order",
        "1 row rejected",
    ]);
    let first = json!([
        "111-0000001-0000001",
        "USD",
        [
            ["MUG-1", 2, 2940, [["goods", 3000], ["discount", -300], ["tax", 240]]],
            ["POT-7", 1, 2160, [["goods", 2000], ["tax", 160]]]
        ],
        [["discount", -490], ["shipping", 490], ["fee", 300], ["tax", 63]]
    ]);
    assert_eq!(placed(&ended), [first, towel]);
    let ended = report().arg("--tax").arg("included").run().expect(1);
    assert_eq!(commands(&ended.stdout)[0]["data"]["attributes"]["tax_included_minor"], "463");
}

/// A column that the shop's administrators renamed is named like any other; what is missing is told.
#[test]
fn what_a_preset_does_not_find_is_named() {
    let text = std::fs::read_to_string(repository().join("examples/exports/shopify.csv")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = renamed(folder.path(), &text, "Lineitem price", "Price");
    import("shopify", &other).run().expect(2).says(&["there is no column \"Lineitem price\"", "\"Price\""]);
    let ended =
        import("shopify", &other).arg("--amount-column").arg("Price").arg("--amount-per").arg("unit").run();
    assert_eq!(ended.expect(1).lines().len(), 3);
    let other = renamed(folder.path(), &text, "Lineitem quantity", "Pieces");
    import("shopify", &other).run().expect(2).says(&["--quantity-column"]);
    // A total that the parts do not make is not explained away.
    let other = file(folder.path(), "other.csv", text.replace("8.10,58.00,", "8.10,58.01,"));
    let ended = import("shopify", &other)
        .run()
        .expect(1)
        .says(&["it adds up to 58.00, and the file says that it costs 58.01"]);
    assert_eq!(ended.lines().len(), 2);
}

fn renamed(folder: &Path, text: &str, from: &str, to: &str) -> String {
    file(folder, "renamed.csv", text.replace(from, to))
}
