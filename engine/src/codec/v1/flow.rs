//! The flow of an order's steps, and where its shipments are, as version 1 stores them: frozen.

use serde::{Deserialize, Serialize};

use crate::wire::command::ShipmentState;
use crate::wire::flow_rules::{BeginsWith, CaptureAt, FlowRules, ShortLines};

/// In which order steps are asked for, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub struct FlowRulesV1 {
    pub version: u32,
    pub capture: CaptureAtV1,
    pub begins_with: BeginsWithV1,
    pub attempts_max: Option<u32>,
    pub renewals_max: Option<u32>,
    pub short_lines: ShortLinesV1,
    pub review: bool,
}

/// What becomes of an order of which the inventory has only a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum ShortLinesV1 {
    #[default]
    Wait,
    ShipRest,
    CancelRest,
}

/// When a payment is captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum CaptureAtV1 {
    BeforeBooking,
    #[default]
    AtShipment,
    AtEnd,
}

/// Which step an order begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum BeginsWithV1 {
    #[default]
    Reserve,
    Authorize,
}

impl From<FlowRules> for FlowRulesV1 {
    fn from(rules: FlowRules) -> Self {
        let FlowRules { version, capture, begins_with, attempts_max, renewals_max, short_lines, review } =
            rules;
        let capture = match capture {
            CaptureAt::BeforeBooking => CaptureAtV1::BeforeBooking,
            CaptureAt::AtShipment => CaptureAtV1::AtShipment,
            CaptureAt::AtEnd => CaptureAtV1::AtEnd,
        };
        let begins_with = match begins_with {
            BeginsWith::Reserve => BeginsWithV1::Reserve,
            BeginsWith::Authorize => BeginsWithV1::Authorize,
        };
        let short_lines = match short_lines {
            ShortLines::Wait => ShortLinesV1::Wait,
            ShortLines::ShipRest => ShortLinesV1::ShipRest,
            ShortLines::CancelRest => ShortLinesV1::CancelRest,
        };
        Self { version, capture, begins_with, attempts_max, renewals_max, short_lines, review }
    }
}

impl From<FlowRulesV1> for FlowRules {
    fn from(stored: FlowRulesV1) -> Self {
        let FlowRulesV1 { version, capture, begins_with, attempts_max, renewals_max, short_lines, review } =
            stored;
        let capture = match capture {
            CaptureAtV1::BeforeBooking => CaptureAt::BeforeBooking,
            CaptureAtV1::AtShipment => CaptureAt::AtShipment,
            CaptureAtV1::AtEnd => CaptureAt::AtEnd,
        };
        let begins_with = match begins_with {
            BeginsWithV1::Reserve => BeginsWith::Reserve,
            BeginsWithV1::Authorize => BeginsWith::Authorize,
        };
        let short_lines = match short_lines {
            ShortLinesV1::Wait => ShortLines::Wait,
            ShortLinesV1::ShipRest => ShortLines::ShipRest,
            ShortLinesV1::CancelRest => ShortLines::CancelRest,
        };
        Self { version, capture, begins_with, attempts_max, renewals_max, short_lines, review }
    }
}

/// Where a booked shipment is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum ShipmentStateV1 {
    #[default]
    Booked,
    HandedOver,
    Delivered,
    ReturnedToSender,
    Lost,
}

impl From<ShipmentState> for ShipmentStateV1 {
    fn from(state: ShipmentState) -> Self {
        match state {
            ShipmentState::Booked => Self::Booked,
            ShipmentState::HandedOver => Self::HandedOver,
            ShipmentState::Delivered => Self::Delivered,
            ShipmentState::ReturnedToSender => Self::ReturnedToSender,
            ShipmentState::Lost => Self::Lost,
        }
    }
}

impl From<ShipmentStateV1> for ShipmentState {
    fn from(stored: ShipmentStateV1) -> Self {
        match stored {
            ShipmentStateV1::Booked => Self::Booked,
            ShipmentStateV1::HandedOver => Self::HandedOver,
            ShipmentStateV1::Delivered => Self::Delivered,
            ShipmentStateV1::ReturnedToSender => Self::ReturnedToSender,
            ShipmentStateV1::Lost => Self::Lost,
        }
    }
}
