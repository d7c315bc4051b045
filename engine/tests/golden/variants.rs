//! Records that hold every variant of every enum of version 1, in the order of their frozen numbers. The matches
//! below list them once more: a new variant does not compile until it is here, and so in a golden file.

use retailflow_engine::codec::v1::*;

use crate::raw::{from_hex, golden};
use crate::values::{AT_MS, decision, placed, record, with_events};

/// Lists all variants of an enum, and fails to compile when one is missing.
macro_rules! every {
    ($name:ident: $($variant:ident),* $(,)?) => {{
        const _: fn($name) = |value| match value { $($name::$variant { .. } => {})* };
        [$($name::$variant),*]
    }};
}

/// Fails to compile when the enum has a variant that is not named.
macro_rules! these_are_all {
    ($name:ident: $($variant:ident),* $(,)?) => {
        const _: fn(&$name) = |value| match value { $($name::$variant { .. } => {})* };
    };
}

these_are_all!(BodyV1: Decisions, Checkpoint, Closed);
these_are_all!(ActorV1: Tenant, Operator, Participant, Engine);
these_are_all!(VerdictV1: Applied, Rejected, RejectedAt, AppliedWith);
these_are_all!(DeadlineV1: Keep, Set, Clear);
these_are_all!(EventV1: Placed, StepStarted, StepEnded, CancelRequested, ReturnRequested, Refunded, LinesShort,
    StatusChanged, AttentionChanged, Archived, Restored, PersonErased, ReturnRulesSet, SettleRequested, Contradicted,
    ContradictionSeen, Noted, RefundRequested, ReturnSplit,
    PaymentRulesSet, PaymentAwaited, PaymentsAdded, HoldPlaced, HoldReleased, HoldOverdue, FactRecorded, ReturnTermsSet, Related, Amended,
    FlowSet, GoodsAwaited, StillPending, ShipmentMoved, DeliveryAwaited, PaymentSplit);
these_are_all!(StepOutcomeV1: Done, Declined, Failed, Unknown, Pending, Settled, Refused, Skipped, Resolved,
    NotDone);

/// Every golden record of version 1, by the name of its file.
pub(crate) fn records() -> Vec<(&'static str, RecordV1)> {
    vec![
        ("record_full_decision", record(vec![full_decision()])),
        ("record_command_kinds", command_kinds()),
        ("record_actors", actors()),
        ("record_verdicts", verdicts()),
        ("record_remarks", remarks()),
        ("record_deadlines", deadlines()),
        ("record_events", with_events(events())),
        ("record_amended", with_events(vec![EventV1::Amended(Box::new(amended()))])),
        ("record_return_rules", return_rules()),
        ("record_fact_kinds", fact_kinds()),
        ("record_relations", relations()),
        ("record_flow", flow()),
        ("record_shipments", shipments()),
        ("record_parts", parts()),
        ("record_steps", steps()),
        ("record_step_outcomes", with_events(step_outcomes().into_iter().map(ended).collect())),
        ("record_component_kinds", component_kinds()),
        ("record_statuses", statuses()),
        ("record_attentions", attentions()),
        ("record_checkpoint", checkpoint()),
        ("record_closed", closed()),
        ("record_extremes", extremes()),
    ]
}

/// What version 1 grew by.
fn flow() -> RecordV1 {
    with_events(vec![
        EventV1::FlowSet(FlowRulesV1 {
            version: 2,
            capture: CaptureAtV1::BeforeBooking,
            begins_with: BeginsWithV1::Authorize,
            attempts_max: Some(3),
            renewals_max: None,
            short_lines: ShortLinesV1::ShipRest,
            review: true,
        }),
        EventV1::FlowSet(FlowRulesV1 {
            version: 3,
            capture: CaptureAtV1::AtEnd,
            begins_with: BeginsWithV1::Reserve,
            attempts_max: None,
            renewals_max: Some(0),
            short_lines: ShortLinesV1::CancelRest,
            review: false,
        }),
        EventV1::GoodsAwaited { until_ms: AT_MS },
        EventV1::StillPending {
            step: StepV1::Reserve,
            instance: 1,
            generation: 2,
            part: None,
            until_ms: AT_MS,
            reason: Some("with the next lorry".into()),
        },
    ])
}

fn shipments() -> RecordV1 {
    let moved = |state| EventV1::ShipmentMoved { shipment: 0, state, at_ms: AT_MS, reason: None };
    let states = every!(ShipmentStateV1: Booked, HandedOver, Delivered, ReturnedToSender, Lost);
    with_events(states.map(moved).to_vec())
}

