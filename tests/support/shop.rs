//! A shop that places orders, cancels and takes back, through kills of what it talks to; and what must then be true.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::Client;
use super::poll::wait_for;

/// No command waits for its outcome any longer.
const BOUND: Duration = Duration::from_secs(120);
/// Orders are at rest within this.
const REST_WITHIN: Duration = Duration::from_secs(180);
const SKUS: [&str; 5] = ["cd", "lp", "book", "poster", "mug"];
/// So many orders later, one is looked at again: to cancel it at once, or to send something of it back when it may have ended.
const CANCELED_AFTER: usize = 1;
const RETURNED_AFTER: usize = 12;

#[derive(Debug, Clone)]
struct Command {
    order: String,
    kind: &'static str,
    id: String,
    body: Value,
}

/// Units by SKU.
pub(crate) type Units = BTreeMap<String, u64>;

/// One customer after another.
pub(crate) struct Shop {
    tenant: &'static str,
    name: String,
    rng: fastrand::Rng,
    /// What was placed, in this order.
    placed: Vec<Command>,
    next: VecDeque<Command>,
    sent: u64,
    /// Of each order: the units of each return that was applied.
    returned: BTreeMap<String, Vec<Units>>,
}

impl Shop {
    /// One whose orders are called `<name>-<number>`.
    pub(crate) fn new(tenant: &'static str, name: &str, seed: u64) -> Self {
        Self {
            tenant,
            name: name.to_owned(),
            rng: fastrand::Rng::with_seed(seed),
            placed: Vec::new(),
            next: VecDeque::new(),
            sent: 0,
            returned: BTreeMap::new(),
        }
    }

    /// Sends one command after another, until `is_over` or the connection is lost. One without an outcome is sent again the next time.
    pub(crate) fn work(&mut self, address: &str, mut is_over: impl FnMut(u64) -> bool) {
        let mut client = Client::new(address);
        while !is_over(self.sent) {
            if self.next.is_empty() {
                self.draw();
            }
            let command = self.next[0].clone();
            let Some(status) = send(&mut client, self.tenant, &command) else { return };
            if status == 200 && command.kind == "return" {
                let units = units(&self.placed_as(&command.order)["lines"], &command.body["lines"]);
                self.returned.entry(command.order).or_default().push(units);
            }
            self.next.pop_front();
            self.sent += 1;
        }
    }

    fn placed_as(&self, order: &str) -> &Value {
        &self.placed.iter().find(|command| command.order == order).unwrap().body
    }

    /// A new order, and what becomes of older ones.
    fn draw(&mut self) {
        let number = self.placed.len();
        let order = format!("{}-{number}", self.name);
        let lines: Vec<Value> = (0..self.rng.usize(1..4))
            .map(|line| {
                let (sku, quantity) = (SKUS[self.rng.usize(..SKUS.len())], self.rng.u64(1..6));
                json!({"line_id": line.to_string(), "sku": sku, "quantity": quantity, "amount_minor": quantity * 199})
            })
            .collect();
        let total: u64 = lines.iter().map(|line| line["amount_minor"].as_u64().unwrap()).sum();
        let token = if self.rng.u8(..8) == 0 { "tok_declined" } else { "tok_1" };
        let currency = if self.rng.bool() { "USD" } else { "JPY" };
        let payments = [json!({"payment_id": "1", "token_ref": token, "amount_minor": total})];
        let body = json!({"customer": "c\u{e9}line & co", "currency": currency, "lines": lines, "payments": payments});
        let place = Command { id: format!("place-{order}"), order, kind: "place", body };
        self.placed.push(place.clone());
        self.next.push_back(place);
        if self.rng.u8(..3) == 0 && number >= CANCELED_AFTER {
            let of = number - self.rng.usize(..=CANCELED_AFTER);
            self.more(of, "cancel", json!({"reason": "changed <my> mind"}));
        }
        if self.rng.u8(..3) == 0 && number >= RETURNED_AFTER {
            let of = number - RETURNED_AFTER;
            let lines = self.placed[of].body["lines"].as_array().unwrap().clone();
            let line = &lines[self.rng.usize(..lines.len())];
            let units = self.rng.u64(1..=line["quantity"].as_u64().unwrap());
            let part = json!({"line_id": line["line_id"], "quantity": units});
            self.more(of, "return", json!({"reason": "too large", "lines": [part]}));
        }
    }

    fn more(&mut self, of: usize, kind: &'static str, body: Value) {
        let order = self.placed[of].order.clone();
        let id = format!("{kind}-{}", self.sent + self.next.len() as u64);
        self.next.push_back(Command { order, kind, id, body });
    }

    /// Sends what has no outcome yet, waits until all orders are at rest, and gives them.
    pub(crate) fn at_rest(&mut self, address: &str) -> Vec<Ended> {
        self.work_off(address);
        let mut client = Client::new(address);
        let mut all = Vec::new();
        for place in &self.placed {
            let path = format!("/v1/tenants/{}/orders/{}", self.tenant, place.order);
            let view = wait_for(&format!("{} is at rest", place.order), REST_WITHIN, || {
                let answer = client.get(&path).ok().filter(|answer| answer.status == 200)?.json();
                let is_over = answer["status"] == "completed" || answer["status"] == "canceled";
                (is_over && answer["step"].is_null()).then_some(answer)
            });
            let returned = self.returned.get(&place.order).cloned().unwrap_or_default();
            let ordered = units(&place.body["lines"], &place.body["lines"]);
            all.push(Ended { order: place.order.clone(), view, ordered, returned });
        }
        all
    }

    fn work_off(&mut self, address: &str) {
        let until = self.sent + self.next.len() as u64;
        self.work(address, |sent| sent >= until);
        assert!(self.next.is_empty(), "the connection was lost");
    }
}

/// An order that is at rest.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) order: String,
    /// As its callers see it.
    pub(crate) view: Value,
    /// What was ordered.
    pub(crate) ordered: Units,
    /// What came back, by return.
    pub(crate) returned: Vec<Units>,
}

impl Ended {
    pub(crate) fn is_canceled(&self) -> bool {
        self.view["status"] == "canceled"
    }
}

/// The units of `parts`, by the SKUs of the lines that they name.
fn units(lines: &Value, parts: &Value) -> Units {
    let mut units = Units::new();
    for part in parts.as_array().unwrap() {
        let line = lines.as_array().unwrap().iter().find(|line| line["line_id"] == part["line_id"]).unwrap();
        *units.entry(line["sku"].as_str().unwrap().to_owned()).or_default() +=
            part["quantity"].as_u64().unwrap();
    }
    units
}

/// The status of a command's outcome; nothing when the connection is lost.
fn send(client: &mut Client, tenant: &str, command: &Command) -> Option<u16> {
    let path = format!("/v1/tenants/{tenant}/orders/{}/commands", command.order);
    let kind = format!("retailflow.order.{}.v1", command.kind);
    let headers =
        [("Content-Type", "application/json"), ("Ce-Type", &*kind), ("Idempotency-Key", &*command.id)];
    let body = command.body.to_string();
    wait_for(&format!("an outcome of {}", command.id), BOUND, || {
        let Ok(answer) = client.post(&path, &headers, &body) else { return Some(None) };
        match answer.status {
            200 | 422 => Some(Some(answer.status)),
            // It has no outcome yet.
            429 | 503 | 504 => None,
            _ => panic!("{command:?}: {answer:?}"),
        }
    })
}
