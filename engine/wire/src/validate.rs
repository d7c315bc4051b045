//! What the shape of a command cannot say: lengths, ids given once, parts that add up.
//!
//! Nothing here looks at an order: what depends on one is decided, recorded and called a rejection.

use super::base64;
use super::code::Code;
use super::command::{
    CancelData, CommandData, Component, ComponentKind, Delivery, Line, Payment, PlaceData, ReportData,
    ReturnData, ReturnLine, Sealed,
};
use super::error::{DecodeError, shown};
use super::limits::*;
use crate::money::{Amount, MoneyError};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

pub(super) type Checked = Result<(), DecodeError>;

pub(super) fn fault(code: Code, path: impl Display, message: impl Into<String>) -> DecodeError {
    DecodeError::new(code, &path.to_string(), message)
}

/// Checks what the shape cannot say. Paths are relative to `data`.
///
/// # Errors
/// The first fault, without an address.
pub fn validate(data: &CommandData) -> Checked {
    match data {
        CommandData::Place(place) => place.validate(),
        CommandData::Cancel(CancelData { reason, lines, .. }) => {
            unique(lines.iter().map(|line| line.line_id.as_str()), "lines", "line_id")?;
            for (i, line) in lines.iter().enumerate() {
                name(format_args!("lines[{i}].line_id"), &line.line_id)?;
            }
            prose("reason", reason)
        }
        CommandData::Return(ReturnData { lines, reason, fee_minor, .. }) => {
            some_lines(lines.len())?;
            return_lines(lines)?;
            not_negative("fee_minor", fee_minor.unwrap_or_default())?;
            prose("reason", reason)
        }
        CommandData::Report(data) => {
            let ReportData { reference, reason, lines, amount_minor, .. } = data;
            name("reference", reference)?;
            data.check_until()?;
            data.check_shipment()?;
            not_negative("amount_minor", amount_minor.unwrap_or_default())?;
            return_lines(lines)?;
            reason.as_ref().map_or(Ok(()), |reason| prose("reason", reason))
        }
        CommandData::ResolveStep(data) => prose("evidence", &data.evidence),
        CommandData::Resume(d) => d.reason.as_ref().map_or(Ok(()), |reason| prose("reason", reason)),
        CommandData::Compensate(d) => d.reason.as_ref().map_or(Ok(()), |reason| prose("reason", reason)),
        CommandData::Archive(d) => d.reason.as_ref().map_or(Ok(()), |reason| prose("reason", reason)),
        CommandData::Restore(d) => d.reason.as_ref().map_or(Ok(()), |reason| prose("reason", reason)),
        CommandData::Refund(d) => d.validate(),
        CommandData::Hold(d) => d.validate(),
        CommandData::ReleaseHold(d) => d.validate(),
        CommandData::Pay(d) => d.validate(),
        CommandData::Amend(d) => d.validate(),
        CommandData::Exchange(d) => d.validate(),
        CommandData::Record(d) => d.validate(),
    }
}

impl PlaceData {
    /// What the order costs, in minor units: its lines and its own components.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`]; not after [`validate`].
    pub fn total_minor(&self) -> Result<Amount, MoneyError> {
        let lines = self.lines.iter().map(|line| line.amount_minor);
        Amount::sum(lines.chain(self.components.iter().map(|part| part.amount_minor)))
    }