fn parts() -> RecordV1 {
    let rest =
        PaymentV1 { payment_id: "payment-2".into(), token_ref: Some("tok_1".into()), amount_minor: 990 };
    with_events(vec![
        EventV1::DeliveryAwaited { delivery: 2, until_ms: AT_MS },
        EventV1::PaymentSplit { payment: 0, planned_minor: 1_000, rest },
    ])
}

fn full_decision() -> DecisionV1 {
    DecisionV1 {
        actor: ActorV1::Operator("ops@retail".into()),
        causation: Some("rf1-abc".into()),
        time_ms: Some(AT_MS - 5),
        policy_version: 3,
        trace_id: Some([0xab; 16]),
        events: vec![EventV1::Placed(Box::new(placed()))],
        deadline: DeadlineV1::Set(AT_MS + 60_000),
        ..decision(1)
    }
}

fn command_kinds() -> RecordV1 {
    let kinds = every!(CommandKindV1: Place, Cancel, Return, Report, Resume, ResolveStep, Compensate, Archive,
        Restore, StepOutcome, DeadlinePassed, Contradiction, Refund, Hold, ReleaseHold, Pay, Amend, Exchange, Record);
    record((0..).zip(kinds).map(|(number, kind)| DecisionV1 { kind, ..decision(number) }).collect())
}

fn actors() -> RecordV1 {
    let actors = [
        ActorV1::Tenant,
        ActorV1::Operator("ops@retail".into()),
        ActorV1::Participant("shipping".into()),
        ActorV1::Engine,
    ];
    record((0..).zip(actors).map(|(number, actor)| DecisionV1 { actor, ..decision(number) }).collect())
}

fn verdicts() -> RecordV1 {
    let rejected =
        VerdictV1::Rejected { version: 1, code: "order_exists".into(), message: "There is one.".into() };
    let verdicts = [VerdictV1::Applied { version: 1 }, rejected];
    record((0..).zip(verdicts).map(|(number, verdict)| DecisionV1 { verdict, ..decision(number) }).collect())
}

fn remarks() -> RecordV1 {
    let (code, message, path) = ("unknown_line".into(), "None.".into(), "data.lines[0].line_id".into());
    let verdicts = [
        VerdictV1::RejectedAt { version: 1, code, message, path },
        VerdictV1::AppliedWith { version: 2, message: "Capped.".into() },
    ];
    record((0..).zip(verdicts).map(|(number, verdict)| DecisionV1 { verdict, ..decision(number) }).collect())
}

fn return_rules() -> RecordV1 {
    let [shipping, tax, fee] = every!(RefundRuleV1: Never, WithLastUnit, ProRata);
    with_events(vec![EventV1::ReturnRulesSet { shipping, tax, fee }])
}

fn deadlines() -> RecordV1 {
    let deadlines = [DeadlineV1::Keep, DeadlineV1::Set(AT_MS), DeadlineV1::Clear];
    record(
        (0..).zip(deadlines).map(|(number, deadline)| DecisionV1 { deadline, ..decision(number) }).collect(),
    )
}

fn part(number: u64) -> LinePartV1 {
    LinePartV1 { line_id: number.to_string(), quantity: number, amount_minor: None, sku: None }
}

fn whole_part() -> LinePartV1 {
    LinePartV1 { line_id: "2".into(), quantity: 1, amount_minor: Some(-1_299), sku: Some("cd-0002".into()) }
}

fn ended(outcome: StepOutcomeV1) -> EventV1 {
    EventV1::StepEnded { step: StepV1::Reserve, instance: 1, generation: 0, part: None, outcome }
}

