//! Random values by a seed: a failing seed is a complete report.

use fastrand::Rng;
use retailflow_engine::codec::v1::*;

fn text(rng: &mut Rng) -> String {
    let length = rng.usize(..12);
    (0..length).map(|_| rng.char(..)).collect()
}

fn hash(rng: &mut Rng) -> [u8; 32] {
    let mut hash = [0; 32];
    rng.fill(&mut hash);
    hash
}

/// All sizes, not only large ones.
fn number(rng: &mut Rng) -> u64 {
    rng.u64(..) >> rng.u32(..64)
}

fn signed(rng: &mut Rng) -> i64 {
    rng.i64(..) >> rng.u32(..64)
}

fn maybe<T>(rng: &mut Rng, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}

fn list<T>(rng: &mut Rng, make: impl Fn(&mut Rng) -> T) -> Vec<T> {
    (0..rng.usize(..4)).map(|_| make(rng)).collect()
}

fn part(rng: &mut Rng) -> LinePartV1 {
    LinePartV1 {
        line_id: text(rng),
        quantity: number(rng),
        amount_minor: maybe(rng, signed),
        sku: maybe(rng, text),
    }
}

fn component(rng: &mut Rng) -> ComponentV1 {
    use ComponentKindV1::*;
    let kind = [Goods, Tax, Discount, Shipping, Fee][rng.usize(..5)];
    ComponentV1 { kind, amount_minor: signed(rng) }
}

fn placed(rng: &mut Rng) -> PlacedV1 {
    PlacedV1 {
        customer: text(rng),
        currency: [rng.u8(..), rng.u8(..), rng.u8(..)],
        total_minor: signed(rng),
        lines: list(rng, |rng| LineV1 {
            line_id: text(rng),
            sku: text(rng),
            quantity: number(rng),
            amount_minor: signed(rng),
            components: list(rng, component),
        }),
        components: list(rng, component),
        payments: list(rng, |rng| PaymentV1 {
            payment_id: text(rng),
            token_ref: maybe(rng, text),
            amount_minor: signed(rng),
        }),
        deliveries: list(rng, |rng| DeliveryV1 {
            method: maybe(rng, text),
            address_ref: maybe(rng, text),
            line_ids: list(rng, text),
        }),
        attributes: list(rng, |rng| (text(rng), text(rng))),
        placed_ms: maybe(rng, signed),
        sealed: maybe(rng, |rng| SealedV1 { key_id: text(rng), ciphertext: hash(rng).to_vec() }),
    }
}

fn step(rng: &mut Rng) -> StepV1 {
    use StepV1::*;
    [Reserve, Authorize, Book, Capture, CancelShipment, Void, Refund, Release, Restock][rng.usize(..9)]
}

fn outcome(rng: &mut Rng) -> StepOutcomeV1 {
    match rng.u8(..10) {
        0 => StepOutcomeV1::Done {
            reference: text(rng),
            amount_minor: maybe(rng, signed),
            expires_ms: maybe(rng, signed),
            lines: list(rng, part),
        },
        1 => StepOutcomeV1::Declined { code: text(rng), reason: text(rng), lines: list(rng, part) },
        2 => StepOutcomeV1::Failed { reason: text(rng) },
        3 => StepOutcomeV1::Unknown { reason: text(rng) },
        4 => StepOutcomeV1::Pending {
            reference: text(rng),
            until_ms: maybe(rng, signed),
            lines: list(rng, part),
        },
        5 => StepOutcomeV1::Settled { done: rng.bool(), reference: maybe(rng, text) },
        6 => StepOutcomeV1::Refused { code: text(rng), reason: text(rng) },
        7 => StepOutcomeV1::Skipped { reason: text(rng) },
        8 => StepOutcomeV1::NotDone { reason: maybe(rng, text), calls: rng.u32(..) },
        _ => StepOutcomeV1::Resolved { done: rng.bool(), operator: text(rng), evidence: text(rng) },
    }
}

