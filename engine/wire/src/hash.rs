//! The content hash: is a second command under one id the same command?
//!
//! Frozen, as outcomes are found by it forever (`golden/content_hash.json`). It runs over the decoded type and
//! data as tag, length, value: a 2-byte tag, a 4-byte length (both big-endian), the bytes. Structures nest, lists
//! repeat their tag in order, maps go by sorted name. What is absent or empty adds nothing, so a field may be
//! added later, with a tag of its own; a tag is never used again.

use super::command::{
    AmendData, AmendLine, CancelData, CancelLine, CommandData, Component, Delivery, DeliveryPart,
    ExchangeData, HoldData, Line, PayData, Payment, PlaceData, RecordData, RefundData, RefundLine, Relation,
    ReleaseHoldData, ReportData, ResolveStepData, Restock, ReturnData, ReturnLine, ShipmentState,
};
use sha2::{Digest, Sha256};

/// Names version 1 of this encoding; stands before everything else.
const PREFIX: &[u8] = b"retailflow.content.1\0";

/// SHA-256 over the type and data of a command.
#[must_use]
pub fn content_hash(data: &CommandData) -> [u8; 32] {
    Sha256::digest(encode(data)).into()
}

fn encode(data: &CommandData) -> Vec<u8> {
    let mut to = Writer(Vec::with_capacity(512));
    to.0.extend_from_slice(PREFIX);
    to.text(1, data.kind().as_str());
    to.nest(2, |to| match data {
        CommandData::Place(data) => place(to, data),
        CommandData::Cancel(CancelData { reason, lines, expected_version }) => {
            to.text(1, reason);
            to.list(2, lines, |to, line| {
                let CancelLine { line_id, quantity } = line;
                to.text(1, line_id);
                to.number(2, i64::from(*quantity));
            });
            to.version(*expected_version);
        }
        CommandData::Return(data) => returned(to, data),
        CommandData::Report(data) => report(to, data),
        CommandData::ResolveStep(data) => {
            let ResolveStepData { step, resolved_as, evidence, part, expected_version } = data;
            to.text(1, step.as_str());
            to.text(2, resolved_as.as_str());
            to.text(3, evidence);
            if let Some(part) = part {
                to.text(4, part);
            }
            to.version(*expected_version);
        }
        CommandData::Resume(d) => to.reason(d.reason.as_deref(), d.expected_version),
        CommandData::Compensate(d) => to.reason(d.reason.as_deref(), d.expected_version),
        CommandData::Archive(d) => to.reason(d.reason.as_deref(), d.expected_version),
        CommandData::Restore(d) => to.reason(d.reason.as_deref(), d.expected_version),
        CommandData::Refund(d) => refund(to, d),
        CommandData::Hold(d) => hold(to, d),
        CommandData::ReleaseHold(d) => release_hold(to, d),
        CommandData::Pay(d) => pay(to, d),
        CommandData::Amend(d) => amend(to, d),
        CommandData::Exchange(d) => exchange(to, d),
        CommandData::Record(d) => record(to, d),
    });
    to.0
}

// Structures are taken apart in full, so that a new field cannot be forgotten here.

