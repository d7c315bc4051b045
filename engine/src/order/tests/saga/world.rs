//! An order in a world in which each decision is durable at once, and checked from all sides.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

pub(in super::super) use super::commands::*;
use crate::codec::v1::{self, BodyV1, EventV1};
use crate::fulfillment::flow::way_forward;
pub(in super::super) use crate::fulfillment::{Effect, Mode, next};
use crate::ids::{CommandId, TimestampMs};
use crate::order::tests::{the_order, with_data};
pub(in super::super) use crate::order::{
    Active, Aggregate, Command, Context, Draft, Drafted, EngineCommand, Order, OrderStatus, StepAt,
    StepOutcome, Totals, Verdict,
};
use crate::order::{Actor, DryRun, Incoming, decide, decide_engine, dry_run};
pub(in super::super) use crate::samples::author::CONTEXT;
use crate::wire::flow_rules::FlowRules;
pub(in super::super) use crate::wire::{Code, CommandData, command::Step, order::Attention};
use retailflow_invariants::OrderCheck;

/// What a participant was asked for under a key, and may never be asked otherwise.
type Intent = (Step, Option<Arc<str>>, i64, Option<Arc<[crate::ports::LineUnits]>>, TimestampMs);

/// One order and its log.
pub(in super::super) struct World {
    pub(in super::super) aggregate: Aggregate,
    pub(in super::super) context: Context,
    pub(in super::super) log: Vec<Vec<u8>>,
    /// The steps that were asked for, each asking once: `step instance.generation`.
    pub(in super::super) trail: Vec<String>,
    check: OrderCheck,
    intents: HashMap<Arc<str>, Intent>,
    /// What of its price is settled otherwise than by its payments, as its changes say.
    settled_minor: i64,
    commands: u64,
    /// The verdict on the last command that was decided.
    pub(in super::super) said: Verdict,
}

impl World {
    /// Nothing was placed.
    pub(in super::super) fn empty() -> Self {
        Self {
            aggregate: Aggregate::new(the_order()),
            context: CONTEXT,
            log: Vec::new(),
            trail: Vec::new(),
            check: OrderCheck::default(),
            intents: HashMap::new(),
            settled_minor: 0,
            commands: 0,
            said: Verdict::applied(0),
        }
    }

    /// An order as [`basket`] says, or another.
    pub(in super::super) fn placed_as(data: Value) -> Self {
        let mut world = Self::empty();
        assert_eq!(world.ask(place_of(data)), Code::Applied);
        world
    }

    /// An order that these records made.
    pub(in super::super) fn from_log(log: &[Vec<u8>]) -> Self {
        let mut world = Self::empty();
        for bytes in log {
            world.aggregate.fold(bytes, 1000).unwrap();
            assert_eq!(world.check.record(bytes).unwrap(), []);
            world.settled_minor += settled_minor(bytes);
            world.log.push(bytes.clone());
        }
        // The commands of the log have their ids.
        world.commands = 1_000_000;
        world
    }

    pub(in super::super) fn placed() -> Self {
        Self::placed_as(basket())
    }

    /// An order at its step `step`, all before it done.
    pub(in super::super) fn at(step: Step) -> Self {
        let mut world = Self::empty();
        if step == Step::Review {
            world.context.policy.flow = FlowRules { version: 2, review: true, ..FlowRules::DEFAULT };
        }
        assert_eq!(world.ask(place_of(basket())), Code::Applied);
        while world.step() != Some(step) {
            world.answer(done());
        }
        world
    }

    pub(in super::super) fn completed() -> Self {
        let mut world = Self::at(Step::Capture);
        world.answer(done());
        world
    }

    pub(in super::super) fn order(&self) -> &Order {
        &self.aggregate.order
    }

    pub(in super::super) fn status(&self) -> OrderStatus {
        self.order().status
    }

    pub(in super::super) fn attention(&self) -> Attention {
        self.order().saga.attention.kind()
    }

    pub(in super::super) fn totals(&self) -> Totals {
        self.order().saga.totals
    }