fn event(rng: &mut Rng) -> EventV1 {
    let status =
        [StatusV1::Open, StatusV1::Completed, StatusV1::Canceling, StatusV1::Canceled][rng.usize(..4)];
    let attention =
        [AttentionV1::None, AttentionV1::Held, AttentionV1::Stalled, AttentionV1::Parked][rng.usize(..4)];
    let (instance, generation) = (number(rng) as u32, number(rng) as u32);
    match rng.u8(..35) {
        0 => EventV1::Placed(Box::new(placed(rng))),
        1 => EventV1::StepStarted {
            step: step(rng),
            instance,
            generation,
            part: maybe(rng, text),
            amount_minor: Some(5),
            lines: Vec::new(),
            expires_ms: None,
        },
        2 => EventV1::StepEnded {
            step: step(rng),
            instance,
            generation,
            part: maybe(rng, text),
            outcome: outcome(rng),
        },
        3 => EventV1::CancelRequested { reason: text(rng) },
        4 => EventV1::ReturnRequested { return_id: text(rng), lines: list(rng, part), reason: text(rng) },
        5 => EventV1::Refunded {
            payment_id: text(rng),
            return_id: maybe(rng, text),
            amount_minor: signed(rng),
            lines: list(rng, part),
        },
        6 => EventV1::LinesShort { lines: list(rng, part), reason: text(rng) },
        7 => EventV1::StatusChanged { status, reason: maybe(rng, text) },
        8 => EventV1::AttentionChanged { attention, reason: text(rng) },
        9 => EventV1::Archived { location: text(rng) },
        10 => EventV1::Restored,
        11 => EventV1::PersonErased { key_id: text(rng) },
        12 => {
            let mut rule =
                || [RefundRuleV1::Never, RefundRuleV1::WithLastUnit, RefundRuleV1::ProRata][rng.usize(..3)];
            EventV1::ReturnRulesSet { shipping: rule(), tax: rule(), fee: rule() }
        }
        13 => EventV1::SettleRequested {
            step: step(rng),
            instance,
            generation,
            part: maybe(rng, text),
            operator: maybe(rng, text),
            reason: text(rng),
        },
        14 => EventV1::Contradicted {
            step: step(rng),
            instance,
            generation,
            part: maybe(rng, text),
            reference: maybe(rng, text),
            reason: text(rng),
        },
        15 => EventV1::ContradictionSeen,
        16 => EventV1::RefundRequested {
            refund_id: text(rng),
            amount_minor: signed(rng),
            lines: list(rng, |rng| (text(rng), signed(rng))),
            components: vec![ComponentV1 { kind: ComponentKindV1::Tax, amount_minor: signed(rng) }],
            payment_id: maybe(rng, text),
            reason: text(rng),
        },
        17 => EventV1::ReturnSplit {
            return_id: text(rng),
            lines: list(rng, |rng| (text(rng), signed(rng))),
            components: vec![ComponentV1 { kind: ComponentKindV1::Fee, amount_minor: signed(rng) }],
        },
        18 => EventV1::PaymentRulesSet {
            refund_order: RefundOrderV1::ProRata,
            on_decline: OnDeclineV1::Wait,
            payment_wait_ms: number(rng),
        },
        19 => EventV1::PaymentAwaited { payment: number(rng) as u32, until_ms: signed(rng) },
        20 => EventV1::PaymentsAdded {
            payments: vec![PaymentV1 {
                payment_id: text(rng),
                token_ref: maybe(rng, text),
                amount_minor: signed(rng),
            }],
            reason: maybe(rng, text),
        },
        21 => EventV1::HoldPlaced {
            name: text(rng),
            operator: maybe(rng, text),
            reason: text(rng),
            since_ms: signed(rng),
            until_ms: maybe(rng, signed),
        },
        22 => EventV1::HoldReleased { name: text(rng), reason: maybe(rng, text) },
        23 => EventV1::HoldOverdue { name: text(rng), reason: text(rng) },
        24 => EventV1::FactRecorded(FactV1 {
            kind: FactKindV1::Loss,
            amount_minor: signed(rng),
            reference: text(rng),
            payment_id: maybe(rng, text),
            line_id: maybe(rng, text),
            happened_ms: maybe(rng, signed),
            recorded_ms: signed(rng),
            reason: maybe(rng, text),
        }),
        25 => EventV1::ReturnTermsSet(ReturnTermsV1 {
            return_id: text(rng),
            fee_minor: signed(rng),
            lines: list(rng, |rng| TermLineV1 {
                line_id: text(rng),
                quantity: number(rng),
                restock: rng.bool(),
                condition: maybe(rng, text),
            }),
        }),
        26 => EventV1::Related(RelationV1 { kind: RelationKindV1::ReplacementOf, order: text(rng) }),
        27 => EventV1::Amended(Box::new(amended(rng))),
        28 => EventV1::FlowSet(FlowRulesV1 {
            version: number(rng) as u32,
            capture: CaptureAtV1::AtEnd,
            begins_with: BeginsWithV1::Authorize,
            attempts_max: maybe(rng, |rng| number(rng) as u32),
            renewals_max: maybe(rng, |rng| number(rng) as u32),
            short_lines: ShortLinesV1::CancelRest,
            review: rng.bool(),
        }),
        29 => EventV1::GoodsAwaited { until_ms: signed(rng) },
        30 => EventV1::StillPending {
            step: step(rng),
            instance: number(rng) as u32,
            generation: number(rng) as u32,
            part: maybe(rng, text),
            until_ms: signed(rng),
            reason: maybe(rng, text),
        },
        31 => EventV1::ShipmentMoved {
            shipment: number(rng) as u32,
            state: ShipmentStateV1::ReturnedToSender,
            at_ms: signed(rng),
            reason: maybe(rng, text),
        },
        32 => EventV1::DeliveryAwaited { delivery: number(rng) as u32, until_ms: signed(rng) },
        33 => EventV1::PaymentSplit {
            payment: number(rng) as u32,
            planned_minor: signed(rng),
            rest: PaymentV1 { payment_id: text(rng), token_ref: maybe(rng, text), amount_minor: signed(rng) },
        },
        _ => EventV1::Noted { reason: text(rng) },
    }
}