fn place(to: &mut Writer, data: &PlaceData) {
    let PlaceData {
        customer,
        currency,
        lines,
        components,
        payments,
        delivery,
        placed_at,
        available_from,
        deliveries,
        attributes,
        sealed,
        relates_to,
        expected_version,
    } = data;
    to.text(1, customer);
    to.text(2, currency.code());
    to.list(3, lines, line);
    to.list(4, components, component);
    to.list(5, payments, payment);
    to.list(6, delivery, delivered);
    if let Some(time) = placed_at {
        to.number(7, time.0);
    }
    to.list(8, attributes, |to, (name, value)| {
        to.text(1, name);
        to.text(2, value);
    });
    to.list(9, sealed, |to, sealed| {
        to.text(1, &sealed.key_id);
        to.text(2, &sealed.ciphertext_base64);
    });
    to.list(10, relates_to, |to, relation| {
        let Relation { kind, order } = relation;
        to.text(1, kind.as_str());
        to.text(2, order.as_str());
    });
    if let Some(time) = available_from {
        to.number(11, time.0);
    }
    to.list(12, deliveries, |to, part| {
        let DeliveryPart { line_ids, method, address_ref, available_from } = part;
        to.list(1, line_ids, |to, line_id| to.text(1, line_id));
        for (tag, text) in [(2, method), (3, address_ref)] {
            if let Some(text) = text {
                to.text(tag, text);
            }
        }
        if let Some(time) = available_from {
            to.number(4, time.0);
        }
    });
    to.version(*expected_version);
}

fn line(to: &mut Writer, line: &Line) {
    let Line { line_id, sku, quantity, amount_minor, components } = line;
    to.text(1, line_id);
    to.text(2, sku);
    to.number(3, i64::from(*quantity));
    to.number(4, amount_minor.minor());
    to.list(5, components, component);
}

fn component(to: &mut Writer, part: &Component) {
    let Component { kind, amount_minor } = part;
    to.text(1, kind.as_str());
    to.number(2, amount_minor.minor());
}

fn returned(to: &mut Writer, data: &ReturnData) {
    let ReturnData { lines, restock, fee_minor, reason, expected_version } = data;
    to.text(1, reason);
    to.list(2, lines, return_line);
    to.optional_text(3, restock.map(Restock::as_str));
    if let Some(fee) = fee_minor {
        to.number(4, fee.minor());
    }
    to.version(*expected_version);
}

fn return_line(to: &mut Writer, line: &ReturnLine) {
    let ReturnLine { line_id, quantity, amount_minor, restock, condition } = line;
    to.text(1, line_id);
    to.number(2, i64::from(*quantity));
    if let Some(amount) = amount_minor {
        to.number(3, amount.minor());
    }
    to.optional_text(4, restock.map(Restock::as_str));
    to.optional_text(5, condition.as_deref());
}

fn report(to: &mut Writer, data: &ReportData) {
    let ReportData {
        step,
        reference,
        outcome,
        reason,
        amount_minor,
        lines,
        until,
        shipment,
        expected_version,
    } = data;
    to.text(1, step.as_str());
    to.text(2, reference);
    to.text(3, outcome.as_str());
    to.optional_text(4, reason.as_deref());
    if let Some(amount) = amount_minor {
        to.number(5, amount.minor());
    }
    to.list(6, lines, return_line);
    if let Some(time) = until {
        to.number(7, time.0);
    }
    to.optional_text(8, shipment.map(ShipmentState::as_str));
    to.version(*expected_version);
}

fn payment(to: &mut Writer, part: &Payment) {
    let Payment { payment_id, token_ref, amount_minor } = part;
    to.text(1, payment_id);
    to.text(2, token_ref);
    to.number(3, amount_minor.minor());
}

fn delivered(to: &mut Writer, delivery: &Delivery) {
    let Delivery { method, address_ref } = delivery;
    to.text(1, method);
    to.optional_text(2, address_ref.as_deref());
}

fn refund(to: &mut Writer, data: &RefundData) {
    let RefundData { amount_minor, components, lines, payment_id, reason, expected_version } = data;
    to.number(1, amount_minor.minor());
    to.list(2, components, component);
    to.list(3, lines, |to, line| {
        let RefundLine { line_id, amount_minor } = line;
        to.text(1, line_id);
        to.number(2, amount_minor.minor());
    });
    to.optional_text(4, payment_id.as_deref());
    to.text(5, reason);
    to.version(*expected_version);
}

fn pay(to: &mut Writer, data: &PayData) {
    let PayData { payments, reason, expected_version } = data;
    to.list(1, payments, payment);
    to.optional_text(2, reason.as_deref());
    to.version(*expected_version);
}

