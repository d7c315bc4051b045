//! Pages of data that would be markup, were it not escaped.

use maud::{Markup, html};
use retailflow_engine::metric::{self, Metric};
use retailflow_engine::ports::{OrderCounts, OrderPage};
use retailflow_engine::wire::admin::{ParkedList, ReleaseReport};
use retailflow_engine::wire::order::{HistoryEntry, OrderView};
use retailflow_engine::wire::order_list::OrderSummary;
use retailflow_engine::wire::{Code, Outcome};
use retailflow_testkit::author;
use serde_json::{Value, json};

use super::html::{path, show_hidden};
use super::page::Page;
use super::{order, orders, overview, parked};
use crate::answer::Refusal;
use crate::numbers::{MetricValue, Numbers};

/// Markup that begins within text, within an attribute and within a tag.
const PLANTED: &str = "\"'><script>alert(1)</script><b x=' &amp;";
const TIME: &str = "1997-01-12T00:00:00Z";

/// Fails unless the page holds the planted text so often, escaped, and no markup of it.
#[track_caller]
fn is_clean(body: Markup, times: usize) {
    let text = Page::new("A page", body).document();
    let escaped = html! { (PLANTED) }.into_string();
    assert_eq!(text.matches(&escaped).count(), times, "{text}");
    assert!(!text.contains("<script") && !text.contains("<b "), "{text}");
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[test]
fn an_order_is_shown_and_escaped() {
    let view: OrderView = from(json!({
        "schema": "retailflow.order.v1", "tenant": "shop", "order": "o-1", "version": 3,
        "status": "open", "step": "capture", "attention": "held", "attention_reason": PLANTED,
        "payment": {"authorized_minor": 1177, "captured_minor": 0, "refunded_minor": 0},
        "fulfillment": {"ordered_units": 1, "reserved_units": 1, "booked_units": 0, "short_units": 0},
        "returns": {"returned_units": 0, "amount_minor": 0},
        "customer": "CUSTOMER", "currency": "USD", "total_minor": 1177,
        "lines": [{"line_id": PLANTED, "sku": PLANTED, "quantity": 1, "amount_minor": 1177}],
        "payments": [{"payment_id": "p", "token_ref": "TOKEN", "amount_minor": 1177, "state": "authorized",
            "authorized_minor": 1177, "captured_minor": 0, "voided_minor": 0, "refunded_minor": 0}],
        "delivery": {"method": "METHOD", "address_ref": "ADDRESS"}, "attributes": {"NAME": "TEXT"},
        "created_at": TIME, "updated_at": TIME, "next_deadline": "1997-01-12T00:15:00.250Z",
    }));
    // Ids and sources are printable ASCII, and may hold markup.
    let entry: HistoryEntry = from(json!({
        "decision": 1, "version": 1, "at": TIME, "command_id": PLANTED.replace(' ', "_"),
        "source": "/<script>", "type": "retailflow.order.place.v1", "status": "rejected",
        "code": "over_return", "message": PLANTED, "events": [PLANTED, "capture asked for, attempt 2"],
    }));
    let own: HistoryEntry = from(json!({
        "decision": 2, "version": 2, "at": TIME, "type": "retailflow.engine.step-outcome.v1",
        "status": "applied", "code": "applied", "message": "", "events": ["capture done"],
    }));
    let text = Page::new("x", order::body(&view, &[entry.clone(), own.clone()])).document();
    let seen = ["11.77 USD", "capture", "1997-01-12 00:15:00Z", ">place<", "attempt 2", ">step-outcome<"];
    for wanted in seen.into_iter().chain(["by the engine", "over_return", "held", "/&lt;script&gt;"]) {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    for hidden in ["CUSTOMER", "TOKEN", "METHOD", "ADDRESS", "NAME", "TEXT"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    is_clean(order::body(&view, &[entry, own]), 5);
}

#[test]
fn lists_are_escaped() {
    let summary: OrderSummary = from(json!({
        "tenant": "shop", "order": "o-1", "version": 1, "status": "open", "attention": "held",
        "attention_reason": PLANTED, "currency": "JPY", "total_minor": 5,
        "created_at": TIME, "updated_at": TIME,
    }));
    let found = OrderPage { orders: vec![summary], next: Some("a&b=\"<".into()), position: PLANTED.into() };
    let asked = orders::Asked { tenant: PLANTED.into(), ..orders::Asked::default() };
    let text = Page::new("x", orders::body(&asked, &found)).document();
    assert!(text.contains("5 JPY") && text.contains("after=a%26b%3D%22%3C"), "{text}");
    is_clean(orders::body(&asked, &found), 2);
}

#[test]
fn parked_orders_are_escaped() {
    let list: ParkedList = from(json!({
        "schema": "retailflow.parked.v1", "next": "shop/o-1",
        "orders": [{"tenant": "shop", "order": "o-1", "reason": PLANTED, "queued": 2}],
    }));
    is_clean(parked::list_body(&list), 1);
    is_clean(parked::ask_body(&list.orders[0]), 1);
    let report: ReleaseReport = from(json!({
        "schema": "retailflow.release.v1", "commands": 2, "applied": 2, "rejected": 0, "replayed": 0,
        "dead_lettered": 0,
    }));
    is_clean(parked::done_body(&author::order("shop", "o-1"), &report), 0);
}

#[test]
fn numbers_reasons_and_tenants_are_escaped() {
    let one = |metric: &Metric, labels: &[&str], value| MetricValue {
        name: metric.name.to_owned(),
        labels: labels.iter().map(|name| ((*name).to_owned(), PLANTED.to_owned())).collect(),
        value,
    };
    let numbers = Numbers(vec![
        one(&metric::COMMANDS, &["status"], 1.0),
        one(&metric::REFUSED, &["code"], 1.0),
        one(&metric::BUILD, &["version"], 1.0),
        one(&metric::DURABILITY, &["class", "replicas"], 1.0),
    ]);
    let now = overview::Now {
        reasons: vec![PLANTED.into()],
        numbers,
        connections: 1,
        streams: 0,
        all: Some(OrderCounts::default()),
        tenants: vec![(PLANTED.into(), OrderCounts::default())],
        more: 0,
    };
    is_clean(overview::body(&now, true), 7);
}

#[test]
fn what_is_refused_is_escaped_and_so_is_the_title() {
    let outcome = Outcome::unaddressed(Code::InvalidField, PLANTED);
    let page = Page::from(Refusal::from(outcome).at(PLANTED));
    let text = page.document();
    assert!(text.contains("invalid_field") && !text.contains("<script"), "{text}");
    let text = Page::new(PLANTED, Markup::default()).document();
    assert!(!text.contains("<script"), "{text}");
}

#[test]
fn what_cannot_be_seen_is_shown() {
    let (hidden, seen) = ("a\u{202e}b\u{0}c\u{200b}d\ne é", "a\\u{202e}b\\u{0}c\\u{200b}d\ne é");
    assert_eq!(show_hidden(hidden.to_owned()), seen);
    let body = html! { p title=(hidden) { (hidden) } };
    assert_eq!(Page::new(hidden, body).document().matches(seen).count(), 4);
    assert!(!show_hidden(Page::new("A page", Markup::default()).document()).contains("\\u"));
    assert_eq!(path("/console", &[]), "/console");
    assert_eq!(path("/console", &[("a", "1&2"), ("b", "é")]), "/console?a=1%262&b=%C3%A9");
}