    /// How many units are ordered.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity)).sum()
    }

    fn validate(&self) -> Checked {
        name("customer", &self.customer)?;
        some_lines(self.lines.len())?;
        unique(self.lines.iter().map(|line| line.line_id.as_str()), "lines", "line_id")?;
        for (i, line) in self.lines.iter().enumerate() {
            check_line("lines", i, line)?;
        }
        signs("components", &self.components)?;
        let total = self
            .total_minor()
            .map_err(|e| fault(Code::AmountOverflow, "lines", format!("the order's total: {e}")))?;
        if total.is_negative() {
            let text = format!("the order's total is {total}; it cannot be below zero");
            return Err(fault(Code::InvalidAmount, "components", text));
        }
        self.check_payments(total)?;
        check_delivery(self.delivery.as_ref())?;
        self.check_deliveries()?;
        check_attributes(&self.attributes)?;
        self.sealed.as_ref().map_or(Ok(()), Sealed::validate)
    }

    fn check_payments(&self, total: Amount) -> Checked {
        if self.payments.is_empty() {
            return Ok(());
        }
        check_each_payment(&self.payments)?;
        let parts = self.payments.iter().map(|payment| payment.amount_minor);
        add_up("payments", parts, total, "the order's total")?;
        if self.payments.len() > PAYMENTS_SUPPORTED_MAX {
            let text = format!("this version takes at most {PAYMENTS_SUPPORTED_MAX} payments an order");
            return Err(fault(Code::UnsupportedValue, "payments", text));
        }
        Ok(())
    }
}

impl Sealed {
    /// The bytes that were encrypted, or `None` where the text is not base64.
    #[must_use]
    pub fn ciphertext(&self) -> Option<Vec<u8>> {
        base64::decode(&self.ciphertext_base64)
    }

    fn validate(&self) -> Checked {
        let path = "sealed.ciphertext_base64";
        name("sealed.key_id", &self.key_id)?;
        if self.ciphertext_base64.len() > SEALED_MAX_CHARS {
            return Err(fault(
                Code::TooLong,
                path,
                format!("at most {SEALED_MAX_CHARS} characters are allowed"),
            ));
        }
        if self.ciphertext().is_none_or(|bytes| bytes.is_empty()) {
            return Err(fault(
                Code::InvalidField,
                path,
                "some base64 with padding (RFC 4648, section 4) is expected",
            ));
        }
        Ok(())
    }
}

pub(super) fn check_delivery(delivery: Option<&Delivery>) -> Checked {
    let Some(delivery) = delivery else { return Ok(()) };
    name("delivery.method", &delivery.method)?;
    delivery.address_ref.as_ref().map_or(Ok(()), |text| name("delivery.address_ref", text))
}

pub(super) fn check_each_payment(payments: &[Payment]) -> Checked {
    unique(payments.iter().map(|payment| payment.payment_id.as_str()), "payments", "payment_id")?;
    for (i, payment) in payments.iter().enumerate() {
        name(format_args!("payments[{i}].payment_id"), &payment.payment_id)?;
        name(format_args!("payments[{i}].token_ref"), &payment.token_ref)?;
        not_negative(format_args!("payments[{i}].amount_minor"), payment.amount_minor)?;
    }
    Ok(())
}

pub(super) fn check_line(list: &str, i: usize, line: &Line) -> Checked {
    name(format_args!("{list}[{i}].line_id"), &line.line_id)?;
    name(format_args!("{list}[{i}].sku"), &line.sku)?;
    not_negative(format_args!("{list}[{i}].amount_minor"), line.amount_minor)?;
    if line.components.is_empty() {
        return Ok(());
    }
    signs(format_args!("{list}[{i}].components"), &line.components)?;
    let parts = line.components.iter().map(|part: &Component| part.amount_minor);
    add_up(format_args!("{list}[{i}].components"), parts, line.amount_minor, "the line's amount_minor")
}

pub(super) fn return_lines(lines: &[ReturnLine]) -> Checked {
    unique(lines.iter().map(|line| line.line_id.as_str()), "lines", "line_id")?;
    for (i, line) in lines.iter().enumerate() {
        name(format_args!("lines[{i}].line_id"), &line.line_id)?;
        not_negative(format_args!("lines[{i}].amount_minor"), line.amount_minor.unwrap_or_default())?;
        if let Some(condition) = &line.condition {
            name(format_args!("lines[{i}].condition"), condition)?;
        }
    }
    Ok(())
}

pub(super) fn some_lines(count: usize) -> Checked {
    if count == 0 {
        Err(fault(Code::InvalidField, "lines", "at least one line must be given"))
    } else {
        Ok(())
    }
}

