//! The values whose stored bytes are pinned, beside those in [`crate::variants`].

use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::codec::fence::{Fence, IntakeFloor};
use retailflow_engine::codec::snapshot::{
    ActiveV2, AmendsV5, EarlierV4, HoldV5, OpenReturnV5, OwedV5, PaymentStateV5, PlanV5, RefundV5, ReturnsV2,
    SagaV2, ShopV5, SnapshotV1, SnapshotV2, SnapshotV3, SnapshotV4, SnapshotV5, StepStateV2, WordsV4,
};
use retailflow_engine::codec::v1::*;
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId, TimestampMs};
use retailflow_engine::keys::GENESIS;
use retailflow_engine::ports::{DeadLetter, LogIdentity, TenantSetting, TenantStatus};
use retailflow_engine::wire::flow_rules::{CaptureAt, FlowRules};
use retailflow_engine::wire::payment_rules::{OnDecline, PaymentRules, RefundOrder};
use retailflow_engine::wire::return_rules::{RefundRule, ReturnRules};

/// When everything here happens.
pub(crate) const AT_MS: i64 = 1_767_225_600_000;

pub(crate) fn order() -> OrderRef {
    OrderRef { tenant: TenantId::parse("cdnow").unwrap(), order: OrderId::parse("o-1997_00042").unwrap() }
}

/// A decision to be changed where it matters.
pub(crate) fn decision(number: u32) -> DecisionV1 {
    DecisionV1 {
        source: "/shops/web".into(),
        id: format!("c-{number}"),
        kind: CommandKindV1::Place,
        content_hash: [number as u8; 32],
        actor: ActorV1::Tenant,
        causation: None,
        time_ms: None,
        received_ms: AT_MS,
        policy_version: 1,
        trace_id: None,
        verdict: VerdictV1::Applied { version: 1 },
        events: Vec::new(),
        deadline: DeadlineV1::Keep,
    }
}

pub(crate) fn record(decisions: Vec<DecisionV1>) -> RecordV1 {
    RecordV1 {
        tenant: order().tenant.to_string(),
        order: order().order.to_string(),
        expected_revision: 2,
        previous: [0x5a; 32],
        body: BodyV1::Decisions(decisions),
    }
}

pub(crate) fn with_events(events: Vec<EventV1>) -> RecordV1 {
    record(vec![DecisionV1 { events, ..decision(1) }])
}

pub(crate) fn placed() -> PlacedV1 {
    PlacedV1 {
        customer: "käufer-1".into(),
        currency: *b"EUR",
        total_minor: 4_290,
        lines: vec![
            LineV1 {
                line_id: "1".into(),
                sku: "cd-0001".into(),
                quantity: 3,
                amount_minor: 3_900,
                components: vec![ComponentV1 { kind: ComponentKindV1::Tax, amount_minor: 623 }],
            },
            LineV1 {
                line_id: "2".into(),
                sku: "bag".into(),
                quantity: 1,
                amount_minor: 0,
                components: vec![],
            },
        ],
        components: vec![ComponentV1 { kind: ComponentKindV1::Shipping, amount_minor: 390 }],
        payments: vec![
            PaymentV1 { payment_id: "p1".into(), token_ref: Some("tok_1".into()), amount_minor: 4_000 },
            PaymentV1 { payment_id: "p2".into(), token_ref: None, amount_minor: 290 },
        ],
        deliveries: vec![
            DeliveryV1 {
                method: Some("parcel".into()),
                address_ref: Some("adr-7".into()),
                line_ids: vec!["1".into()],
            },
            DeliveryV1 { method: None, address_ref: None, line_ids: vec![] },
        ],
        attributes: vec![("channel".into(), "web".into()), ("note".into(), String::new())],
        placed_ms: Some(AT_MS - 1_000),
        sealed: Some(SealedV1 { key_id: "key-1".into(), ciphertext: vec![0, 1, 254, 255] }),
    }
}

