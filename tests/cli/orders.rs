//! `order show`, `list` and `search` on a data directory: what people read of an order, and how they find it.

use serde_json::{Value, json};

use crate::support::parked::two_parked;
use crate::support::world::World;

fn command(kind: &str, order: &str, id: &str, data: &Value) -> String {
    let command = json!({
        "specversion": "1.0", "id": id, "source": "/test", "type": format!("retailflow.order.{kind}.v1"), "tenant": "t",
        "subject": order, "data": data,
    });
    format!("{command}\n")
}

fn paid_by(token: &str, amount_minor: i64) -> Value {
    json!([{ "payment_id": "card", "token_ref": token, "amount_minor": amount_minor }])
}

/// An order that is completed and came back in part, one that is canceled, and a dear one.
fn shop() -> World {
    let world = World::new();
    let full = json!({
        "customer": "c-1", "currency": "USD",
        "lines": [
            { "line_id": "A", "sku": "cd", "quantity": 2, "amount_minor": 2000 },
            { "line_id": "B", "sku": "lp", "quantity": 1, "amount_minor": 1500 },
        ],
        "components": [{ "kind": "discount", "amount_minor": -500 }, { "kind": "shipping", "amount_minor": 300 }],
        "payments": paid_by("tok_ok", 3300),
        "delivery": { "method": "post" },
    });
    let of = |currency: &str, token: &str, amount_minor: i64| {
        let lines = json!([{ "line_id": "1", "sku": "a", "quantity": 1, "amount_minor": amount_minor }]);
        json!({ "customer": "c", "currency": currency, "lines": lines, "payments": paid_by(token, amount_minor) })
    };
    let commands = command("place", "full", "p-1", &full)
        + &command("place", "declined", "p-2", &of("EUR", "tok_declined", 700))
        + &command("place", "dear", "p-3", &of("EUR", "tok_ok", 900_000));
    world.run(&world.file("commands", commands)).run().expect(0);
    let back = json!({ "lines": [{ "line_id": "A", "quantity": 1 }], "reason": "too loud" });
    world.run(&world.file("more", command("return", "full", "r-1", &back))).run().expect(0);
    world
}