pub(super) fn unique<'a>(ids: impl ExactSizeIterator<Item = &'a str>, list: &str, field: &str) -> Checked {
    if ids.len() < 2 {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for (i, id) in ids.enumerate() {
        if !seen.insert(id) {
            let text = format!("{} stands twice; each {field} must be given once", shown(id));
            return Err(fault(Code::DuplicateId, format_args!("{list}[{i}].{field}"), text));
        }
    }
    Ok(())
}

pub(super) fn not_negative(path: impl Display, amount: Amount) -> Checked {
    if amount.is_negative() {
        return Err(fault(Code::InvalidAmount, path, format!("{amount} is below zero")));
    }
    Ok(())
}

/// A discount takes away, all else adds: what has the other sign is meant otherwise than it would be booked.
pub(super) fn signs(path: impl Display, components: &[Component]) -> Checked {
    for (i, part) in components.iter().enumerate() {
        let discount = part.kind == ComponentKind::Discount;
        let wrong = if discount { part.amount_minor > Amount::ZERO } else { part.amount_minor.is_negative() };
        if wrong {
            let (kind, amount, may) =
                (part.kind.as_str(), part.amount_minor, if discount { "above" } else { "below" });
            let text = format!("{kind} is {amount}; it cannot be {may} zero");
            return Err(fault(Code::InvalidAmount, format_args!("{path}[{i}].amount_minor"), text));
        }
    }
    Ok(())
}

pub(super) fn add_up(
    path: impl Display,
    parts: impl Iterator<Item = Amount>,
    whole: Amount,
    what: &str,
) -> Checked {
    match Amount::sum(parts) {
        Ok(sum) if sum == whole => Ok(()),
        Ok(sum) => {
            let text = format!("they add up to {sum}, but {what} is {whole}");
            Err(fault(Code::ComponentsDoNotAddUp, path, text))
        }
        Err(error) => Err(fault(Code::AmountOverflow, path, format!("their sum: {error}"))),
    }
}

pub(super) fn check_attributes(attributes: &BTreeMap<String, String>) -> Checked {
    for (key, value) in attributes {
        if key.is_empty() || key.chars().any(char::is_control) {
            return Err(fault(
                Code::InvalidField,
                "attributes",
                "a name must be given, without control characters",
            ));
        }
        if too_long(key, ATTRIBUTE_KEY_MAX_CHARS) {
            let text =
                format!("the name {} is too long: at most {ATTRIBUTE_KEY_MAX_CHARS} characters", shown(key));
            return Err(fault(Code::TooLong, "attributes", text));
        }
        bounded(format_args!("attributes.{key}"), value, ATTRIBUTE_VALUE_MAX_CHARS, 0, true)?;
    }
    Ok(())
}

/// A name, id or reference: one line.
pub(super) fn name(path: impl Display, text: &str) -> Checked {
    bounded(path, text, NAME_MAX_CHARS, 1, false)
}

/// A text that people write: may have several lines.
pub(super) fn prose(path: impl Display, text: &str) -> Checked {
    bounded(path, text, REASON_MAX_CHARS, 1, true)
}

fn too_long(text: &str, max_chars: usize) -> bool {
    // Bytes are at least as many as characters, and counted already.
    text.len() > max_chars && text.chars().count() > max_chars
}

fn bounded(path: impl Display, text: &str, max_chars: usize, min_chars: usize, lines: bool) -> Checked {
    if text.len() < min_chars {
        return Err(fault(Code::InvalidField, path, "the text is empty; give at least one character"));
    }
    if too_long(text, max_chars) {
        return Err(fault(
            Code::TooLong,
            path,
            format!("the text is too long: at most {max_chars} characters"),
        ));
    }
    // Control characters would let a caller's text move the cursor of an operator's terminal.
    if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'))) {
        return Err(fault(Code::InvalidField, path, "the text has control characters; take them out"));
    }
    Ok(())
}
