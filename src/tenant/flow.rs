//! What can be set of a tenant's flow.

use clap::ValueEnum;
use retailflow_engine::wire::flow_rules::{
    ATTEMPTS_MAX, BeginsWith, CaptureAt, FlowRules, FlowRulesChange, RENEWALS_MAX, ShortLines,
};

/// In which order steps are asked for, and how often.
#[derive(clap::Args, Debug)]
pub(crate) struct FlowArgs {
    /// When the payment of an order placed from now on is captured (`at_shipment` until it is set)
    #[arg(long, value_name = "WHEN")]
    flow_capture: Option<CaptureArg>,
    /// Which step an order placed from now on begins with (`reserve` until it is set)
    #[arg(long, value_name = "STEP")]
    flow_begins_with: Option<BeginsWithArg>,
    /// How often a step is asked for under new keys before the order turns back; `default`: as configured
    /// (`effects.step_attempts_max`)
    #[arg(long, value_name = "N", value_parser = attempts)]
    flow_attempts_max: Option<Bound>,
    /// How often an authorization that is over is asked for anew before people are asked; `default`: as the engine has it
    #[arg(long, value_name = "N", value_parser = renewals)]
    flow_renewals_max: Option<Bound>,
    /// What becomes of an order placed from now on of which the inventory has only a part (`wait` until it is set)
    #[arg(long, value_name = "WHAT")]
    flow_short_lines: Option<ShortLinesArg>,
    /// Is an order placed from now on looked at by the reviewer, before anything is captured or booked (`false` until it is
    /// set)
    #[arg(long, value_name = "BOOL")]
    flow_review: Option<bool>,
}

/// A number, or what is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bound(Option<u32>);

fn attempts(text: &str) -> Result<Bound, String> {
    bound(text, 1, ATTEMPTS_MAX)
}

fn renewals(text: &str) -> Result<Bound, String> {
    bound(text, 0, RENEWALS_MAX)
}

fn bound(text: &str, min: u32, max: u32) -> Result<Bound, String> {
    if text == "default" {
        return Ok(Bound(None));
    }
    let number = text.parse().ok().filter(|number| (min..=max).contains(number));
    number
        .map(|number| Bound(Some(number)))
        .ok_or_else(|| format!("a whole number from {min} to {max} is expected, or `default`"))
}

/// When a payment is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum CaptureArg {
    /// Before a shipment is booked
    BeforeBooking,
    /// With each shipment
    AtShipment,
    /// Once, when all shipments are booked
    AtEnd,
}

impl From<CaptureArg> for CaptureAt {
    fn from(when: CaptureArg) -> Self {
        match when {
            CaptureArg::BeforeBooking => Self::BeforeBooking,
            CaptureArg::AtShipment => Self::AtShipment,
            CaptureArg::AtEnd => Self::AtEnd,
        }
    }
}

/// Which step an order begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BeginsWithArg {
    /// Stock is set aside, then the payment is authorized
    Reserve,
    /// The payment is authorized, then stock is set aside
    Authorize,
}

impl From<BeginsWithArg> for BeginsWith {
    fn from(step: BeginsWithArg) -> Self {
        match step {
            BeginsWithArg::Reserve => Self::Reserve,
            BeginsWithArg::Authorize => Self::Authorize,
        }
    }
}

/// What becomes of an order of which the inventory has only a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ShortLinesArg {
    /// Nothing of a delivery is booked until all of it is set aside
    Wait,
    /// What is there is booked, the rest follows in a shipment of its own
    ShipRest,
    /// What is there is booked, the rest is canceled
    CancelRest,
}

impl From<ShortLinesArg> for ShortLines {
    fn from(rule: ShortLinesArg) -> Self {
        match rule {
            ShortLinesArg::Wait => Self::Wait,
            ShortLinesArg::ShipRest => Self::ShipRest,
            ShortLinesArg::CancelRest => Self::CancelRest,
        }
    }
}

impl FlowArgs {
    /// What is to be changed, if anything is named.
    pub(super) fn change(&self) -> Option<FlowRulesChange> {
        let change = FlowRulesChange {
            capture: self.flow_capture.map(CaptureAt::from),
            begins_with: self.flow_begins_with.map(BeginsWith::from),
            attempts_max: self.flow_attempts_max.map(|bound| bound.0),
            renewals_max: self.flow_renewals_max.map(|bound| bound.0),
            short_lines: self.flow_short_lines.map(ShortLines::from),
            review: self.flow_review,
        };
        (change != FlowRulesChange::default()).then_some(change)
    }
}

/// A flow in a line of a table.
pub(super) fn shown(flow: &FlowRules) -> String {
    let FlowRules { version, capture, begins_with, attempts_max, renewals_max, short_lines, review } = flow;
    let mut text = format!(
        "flow {version}: begins with {}, captured {}",
        begins_with.as_str(),
        capture.as_str().replace('_', " ")
    );
    for (what, bound) in [("attempts", attempts_max), ("renewals", renewals_max)] {
        if let Some(max) = bound {
            text += &format!(", at most {max} {what}");
        }
    }
    if *short_lines != ShortLines::Wait {
        text += &format!(", short lines: {}", short_lines.as_str().replace('_', " "));
    }
    if *review {
        text += ", reviewed";
    }
    text
}