fn events() -> Vec<EventV1> {
    vec![
        EventV1::Placed(Box::new(placed())),
        EventV1::StepStarted {
            step: StepV1::Authorize,
            instance: 1,
            generation: 2,
            part: Some("p1".into()),
            amount_minor: Some(1177),
            lines: vec![whole_part()],
            expires_ms: Some(AT_MS),
        },
        ended(StepOutcomeV1::Failed { reason: "no answer".into() }),
        EventV1::CancelRequested { reason: "changed my mind".into() },
        EventV1::ReturnRequested { return_id: "r1".into(), lines: vec![part(1)], reason: "broken".into() },
        EventV1::Refunded {
            payment_id: "p1".into(),
            return_id: Some("r1".into()),
            amount_minor: 1_300,
            lines: vec![part(1), whole_part()],
        },
        EventV1::LinesShort { lines: vec![whole_part()], reason: "out of stock".into() },
        EventV1::StatusChanged { status: StatusV1::Canceling, reason: Some("cancel".into()) },
        EventV1::AttentionChanged { attention: AttentionV1::Stalled, reason: "late".into() },
        EventV1::Archived { location: "s3://archive/1".into() },
        EventV1::Restored,
        EventV1::PersonErased { key_id: "key-1".into() },
        EventV1::SettleRequested {
            step: StepV1::Refund,
            instance: 2,
            generation: 3,
            part: Some("r1".into()),
            operator: Some("ops".into()),
            reason: "nothing on the account".into(),
        },
        EventV1::Contradicted {
            step: StepV1::Refund,
            instance: 2,
            generation: 3,
            part: Some("r1".into()),
            reference: Some("re-1".into()),
            reason: "done after all".into(),
        },
        EventV1::ContradictionSeen,
        EventV1::Noted { reason: "by phone".into() },
        EventV1::RefundRequested {
            refund_id: "f1".into(),
            amount_minor: 690,
            lines: vec![("1".into(), 190)],
            components: vec![ComponentV1 { kind: ComponentKindV1::Shipping, amount_minor: 500 }],
            payment_id: Some("p1".into()),
            reason: "late".into(),
        },
        EventV1::ReturnSplit {
            return_id: "r1".into(),
            lines: vec![("1".into(), 1_000)],
            components: vec![ComponentV1 { kind: ComponentKindV1::Tax, amount_minor: 190 }],
        },
        EventV1::PaymentRulesSet {
            refund_order: RefundOrderV1::ProRata,
            on_decline: OnDeclineV1::Wait,
            payment_wait_ms: 3_600_000,
        },
        EventV1::PaymentAwaited { payment: 1, until_ms: AT_MS },
        EventV1::PaymentsAdded {
            payments: vec![PaymentV1 {
                payment_id: "p3".into(),
                token_ref: Some("tok_3".into()),
                amount_minor: 1_177,
            }],
            reason: Some("another card".into()),
        },
        EventV1::HoldPlaced {
            name: "fraud".into(),
            operator: Some("ops".into()),
            reason: "a new address".into(),
            since_ms: AT_MS,
            until_ms: Some(AT_MS + 1_000),
        },
        EventV1::HoldReleased { name: "fraud".into(), reason: Some("all is well".into()) },
        EventV1::HoldOverdue { name: "fraud".into(), reason: "its time is over".into() },
        EventV1::FactRecorded(fact(FactKindV1::Chargeback)),
        EventV1::ReturnTermsSet(ReturnTermsV1 {
            return_id: "r1".into(),
            fee_minor: 100,
            lines: vec![TermLineV1 {
                line_id: "1".into(),
                quantity: 2,
                restock: false,
                condition: Some("opened".into()),
            }],
        }),
        EventV1::Related(RelationV1 { kind: RelationKindV1::ExchangeOf, order: "16".into() }),
    ]
}

fn fact(kind: FactKindV1) -> FactV1 {
    FactV1 {
        kind,
        amount_minor: 1_177,
        reference: "case-9".into(),
        payment_id: Some("p1".into()),
        line_id: Some("1".into()),
        happened_ms: Some(AT_MS - 1_000),
        recorded_ms: AT_MS,
        reason: Some("not me".into()),
    }
}

fn fact_kinds() -> RecordV1 {
    let kinds = every!(FactKindV1: Chargeback, Loss, Goodwill, ExternalPayment);
    with_events(kinds.map(|kind| EventV1::FactRecorded(fact(kind))).into())
}

fn relations() -> RecordV1 {
    let kinds = every!(RelationKindV1: ReplacementOf, ExchangeOf);
    with_events(kinds.map(|kind| EventV1::Related(RelationV1 { kind, order: "16".into() })).into())
}

fn amended() -> AmendedV1 {
    let line = LineV1 {
        line_id: "3".into(),
        sku: "cd-0003".into(),
        quantity: 2,
        amount_minor: 900,
        components: vec![],
    };
    AmendedV1 {
        lines: vec![LineChangeV1 {
            line_id: "1".into(),
            quantity: (3, 1),
            amount_minor: (1_000, 333),
            components: vec![ComponentV1 { kind: ComponentKindV1::Goods, amount_minor: 333 }],
        }],
        added: vec![line],
        total_minor: (1_000, 1_233),
        planned_minor: vec![1_000, 233],
        payments: vec![PaymentV1 {
            payment_id: "payment-2".into(),
            token_ref: Some("tok_9".into()),
            amount_minor: 233,
        }],
        delivery: Some(DeliveryV1 {
            method: Some("express".into()),
            address_ref: Some("adr_9".into()),
            line_ids: vec![],
        }),
        attributes: vec![("gift".into(), String::new())],
        note: Some("ring twice".into()),
        reason: "the customer rang".into(),
        cancels: false,
        settled_minor: -690,
    }
}