pub(crate) fn snapshots() -> Vec<(&'static str, SnapshotV1)> {
    let rejected =
        VerdictV1::Rejected { version: 1, code: "order_exists".into(), message: "There is one.".into() };
    let open = SnapshotV1 {
        log_id: [0x11; 16],
        tenant: "cdnow".into(),
        order: "o-1997_00042".into(),
        revision: 1_002,
        chain: [0x22; 32],
        version: 1,
        status: Some(StatusV1::Open),
        placed: Some(PlacedV1 { deliveries: vec![], ..placed() }),
        deadline_ms: Some(AT_MS),
        recent: vec![
            ("/shops/web".into(), "c-1".into(), [1; 32], VerdictV1::Applied { version: 1 }),
            ("/shops/web".into(), "c-2".into(), [2; 32], rejected),
        ],
        older: vec![0, 250, 251, 65_536, u64::MAX],
    };
    let absent = SnapshotV1 {
        status: None,
        placed: None,
        deadline_ms: None,
        recent: vec![],
        older: vec![],
        revision: 0,
        version: 0,
        chain: GENESIS,
        ..open.clone()
    };
    vec![("snapshot_open", open), ("snapshot_absent", absent)]
}

pub(crate) fn snapshots_v2() -> Vec<(&'static str, SnapshotV2)> {
    let [(_, open), (_, absent)] = snapshots().try_into().unwrap();
    let part = |line_id: &str, amount_minor| LinePartV1 {
        line_id: line_id.into(),
        quantity: 2,
        amount_minor,
        sku: None,
    };
    let active = ActiveV2 {
        step: StepV1::Refund,
        instance: 2,
        generation: 3,
        part: Some("r1".into()),
        amount_minor: 250,
        lines: Some(vec![part("1", None)]),
        expires_ms: AT_MS + 900_000,
        pending: Some(("pay-7".into(), Some(AT_MS + 60_000))),
        asked_again: true,
    };
    let standings = [
        StepStateV2::Open,
        StepStateV2::Done,
        StepStateV2::Undone,
        StepStateV2::Declined,
        StepStateV2::NotDone,
        StepStateV2::Refused,
    ];
    let saga = SagaV2 {
        active: Some(active),
        cells: (1..).zip(standings).collect(),
        references: vec![Some("inv-1".into()), None, Some("ship-1".into())],
        authorization_expires_ms: Some(AT_MS + 86_400_000),
        units: [5, 4, 3, 2, 1],
        amounts_minor: [4_000, 3_000, 2_000, 1_000],
        attention: Some((AttentionV1::Held, "refund is pending".into())),
        cancel_reason: Some("changed my mind".into()),
        cancel_asked: true,
        cancel_refused: true,
        archived: true,
        returns: Some(ReturnsV2 {
            count: 2,
            by_line: vec![(2, 250), (0, 0)],
            open: vec![("r1".into(), vec![part("1", Some(250))], "too small".into(), false)],
        }),
    };
    vec![
        ("snapshot_v2_busy", SnapshotV2 { base: open, saga }),
        ("snapshot_v2_absent", SnapshotV2 { base: absent, saga: SagaV2::default() }),
    ]
}

pub(crate) fn snapshots_v3() -> Vec<(&'static str, SnapshotV3)> {
    let [(_, busy), (_, absent)] = snapshots_v2().try_into().unwrap();
    let (changed_ms, archived_ms) = (Some((AT_MS, AT_MS + 1_000)), Some(AT_MS + 1_000));
    vec![
        ("snapshot_v3_busy", SnapshotV3 { state: busy, changed_ms, archived_ms }),
        ("snapshot_v3_absent", SnapshotV3 { state: absent, changed_ms: None, archived_ms: None }),
    ]
}

pub(crate) fn snapshots_v4() -> Vec<(&'static str, SnapshotV4)> {
    let [(_, busy), (_, absent)] = snapshots_v3().try_into().unwrap();
    let return_rules = [RefundRuleV1::WithLastUnit, RefundRuleV1::ProRata, RefundRuleV1::Never];
    let earlier = EarlierV4 {
        step: StepV1::Refund,
        instance: 2,
        generation: 2,
        part: Some("r1".into()),
        reference: Some("re-1".into()),
        standing: StepStateV2::NotDone,
        told: true,
    };
    let words = WordsV4 {
        settling: Some((Some("ops".into()), "nothing on the account".into())),
        contradiction: Some((StepV1::Book, "done after all".into())),
        earlier: vec![earlier],
        last_ended: Some((StepV1::Refund, StepStateV2::NotDone)),
        pending_since_ms: Some(AT_MS),
        operator: Some((CommandKindV1::Resume, "ops".into(), Some("by phone".into()), AT_MS)),
    };
    vec![
        ("snapshot_v4_busy", SnapshotV4 { state: busy, return_rules, told: 9, words }),
        (
            "snapshot_v4_absent",
            SnapshotV4 {
                state: absent,
                return_rules: [RefundRuleV1::Never; 3],
                told: 0,
                words: WordsV4::default(),
            },
        ),
    ]
}