fn record(to: &mut Writer, data: &RecordData) {
    let RecordData {
        kind,
        amount_minor,
        reference,
        payment_id,
        line_id,
        happened_at,
        reason,
        expected_version,
    } = data;
    to.text(1, kind.as_str());
    to.number(2, amount_minor.minor());
    to.text(3, reference);
    to.optional_text(4, payment_id.as_deref());
    to.optional_text(5, line_id.as_deref());
    if let Some(time) = happened_at {
        to.number(6, time.0);
    }
    to.optional_text(7, reason.as_deref());
    to.version(*expected_version);
}

fn amend(to: &mut Writer, data: &AmendData) {
    let AmendData { lines, add_lines, delivery, attributes, note, payments, reason, expected_version } = data;
    to.list(1, lines, |to, line| {
        let AmendLine { line_id, quantity, amount_minor } = line;
        to.text(1, line_id);
        to.number(2, i64::from(*quantity));
        if let Some(amount) = amount_minor {
            to.number(3, amount.minor());
        }
    });
    to.list(2, add_lines, line);
    to.list(3, delivery, delivered);
    to.list(4, attributes, |to, (name, value)| {
        to.text(1, name);
        to.text(2, value);
    });
    to.optional_text(5, note.as_deref());
    to.list(6, payments, payment);
    to.text(7, reason);
    to.version(*expected_version);
}

fn exchange(to: &mut Writer, data: &ExchangeData) {
    let ExchangeData { lines, add_lines, payments, reason, expected_version } = data;
    to.list(1, lines, return_line);
    to.list(2, add_lines, line);
    to.list(3, payments, payment);
    to.text(4, reason);
    to.version(*expected_version);
}

fn hold(to: &mut Writer, data: &HoldData) {
    let HoldData { name, reason, until, expected_version } = data;
    to.text(1, name);
    to.text(2, reason);
    if let Some(time) = until {
        to.number(3, time.0);
    }
    to.version(*expected_version);
}

fn release_hold(to: &mut Writer, data: &ReleaseHoldData) {
    let ReleaseHoldData { name, reason, expected_version } = data;
    to.text(1, name);
    to.optional_text(2, reason.as_deref());
    to.version(*expected_version);
}

/// The tag that `expected_version` has in every structure.
const VERSION_TAG: u16 = 1000;

struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, tag: u16, value: &[u8]) {
        self.0.extend_from_slice(&tag.to_be_bytes());
        self.0.extend_from_slice(&length(value.len()));
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, tag: u16, text: &str) {
        self.bytes(tag, text.as_bytes());
    }

    fn optional_text(&mut self, tag: u16, text: Option<&str>) {
        if let Some(text) = text {
            self.text(tag, text);
        }
    }

    fn number(&mut self, tag: u16, number: i64) {
        self.bytes(tag, &number.to_be_bytes());
    }

    fn version(&mut self, version: Option<u64>) {
        if let Some(version) = version {
            self.bytes(VERSION_TAG, &version.to_be_bytes());
        }
    }

    fn reason(&mut self, reason: Option<&str>, expected_version: Option<u64>) {
        self.optional_text(1, reason);
        self.version(expected_version);
    }

    fn nest(&mut self, tag: u16, fill: impl FnOnce(&mut Self)) {
        self.bytes(tag, &[]);
        let start = self.0.len();
        fill(self);
        let filled = length(self.0.len() - start);
        self.0[start - filled.len()..start].copy_from_slice(&filled);
    }

    fn list<T>(&mut self, tag: u16, list: impl IntoIterator<Item = T>, fill: impl Fn(&mut Self, T)) {
        for element in list {
            self.nest(tag, |to| fill(to, element));
        }
    }
}

fn length(bytes: usize) -> [u8; 4] {
    // The limits of the contract keep everything far below.
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}