fn steps() -> RecordV1 {
    let steps = every!(StepV1: Reserve, Authorize, Book, Capture, CancelShipment, Void, Refund, Release, Restock, Review);
    let start = |step| EventV1::StepStarted {
        step,
        instance: 1,
        generation: 0,
        part: None,
        amount_minor: None,
        lines: Vec::new(),
        expires_ms: None,
    };
    with_events(steps.map(start).into())
}

fn step_outcomes() -> Vec<StepOutcomeV1> {
    vec![
        StepOutcomeV1::Done {
            reference: "auth-1".into(),
            amount_minor: Some(4_290),
            expires_ms: Some(AT_MS),
            lines: vec![part(1)],
        },
        StepOutcomeV1::Declined { code: "card".into(), reason: "expired".into(), lines: vec![part(2)] },
        StepOutcomeV1::Failed { reason: "500".into() },
        StepOutcomeV1::Unknown { reason: "timeout".into() },
        StepOutcomeV1::Pending { reference: "3ds".into(), until_ms: Some(AT_MS), lines: vec![] },
        StepOutcomeV1::Settled { done: true, reference: Some("auth-1".into()) },
        StepOutcomeV1::Refused { code: "gone".into(), reason: "the parcel has left".into() },
        StepOutcomeV1::Skipped { reason: "free".into() },
        StepOutcomeV1::Resolved { done: false, operator: "ops".into(), evidence: "ticket 7".into() },
        StepOutcomeV1::NotDone { reason: Some("a timeout".into()), calls: 6 },
    ]
}

fn component_kinds() -> RecordV1 {
    let kinds = every!(ComponentKindV1: Goods, Tax, Discount, Shipping, Fee);
    let components = kinds.map(|kind| ComponentV1 { kind, amount_minor: -1 }).into();
    with_events(vec![EventV1::Placed(Box::new(PlacedV1 { components, ..placed() }))])
}

fn statuses() -> RecordV1 {
    let statuses = every!(StatusV1: Open, Completed, Canceling, Canceled);
    with_events(statuses.map(|status| EventV1::StatusChanged { status, reason: None }).into())
}

fn attentions() -> RecordV1 {
    let attentions = every!(AttentionV1: None, Held, Stalled, Parked);
    let changed = |attention| EventV1::AttentionChanged { attention, reason: "r".into() };
    with_events(attentions.map(changed).into())
}

fn checkpoint() -> RecordV1 {
    // As version 1 wrote it.
    let state = from_hex(&std::fs::read_to_string(golden("codec/snapshot_open.hex")).unwrap());
    let body = CheckpointV1 {
        version: 1,
        revision: 1_002,
        state,
        ids_digest: [0xcd; 32],
        deadline: DeadlineV1::Set(AT_MS),
    };
    RecordV1 { expected_revision: 0, body: BodyV1::Checkpoint(body), ..record(vec![]) }
}

fn closed() -> RecordV1 {
    let outcome = |number: u8, verdict| ClosedOutcomeV1 {
        source: "/shops/web".into(),
        id: format!("c-{number}"),
        content_hash: [number; 32],
        verdict,
    };
    let rejected = VerdictV1::Rejected { version: 1, code: "order_exists".into(), message: "Yes.".into() };
    let body = ClosedV1 {
        summary: vec![1, 2, 3],
        outcomes: vec![outcome(1, VerdictV1::Applied { version: 1 }), outcome(2, rejected)],
        location: "s3://archive/1".into(),
        chain: [0xef; 32],
    };
    RecordV1 { body: BodyV1::Closed(body), ..record(vec![]) }
}

/// Numbers at the edges of the variable form, and the empty and the odd.
fn extremes() -> RecordV1 {
    let numbers = [0, 250, 251, 65_535, 65_536, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX];
    let lines = numbers.map(|quantity| LinePartV1 { quantity, ..whole_part() }).into();
    let amounts = [0, -1, 1, 125, -126, i64::MIN, i64::MAX];
    let refunds = amounts.map(|amount_minor| EventV1::Refunded {
        payment_id: String::new(),
        return_id: None,
        amount_minor,
        lines: vec![],
    });
    let mut events = vec![EventV1::LinesShort { lines, reason: "🛒 \0 \u{10ffff}".into() }];
    events.extend(refunds);
    let last = DecisionV1 {
        received_ms: i64::MIN,
        time_ms: Some(i64::MAX),
        policy_version: u32::MAX,
        verdict: VerdictV1::Applied { version: u64::MAX },
        ..decision(2)
    };
    let mut record = with_events(events);
    record.expected_revision = u64::MAX - 2;
    let BodyV1::Decisions(decisions) = &mut record.body else { unreachable!("decisions were given") };
    decisions.push(last);
    record
}