pub(crate) fn snapshots_v5() -> Vec<(&'static str, SnapshotV5)> {
    let [(_, busy), (_, absent)] = snapshots_v4().try_into().unwrap();
    let tax = || vec![ComponentV1 { kind: ComponentKindV1::Tax, amount_minor: 190 }];
    let payment = PaymentStateV5 {
        planned_minor: 4_000,
        amounts_minor: [4_000, 3_000, 2_000, 1_000],
        authorization: Some("aut-1".into()),
        capture: Some("cap-1".into()),
        expires_ms: Some(AT_MS),
        entered: 2,
        declined: false,
    };
    let declined = PaymentStateV5 { planned_minor: 290, declined: true, ..PaymentStateV5::default() };
    let refund = RefundV5 {
        refund_id: "f1".into(),
        amount_minor: 290,
        lines: vec![("1".into(), 100)],
        components: tax(),
        payment_id: Some("p1".into()),
        reason: "late".into(),
        payment: Some(0),
        after_returns: 1,
        paid: (100, 1),
    };
    let owed = OwedV5 {
        payment_rules: Some((RefundOrderV1::ProRata, OnDeclineV1::Wait, 3_600_000)),
        waiting_until_ms: Some(AT_MS),
        returns: vec![OpenReturnV5 { paid: (250, 1), split: Some((vec![("1".into(), 60)], tax())) }],
        refunds: vec![refund],
        with_returns: tax(),
        beside_lines: vec![("1".into(), 190)],
    };
    let flow = FlowRules { version: 2, capture: CaptureAt::BeforeBooking, ..FlowRules::DEFAULT };
    let plan = PlanV5 {
        flow: flow.into(),
        available_from_ms: Some(AT_MS),
        deliveries_from_ms: vec![(2, AT_MS)],
        shipments: vec![(ShipmentStateV1::Lost, AT_MS)],
    };
    let hold = HoldV5 {
        name: "fraud".into(),
        operator: Some("ops".into()),
        reason: "a new address".into(),
        since_ms: AT_MS,
        until_ms: Some(AT_MS + 1_000),
        overdue: Some("its time is over".into()),
    };
    let fact = FactV1 {
        kind: FactKindV1::Chargeback,
        amount_minor: 1_177,
        reference: "case-9".into(),
        payment_id: Some("p1".into()),
        line_id: None,
        happened_ms: None,
        recorded_ms: AT_MS,
        reason: Some("not me".into()),
    };
    let line =
        TermLineV1 { line_id: "1".into(), quantity: 2, restock: false, condition: Some("opened".into()) };
    let terms = ReturnTermsV1 { return_id: "r1".into(), fee_minor: 100, lines: vec![line] };
    let relation = RelationV1 { kind: RelationKindV1::ExchangeOf, order: "16".into() };
    let shop = ShopV5 {
        holds: vec![hold],
        facts: vec![fact],
        covered: vec![("r1".into(), 60)],
        return_terms: vec![terms],
        relation: Some(relation),
    };
    let units = LinePartV1 { line_id: "1".into(), quantity: 2, amount_minor: None, sku: None };
    let amends = AmendsV5 {
        goods: Some((vec![(Some("inv-1".into()), vec![units]), (None, vec![])], vec![])),
        reopened: true,
        note: Some("ring twice".into()),
    };
    let empty = SnapshotV5 {
        state: absent,
        payments: vec![],
        owed: OwedV5::default(),
        shop: ShopV5::default(),
        amends: AmendsV5::default(),
        plan: None,
    };
    vec![
        (
            "snapshot_v5_busy",
            SnapshotV5 {
                state: busy,
                payments: vec![payment, declined],
                owed,
                shop,
                amends,
                plan: Some(plan),
            },
        ),
        ("snapshot_v5_absent", empty),
    ]
}