    pub(in super::super) fn active(&self) -> Option<&Active> {
        self.order().saga.active.as_ref()
    }

    pub(in super::super) fn step(&self) -> Option<Step> {
        self.active().map(|active| active.at.step)
    }

    /// Step, instance and generation of what is asked for, as `capture 1.1`.
    pub(in super::super) fn asking(&self) -> String {
        self.active().map_or_else(String::new, |active| asking(&active.at))
    }

    pub(in super::super) fn effect(&self) -> Option<Effect> {
        next(&the_order(), self.order())
    }

    pub(in super::super) fn mode(&self) -> Option<Mode> {
        self.effect().map(|effect| effect.mode)
    }

    /// A tenant's or an operator's command, as its kind has it: what it came to.
    pub(in super::super) fn ask(&mut self, data: CommandData) -> Code {
        self.commands += 1;
        let mut command = with_data(&crate::samples::author::place(&the_order(), "template"), data);
        command.key.id = CommandId::parse(&format!("c-{}", self.commands)).unwrap();
        if command.data.kind().is_operator() {
            command.actor = Actor::Operator("ops".into());
        }
        self.ask_as(&command)
    }

    pub(in super::super) fn ask_as(&mut self, command: &Command) -> Code {
        assert_eq!(
            decide(self.order(), command, &self.context),
            decide(self.order(), command, &self.context),
            "decide is deterministic"
        );
        let (before, dry) =
            (self.aggregate.clone(), dry_run(self.aggregate.clone(), command, &self.context, true).unwrap());
        let mut draft = Draft::new(&self.aggregate);
        match draft.decide(&self.aggregate, command, &self.context, true) {
            Drafted::Decided(index) => {
                self.said = draft.outcome(index).clone();
                self.commit(draft);
                self.was_told_before(before, dry);
                self.said.code()
            }
            Drafted::Refused(code, why) => {
                assert_eq!(dry, DryRun::Refused(code, why), "a dry run says the same");
                code
            }
            other => panic!("{other:?}"),
        }
    }

    /// The dry run of the command that was decided last, on the state before it, said what came of it.
    fn was_told_before(&self, mut before: Aggregate, dry: DryRun) {
        let DryRun::Decided(verdict, preview) = dry else { panic!("{dry:?}, and it was decided") };
        assert_eq!(verdict, self.said, "a dry run says the same");
        let (kept, granted) = (before.order.saga.kept_minor(), granted_minor(&before));
        let turns_back = self.status() == OrderStatus::Canceling && before.order.status != self.status();
        let record = self.log.last().expect("it was recorded");
        let published = Incoming::read(record).unwrap().publish(&mut before).unwrap();
        let events: Vec<_> = published.into_iter().map(|published| published.event).collect();
        assert_eq!(preview.events, events, "and shows what was published");
        let (view, _) = crate::order::view(&the_order(), &self.log, None).unwrap().unwrap();
        assert_eq!((preview.order_status, preview.step), (view.head.status, view.head.step));
        assert_eq!(preview.money.payment, view.payment);
        let pays = preview.money.refund_minor.map_or(0, |amount| amount.minor());
        let granted = granted_minor(&self.aggregate) - granted;
        let back = if turns_back { kept } else { 0 };
        assert_eq!(pays, granted + back, "{preview:?}");
        let left = preview.money.left_to_refund_minor.minor();
        assert!(left + self.totals().refunded_minor <= self.totals().captured_minor, "{preview:?}");
    }

    /// A command of the engine's own: was it news?
    pub(in super::super) fn engine(&mut self, command: &EngineCommand) -> bool {
        let first = decide_engine(self.order(), command, &self.context);
        assert_eq!(first, decide_engine(self.order(), command, &self.context), "decide is deterministic");
        let mut draft = Draft::new(&self.aggregate);
        let news = draft.decide_engine(command, &self.context);
        if news {
            self.commit(draft);
        }
        news
    }

    /// An answer to an asking: was it news?
    pub(in super::super) fn answer_to(&mut self, at: &StepAt, outcome: StepOutcome) -> bool {
        self.engine(&EngineCommand::StepOutcome { at: at.clone(), outcome })
    }

