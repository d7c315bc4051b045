//! The ways that random lives go.

use proptest::prelude::*;

use crate::wire::flow_rules::{BeginsWith, CaptureAt, FlowRules, ShortLines};
use crate::wire::payment_rules::{OnDecline, PaymentRules, RefundOrder};

/// How an order is paid, and in which order it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// In so many parts; 0: nothing is said of it.
    pub(super) payments: usize,
    pub(super) waits: bool,
    pub(super) pro_rata: bool,
    pub(super) begins_with: BeginsWith,
    pub(super) capture: CaptureAt,
    /// Its goods are there after so long.
    pub(super) goods_ms: u64,
    /// Line `b` goes by itself, and is there after so long.
    pub(super) apart_ms: Option<u64>,
    pub(super) short_lines: ShortLines,
    pub(super) review: bool,
}

impl Way {
    pub(super) fn rules(self) -> PaymentRules {
        PaymentRules {
            refund_order: if self.pro_rata { RefundOrder::ProRata } else { RefundOrder::Reverse },
            on_decline: if self.waits { OnDecline::Wait } else { OnDecline::Cancel },
            payment_wait_ms: 50_000,
        }
    }

    pub(super) fn flow(self) -> FlowRules {
        let (begins_with, capture, short_lines, review) =
            (self.begins_with, self.capture, self.short_lines, self.review);
        let flow = FlowRules { begins_with, capture, short_lines, review, ..FlowRules::DEFAULT };
        FlowRules { version: if flow == FlowRules::DEFAULT { 1 } else { 2 }, ..flow }
    }
}

pub(super) fn ways() -> impl Strategy<Value = Way> {
    let begins_with = prop::sample::select(BeginsWith::ALL.to_vec());
    let capture = prop::sample::select(CaptureAt::ALL.to_vec());
    let goods_ms = prop_oneof![3 => Just(0), 1 => 1..150_000u64];
    let apart_ms = prop::option::weighted(0.3, prop_oneof![Just(0), 1..150_000u64]);
    let short_lines = (prop::sample::select(ShortLines::ALL.to_vec()), prop::bool::weighted(0.3));
    let money = (0..5usize, any::<bool>(), any::<bool>());
    (money, begins_with, capture, (goods_ms, apart_ms), short_lines).prop_map(
        |((payments, waits, pro_rata), begins_with, capture, (goods_ms, apart_ms), (short_lines, review))| {
            Way { payments, waits, pro_rata, begins_with, capture, goods_ms, apart_ms, short_lines, review }
        },
    )
}
