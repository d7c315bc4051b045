//! What the shape of the commands cannot say that change an order, or move money without goods.

use super::code::Code;
use super::command::{
    AmendData, ExchangeData, HoldData, PayData, PlaceData, RecordData, RefundData, ReleaseHoldData,
    ReportData, ReportOutcome, Step,
};
use super::validate::{
    Checked, add_up, check_attributes, check_delivery, check_each_payment, check_line, fault, name,
    not_negative, prose, return_lines, signs, some_lines, unique,
};
use crate::money::Amount;
use std::collections::HashSet;

fn optional_prose(path: &str, text: Option<&String>) -> Checked {
    text.map_or(Ok(()), |text| prose(path, text))
}

fn optional_name(path: &str, text: Option<&String>) -> Checked {
    text.map_or(Ok(()), |text| name(path, text))
}

fn some_amount(path: &str, amount: Amount) -> Checked {
    if amount > Amount::ZERO {
        return Ok(());
    }
    Err(fault(Code::InvalidAmount, path, format!("{amount} is not above zero")))
}

impl ReportData {
    /// What is still pending says until when, and no more.
    pub(super) fn check_until(&self) -> Checked {
        let pending = self.outcome == ReportOutcome::Pending;
        match self.until {
            None if pending => {
                Err(fault(Code::MissingField, "until", "a step that is pending still says until when"))
            }
            Some(_) if !pending => Err(fault(
                Code::InvalidField,
                "until",
                "only a step that is pending still has a time to come",
            )),
            Some(_) if self.amount_minor.is_some() || !self.lines.is_empty() => {
                let path = if self.lines.is_empty() { "amount_minor" } else { "lines" };
                Err(fault(Code::InvalidField, path, "nothing is done yet of a step that is pending still"))
            }
            _ => Ok(()),
        }
    }
}

impl ReportData {
    /// Only what is booked is anywhere.
    pub(super) fn check_shipment(&self) -> Checked {
        match self.shipment {
            Some(_) if self.step != Step::Book || self.outcome != ReportOutcome::Done => {
                let text = "only a booking that is done has a shipment: step book, outcome done";
                Err(fault(Code::InvalidField, "shipment", text))
            }
            _ => Ok(()),
        }
    }
}

impl PlaceData {
    /// Each line goes with one delivery at most.
    pub(super) fn check_deliveries(&self) -> Checked {
        if self.deliveries.is_empty() {
            return Ok(());
        }
        let mut free: HashSet<&str> = self.lines.iter().map(|line| line.line_id.as_str()).collect();
        for (i, part) in self.deliveries.iter().enumerate() {
            if part.line_ids.is_empty() {
                let text = "a delivery names at least one line";
                return Err(fault(Code::InvalidField, format_args!("deliveries[{i}].line_ids"), text));
            }
            for (j, line_id) in part.line_ids.iter().enumerate() {
                let path = format_args!("deliveries[{i}].line_ids[{j}]").to_string();
                if !free.remove(line_id.as_str()) {
                    let text =
                        format!("the order has no line {line_id:?}, or it goes with a delivery already");
                    return Err(fault(Code::InvalidField, path, text));
                }
            }
            let path = |what: &str| format!("deliveries[{i}].{what}");
            optional_name(&path("method"), part.method.as_ref())?;
            optional_name(&path("address_ref"), part.address_ref.as_ref())?;
        }
        Ok(())
    }
}

impl RefundData {
    pub(super) fn validate(&self) -> Checked {
        some_amount("amount_minor", self.amount_minor)?;
        signs("components", &self.components)?;
        unique(self.lines.iter().map(|line| line.line_id.as_str()), "lines", "line_id")?;
        for (i, line) in self.lines.iter().enumerate() {
            name(format_args!("lines[{i}].line_id"), &line.line_id)?;
            not_negative(format_args!("lines[{i}].amount_minor"), line.amount_minor)?;
        }
        if !self.components.is_empty() || !self.lines.is_empty() {
            let components = self.components.iter().map(|part| part.amount_minor);
            let lines = self.lines.iter().map(|line| line.amount_minor);
            let path = if self.components.is_empty() { "lines" } else { "components" };
            add_up(path, components.chain(lines), self.amount_minor, "amount_minor")?;
        }
        optional_name("payment_id", self.payment_id.as_ref())?;
        prose("reason", &self.reason)
    }
}

impl PayData {
    pub(super) fn validate(&self) -> Checked {
        if self.payments.is_empty() {
            return Err(fault(Code::InvalidField, "payments", "at least one payment must be given"));
        }
        check_each_payment(&self.payments)?;
        optional_prose("reason", self.reason.as_ref())
    }
}

impl RecordData {
    pub(super) fn validate(&self) -> Checked {
        some_amount("amount_minor", self.amount_minor)?;
        name("reference", &self.reference)?;
        optional_name("payment_id", self.payment_id.as_ref())?;
        optional_name("line_id", self.line_id.as_ref())?;
        optional_prose("reason", self.reason.as_ref())
    }
}

impl AmendData {
    pub(super) fn validate(&self) -> Checked {
        unique(self.lines.iter().map(|line| line.line_id.as_str()), "lines", "line_id")?;
        for (i, line) in self.lines.iter().enumerate() {
            name(format_args!("lines[{i}].line_id"), &line.line_id)?;
            not_negative(format_args!("lines[{i}].amount_minor"), line.amount_minor.unwrap_or_default())?;
        }
        unique(self.add_lines.iter().map(|line| line.line_id.as_str()), "add_lines", "line_id")?;
        for (i, line) in self.add_lines.iter().enumerate() {
            check_line("add_lines", i, line)?;
        }
        check_delivery(self.delivery.as_ref())?;
        check_attributes(&self.attributes)?;
        optional_prose("note", self.note.as_ref())?;
        check_each_payment(&self.payments)?;
        prose("reason", &self.reason)?;
        let changes = self.lines.len() + self.add_lines.len() + self.attributes.len();
        if changes == 0 && self.delivery.is_none() && self.note.is_none() {
            let text = "nothing is to be changed; give lines, add_lines, delivery, attributes or a note";
            return Err(fault(Code::MissingField, "lines", text));
        }
        Ok(())
    }
}

impl ExchangeData {
    pub(super) fn validate(&self) -> Checked {
        some_lines(self.lines.len())?;
        return_lines(&self.lines)?;
        if self.add_lines.is_empty() {
            let text = "at least one line must be given; what only comes back is a return";
            return Err(fault(Code::InvalidField, "add_lines", text));
        }
        unique(self.add_lines.iter().map(|line| line.line_id.as_str()), "add_lines", "line_id")?;
        for (i, line) in self.add_lines.iter().enumerate() {
            check_line("add_lines", i, line)?;
        }
        check_each_payment(&self.payments)?;
        prose("reason", &self.reason)
    }
}

impl HoldData {
    pub(super) fn validate(&self) -> Checked {
        name("name", &self.name)?;
        prose("reason", &self.reason)
    }
}

impl ReleaseHoldData {
    pub(super) fn validate(&self) -> Checked {
        name("name", &self.name)?;
        optional_prose("reason", self.reason.as_ref())
    }
}