    /// The answer to what is asked for now.
    #[track_caller]
    pub(in super::super) fn answer(&mut self, outcome: StepOutcome) {
        let at = self.active().expect("a step is asked for").at.clone();
        assert!(self.answer_to(&at, outcome), "it is news");
    }

    /// The deadline comes: was there anything to be done?
    #[track_caller]
    pub(in super::super) fn deadline_passes(&mut self) {
        self.context.now = self.order().deadline.expect("it has a deadline");
        assert!(self.engine(&EngineCommand::DeadlinePassed { last: None }), "someone looks at it");
    }

    /// Everything is done that is asked for: the steps, in order.
    pub(in super::super) fn runs_out(&mut self) -> Vec<&'static str> {
        let mut steps = Vec::new();
        while let Some(step) = self.step() {
            steps.push(step.as_str());
            self.answer(done());
            assert!(steps.len() < 20, "it goes round: {steps:?}");
        }
        steps
    }

    pub(in super::super) fn commit(&mut self, draft: Draft) {
        let guess = draft.weight_bytes();
        let sealed = draft.seal(&self.aggregate).unwrap();
        assert!(sealed.bytes.len() <= guess, "{} bytes, guessed {guess}", sealed.bytes.len());
        let bytes = sealed.bytes.to_vec();
        let before = self.aggregate.clone();
        sealed.commit_to(&mut self.aggregate, 1000);
        assert_eq!(self.check.record(&bytes).unwrap(), [], "in {:#?}", self.order());
        let mut folded = before;
        folded.fold(&bytes, 1000).unwrap();
        assert_eq!(folded, self.aggregate, "folding the record gives what committing it gave");
        let snapshot = self.aggregate.to_snapshot([1; 16]).unwrap();
        let back = Aggregate::from_snapshot(&the_order(), [1; 16], &snapshot).unwrap();
        assert_eq!(back, self.aggregate, "a snapshot holds all of the state");
        self.settled_minor += settled_minor(&bytes);
        self.log.push(bytes);
        self.stands();
    }

    /// What holds of every state, whatever led to it.
    fn stands(&mut self) {
        let order = self.order().clone();
        let (saga, totals) = (&order.saga, &order.saga.totals);
        let waits = matches!(order.status, OrderStatus::Open | OrderStatus::Canceling)
            || saga.active.is_some()
            || saga.owed().is_some_and(|_| order.status == OrderStatus::Completed);
        assert_eq!(order.deadline.is_some(), waits, "no order waits silently: {order:#?}");
        let held = saga.attention.kind() != Attention::None;
        // An older build's order has not begun: its deadline sees to that.
        let begun = saga.cell(way_forward(saga.flow())[0]).instance > 0;
        let pays = saga.waiting_until.is_some();
        let goods = order.awaits_goods(self.context.now).is_some();
        let early = |line: &crate::order::Line| {
            saga.delivery_from(line.delivery).is_some_and(|from| from > self.context.now)
        };
        if let Some(effect) = self.effect().filter(|effect| effect.at.step == Step::Reserve) {
            assert!(!effect.request.lines().any(|(line, _)| early(line)), "it was asked too early");
        }
        let on_hold = saga.is_on_hold(order.status);
        let ended = matches!(order.status, OrderStatus::Completed | OrderStatus::Canceled);
        assert!(!ended || saga.holds().is_empty(), "a hold ends with its order: {order:#?}");
        assert!(
            !waits || saga.active.is_some() || held || pays || goods || on_hold || !begun,
            "it waits for nothing: {order:#?}"
        );
        let performs = self.mode() == Some(Mode::Perform);
        assert!(!performs || saga.attention.kind() != Attention::Held, "held, and yet at work: {order:#?}");
        let placed = order.placed.as_ref().unwrap();
        let net_units =
            (totals.reserved_units - totals.released_units, totals.booked_units - totals.canceled_units);
        let open_minor = totals.authorized_minor - totals.voided_minor;
        match order.status {
            OrderStatus::Completed => {
                assert_eq!(
                    (net_units, totals.captured_minor),
                    ((placed.units(), placed.units()), placed.total_minor - self.settled_minor)
                );
                assert!(totals.refunded_minor <= totals.captured_minor, "{totals:?}");
                assert_eq!(open_minor, totals.captured_minor, "no authorization is left open");
            }
            OrderStatus::Canceled => {
                assert!(saga.active.is_none(), "canceled, and yet on its way");
                assert_eq!((net_units, saga.kept_minor()), ((0, 0), 0));
                assert_eq!(open_minor, totals.captured_minor, "no authorization is left open");
            }
            OrderStatus::Absent | OrderStatus::Open | OrderStatus::Canceling => {}
        }
        let sum = |of: fn(&crate::order::PaymentState) -> i64| saga.payments.iter().map(of).sum::<i64>();
        assert_eq!(
            (sum(|one| one.authorized_minor), sum(|one| one.voided_minor)),
            (totals.authorized_minor, totals.voided_minor),
        );
        assert_eq!(
            (sum(|one| one.captured_minor), sum(|one| one.refunded_minor)),
            (totals.captured_minor, totals.refunded_minor),
        );
        assert!(
            saga.payments.iter().all(|one| one.refunded_minor <= one.captured_minor),
            "{:#?}",
            saga.payments
        );
        if let Some(goods) = &saga.goods {
            let sum =
                |of: &dyn Fn(&str) -> u64| placed.lines.iter().map(|line| of(&line.line_id)).sum::<u64>();
            let by_line =
                (sum(&|line_id: &str| goods.reserved(line_id)), sum(&|line_id: &str| goods.booked(line_id)));
            assert_eq!(by_line, net_units, "goods by line add up: {goods:?}");
        }
        if order.status != OrderStatus::Canceling && order.status != OrderStatus::Canceled {
            let planned_minor = placed.total_minor - self.settled_minor;
            assert_eq!(sum(|one| one.planned_minor), planned_minor, "payments add up");
        }
        crate::order::view_of(&self.aggregate, None).unwrap();
        let effects = self.check.effects();
        assert_eq!(
            (effects.captured_minor, effects.refunded_minor, u64::from(effects.restocked_units)),
            (totals.captured_minor, totals.refunded_minor, totals.restocked_units),
        );
        assert_eq!((u64::from(effects.reserved_units), u64::from(effects.booked_units)), net_units);
        if let Some(effect) = self.effect() {
            let asks = asking(&effect.at);
            let is_new = self.trail.last() != Some(&asks);
            if is_new {
                self.trail.push(asks);
            }
            if effect.at.step == Step::Refund && is_new {
                let kept_minor = saga.payments.get(effect.at.for_part().payment).unwrap().kept_minor();
                assert!(effect.request.amount_minor <= kept_minor, "money is paid back twice: {order:#?}");
            }
            let asked = &effect.request;
            assert_eq!(asked.payment, effect.at.for_part().payment);
            let intent =
                (asked.step, asked.reference.clone(), asked.amount_minor, asked.units.clone(), asked.expires);
            let first = self.intents.entry(asked.key.clone()).or_insert_with(|| intent.clone());
            assert_eq!(*first, intent, "a key is never used for anything else");
        }
    }
}

fn settled_minor(record: &[u8]) -> i64 {
    let BodyV1::Decisions(decisions) = v1::decode(record).unwrap().body else { return 0 };
    let events = decisions.iter().flat_map(|decision| &decision.events);
    events.map(|event| if let EventV1::Amended(amended) = event { amended.settled_minor } else { 0 }).sum()
}

fn granted_minor(aggregate: &Aggregate) -> i64 {
    let saga = &aggregate.order.saga;
    let returns = saga.returns.as_deref();
    let returned: i64 = returns.map_or(0, |returns| returns.by_line.iter().map(|(_, minor)| *minor).sum());
    returned + saga.refunds().iter().map(|asked| asked.request.amount_minor).sum::<i64>()
}

fn asking(at: &StepAt) -> String {
    format!("{} {}.{}", at.step.as_str(), at.instance, at.generation)
}