/// Times and participants' references are others each time.
fn masked(text: &str) -> String {
    let is_time =
        |word: &str| word.len() >= 24 && word.contains('T') && word.trim_end_matches(',').ends_with('Z');
    let line = |line: &str| {
        let mut last = "";
        let word = |word: &str| {
            let masked = match last {
                "as" => "REF".to_owned(),
                _ if is_time(word) => "TIME".to_owned(),
                _ => word.to_owned(),
            };
            last = if word == "as" { "as" } else { "" };
            masked
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

const FULL: &str = "\
order      t/full
status     completed
attention  none
next act   none: it is completed, and may be returned
version    8
customer   c-1
total      33.00 USD
money      authorized 0.00 USD, captured 33.00 USD, refunded 8.57 USD, left to refund 24.43 USD
payment    card: 33.00 USD by tok_ok, partly_refunded, captured 33.00 USD, refunded 8.57 USD, as REF
shipment   1: booked, as REF
line       A: 2 x cd, 20.00 USD, allocated -1.15 USD, returned 1 for 8.57 USD
line       B: 1 x lp, 15.00 USD, allocated -0.85 USD
beside     discount: -5.00 USD
beside     shipping: 3.00 USD
goods      3 units ordered, 3 reserved, 3 booked, 1 returned
delivery   post
step       reserve done as REF at TIME
step       authorize done as REF at TIME
step       book done as REF at TIME
step       capture done as REF at TIME
step       refund of r1 done as REF at TIME
step       restock of r1 done as REF at TIME
recorded   TIME
changed    TIME
";

const DECLINED: &str = "\
order      t/declined
status     canceled
attention  none
next act   none: it is canceled
canceled   REASON
version    4
customer   c
total      7.00 EUR
money      authorized 0.00 EUR, captured 0.00 EUR, refunded 0.00 EUR, left to refund 0.00 EUR
payment    card: 7.00 EUR by tok_declined, declined
line       1: 1 x a, 7.00 EUR
goods      1 unit ordered
step       reserve done as REF at TIME
step       authorize declined at TIME
step       release done as REF at TIME
recorded   TIME
changed    TIME
";

#[test]
fn an_order_is_shown_with_its_money_its_parts_and_its_steps() {
    let world = shop();
    let shown = |order: &str| masked(&world.on_data(&["order", "show", "t", order]).run().expect(0).stdout);
    assert_eq!(shown("full"), FULL);
    let declined = shown("declined");
    let reason = declined.lines().find_map(|line| line.strip_prefix("canceled   ")).unwrap().to_owned();
    assert!(reason.contains("authorize"), "{reason}");
    assert_eq!(declined.replace(&reason, "REASON"), DECLINED);
    let json: Value = serde_json::from_str(
        &world.on_data(&["order", "show", "t", "full", "-o", "json"]).run().expect(0).stdout,
    )
    .unwrap();
    assert_eq!(
        (&json["lines"][0]["returned_units"], &json["lines"][0]["returned_minor"]),
        (&json!(1), &json!(857))
    );
    assert_eq!(json["lines"][1].get("returned_units"), None);
}

#[test]
fn orders_are_listed_page_by_page() {
    let world = shop();
    let list = |words: &[&str]| world.on_data(&[&["order", "list", "t"][..], words].concat()).run();
    let all = list(&[]).expect(0);
    let names: Vec<&str> = all.lines().iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names.len(), 3, "{}", all.stdout);
    let dear = all.lines().iter().find(|line| line.starts_with("dear ")).unwrap().to_string();
    assert!(dear.contains("completed") && dear.contains("9000.00 EUR"), "{dear}");
    let canceled = list(&["--status", "canceled"]).expect(0);
    assert!(canceled.stdout.starts_with("declined ") && canceled.lines().len() == 1, "{}", canceled.stdout);
    assert_eq!(list(&["--attention", "held"]).expect(0).stdout, "");
    list(&["--status", "lost"]).expect(2).says(&["expected one of open, completed, canceling, canceled"]);

    let (mut seen, mut after) = (Vec::new(), None::<String>);
    for _ in 0..3 {
        let words = [
            &["-o", "json", "--limit", "1"][..],
            &after.iter().flat_map(|at| ["--after", at.as_str()]).collect::<Vec<_>>(),
        ];
        let page: Value = serde_json::from_str(&list(&words.concat()).expect(0).stdout).unwrap();
        assert_eq!(page["schema"], "retailflow.orders.v1");
        seen.push(page["orders"][0]["order"].as_str().unwrap().to_owned());
        after = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!((seen, after), (names.iter().map(|name| (*name).to_owned()).collect(), None));
    list(&["--after", "nonsense"]).expect(2).says(&["--after"]);
    assert_eq!(world.on_data(&["order", "list", "nobody"]).run().expect(0).stdout, "");
    world.on("none", &["order", "list", "t"]).run().expect(3).says(&["there is no data directory"]);
}

#[test]
fn orders_are_found_by_what_the_lists_have() {
    let world = shop();
    let search = |words: &[&str]| world.on_data(&[&["order", "search", "t"][..], words].concat()).run();
    let finds = |words: &[&str], wanted: &[&str]| {
        let found = search(words).expect(0);
        let mut names: Vec<&str> =
            found.lines().iter().map(|line| line.split_whitespace().next().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, wanted, "{words:?}");
    };
    finds(&["--currency", "EUR"], &["dear", "declined"]);
    finds(&["--order", "de"], &["dear", "declined"]);
    finds(&["--total-min", "3300", "--total-max", "3300"], &["full"]);
    finds(&["--status", "completed", "--updated-from", "2020-01-01T00:00:00Z"], &["dear", "full"]);
    search(&["--created-before", "2020-01-01T00:00:00Z"])
        .expect(1)
        .says(&["none of 3 orders of t is like that"]);
    search(&["--step", "capture"]).expect(1);
    search(&["--currency", "EURO"]).expect(2);
    search(&["--created-from", "yesterday"]).expect(2);
    let one = search(&["--limit", "1", "-o", "json"]).expect(0).says(&["there are more"]);
    let one: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!((one["orders"].as_array().unwrap().len(), &one["more"]), (1, &json!(true)));

    let (world, _) = two_parked();
    let parked = world.on_data(&["order", "search", "t", "--reason", "CRASHES"]).run().expect(0);
    assert!(
        parked.stdout.starts_with("o1 ") && parked.stdout.contains("parked: it crashes"),
        "{}",
        parked.stdout
    );
    let shown = world.on_data(&["order", "show", "t", "o1"]).run().expect(0).stdout;
    let next =
        "next act   an operator's: `retailflow parked show t o1`, then `retailflow parked release t o1`\n";
    assert!(shown.contains("attention  parked: it crashes\n") && shown.contains(next), "{shown}");
}