pub(crate) fn fences() -> Vec<(&'static str, Fence)> {
    let first = Fence {
        partition: PartitionId(0),
        epoch: 1,
        group: 1,
        previous: GENESIS,
        digest: GENESIS,
        entries: 0,
        intake: vec![],
        effects_floor: 0,
        node: String::new(),
        written: TimestampMs(0),
    };
    let later = Fence {
        partition: PartitionId(127),
        epoch: 7,
        group: 1_000_000,
        previous: [0x33; 32],
        digest: [0x44; 32],
        entries: 300,
        intake: vec![
            IntakeFloor { inbox: [0x55; 16], position: 56_902 },
            IntakeFloor { inbox: [0x66; 16], position: 0 },
        ],
        effects_floor: 70_000,
        node: "node-a".into(),
        written: TimestampMs(AT_MS),
    };
    vec![("fence_first", first), ("fence_later", later)]
}

pub(crate) fn cursor() -> Cursor {
    Cursor { log_id: [0x77; 16], position: 3 << 32 | 70_000, index: 300 }
}

pub(crate) fn identity() -> LogIdentity {
    LogIdentity {
        log_id: [0x77; 16],
        cluster: "retail".into(),
        partitions: 128,
        shards: 8,
        created: TimestampMs(AT_MS),
    }
}

pub(crate) fn deadlines() -> Vec<(&'static str, Deadline)> {
    vec![
        ("deadline_set", Deadline { order: order(), revision: 3, at: Some(TimestampMs(AT_MS)) }),
        ("deadline_cleared", Deadline { order: order(), revision: u64::MAX, at: None }),
    ]
}

pub(crate) fn controls() -> Vec<(&'static str, Control)> {
    let at = TimestampMs(AT_MS);
    vec![
        ("control_park", Control::Park { order: order(), reason: "it crashed 3 times".into(), at }),
        (
            "control_parked_command",
            Control::ParkedCommand {
                order: order(),
                sequence: 3,
                key: "/shops/web\0c-9".into(),
                content_hash: [0x88; 32],
                body: b"{}".to_vec(),
                actor: ActorV1::Operator("ops@retail".into()),
                trace_id: None,
                at,
            },
        ),
        ("control_release", Control::Release { order: order(), actor: "ops@retail".into(), at }),
    ]
}

pub(crate) fn notes() -> Vec<(&'static str, Note)> {
    let tenant = TenantId::parse("cdnow").unwrap();
    let letter = DeadLetter {
        key: [0x99; 16],
        tenant: Some("CDNOW!".into()),
        origin: "commands.jsonl, line 7".into(),
        code: "invalid_json".into(),
        reason: "expected a comma".into(),
        body: vec![0xff, b'{'],
        length_bytes: 104_857_600,
        at: TimestampMs(AT_MS),
    };
    let tenants =
        [(TenantStatus::Active, None), (TenantStatus::Suspended, Some(64))].map(|(status, in_flight_max)| {
            TenantSetting { status, in_flight_max, ..TenantSetting::new(tenant.clone()) }
        });
    let [active, suspended] = tenants;
    let returns =
        ReturnRules { shipping: RefundRule::WithLastUnit, tax: RefundRule::ProRata, fee: RefundRule::Never };
    let with_rules = TenantSetting { returns, ..TenantSetting::new(tenant) };
    let payments = PaymentRules {
        refund_order: RefundOrder::ProRata,
        on_decline: OnDecline::Wait,
        payment_wait_ms: 3_600_000,
    };
    let with_payments = TenantSetting { payments, ..with_rules.clone() };
    let flow = FlowRules { version: 2, capture: CaptureAt::BeforeBooking, ..FlowRules::DEFAULT };
    let with_flow = TenantSetting { flow, ..with_payments.clone() };
    vec![
        ("note_dead_letter", Note::DeadLetter(letter)),
        ("note_tenant_active", Note::Tenant(active)),
        ("note_tenant_suspended", Note::Tenant(suspended)),
        ("note_tenant_with_rules", Note::Tenant(with_rules)),
        ("note_tenant_with_payments", Note::Tenant(with_payments)),
        ("note_tenant_with_flow", Note::Tenant(with_flow)),
    ]
}