fn amended(rng: &mut Rng) -> AmendedV1 {
    let PlacedV1 { lines: added, components, payments, mut deliveries, attributes, .. } = placed(rng);
    let change = LineChangeV1 {
        line_id: text(rng),
        quantity: (number(rng), number(rng)),
        amount_minor: (signed(rng), signed(rng)),
        components,
    };
    AmendedV1 {
        lines: vec![change],
        added,
        total_minor: (signed(rng), signed(rng)),
        planned_minor: list(rng, signed),
        payments,
        delivery: deliveries.pop(),
        attributes,
        note: maybe(rng, text),
        reason: text(rng),
        cancels: rng.bool(),
        settled_minor: signed(rng),
    }
}

fn verdict(rng: &mut Rng) -> VerdictV1 {
    let version = number(rng);
    match rng.u8(..4) {
        0 => VerdictV1::Applied { version },
        1 => VerdictV1::AppliedWith { version, message: text(rng) },
        2 => VerdictV1::Rejected { version, code: text(rng), message: text(rng) },
        _ => VerdictV1::RejectedAt { version, code: text(rng), message: text(rng), path: text(rng) },
    }
}

fn decision(rng: &mut Rng) -> DecisionV1 {
    use CommandKindV1::*;
    let kinds =
        [Place, Cancel, Return, Report, Resume, ResolveStep, Compensate, Archive, Restore, StepOutcome];
    let deadlines = [DeadlineV1::Keep, DeadlineV1::Set(signed(rng)), DeadlineV1::Clear];
    let name = text(rng);
    let actors =
        [ActorV1::Tenant, ActorV1::Operator(name.clone()), ActorV1::Participant(name), ActorV1::Engine];
    DecisionV1 {
        source: text(rng),
        id: text(rng),
        kind: kinds[rng.usize(..kinds.len())],
        content_hash: hash(rng),
        actor: actors[rng.usize(..4)].clone(),
        causation: maybe(rng, text),
        time_ms: maybe(rng, signed),
        received_ms: signed(rng),
        policy_version: number(rng) as u32,
        trace_id: maybe(rng, |rng| rng.u128(..).to_le_bytes()),
        verdict: verdict(rng),
        events: list(rng, event),
        deadline: deadlines[rng.usize(..3)],
    }
}

/// A record of any shape; its names need not follow the grammar.
pub(crate) fn record(seed: u64) -> RecordV1 {
    let rng = &mut Rng::with_seed(seed);
    let body = match rng.u8(..4) {
        0 => BodyV1::Checkpoint(CheckpointV1 {
            version: number(rng),
            revision: number(rng),
            state: hash(rng).to_vec(),
            ids_digest: hash(rng),
            deadline: DeadlineV1::Set(9),
        }),
        1 => BodyV1::Closed(ClosedV1 {
            summary: hash(rng).to_vec(),
            outcomes: list(rng, |rng| ClosedOutcomeV1 {
                source: text(rng),
                id: text(rng),
                content_hash: hash(rng),
                verdict: verdict(rng),
            }),
            location: text(rng),
            chain: hash(rng),
        }),
        _ => BodyV1::Decisions(list(rng, decision)),
    };
    RecordV1 {
        tenant: text(rng),
        order: text(rng),
        expected_revision: number(rng),
        previous: hash(rng),
        body,
    }
}
