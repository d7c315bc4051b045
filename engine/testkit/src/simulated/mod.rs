//! Simulated participants: stock, money and parcels of another company, deterministic, with books of their own.
//!
//! The honest core answers at once and makes no mistakes; what goes wrong on the way to it is drawn by [`FaultRates`] and
//! done by whoever stands in front of it. Its books are the other side of the ledger: the engine never reads them.

mod desk;
mod faults;
mod inventory;
mod keys;
mod payments;
mod shipping;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use faults::{CallFault, DrawnCall, FaultRates};

/// An authorization with this token is reviewed: it is pending until somebody reports it.
pub const REVIEW_TOKEN: &str = "tok_review";
/// An authorization with this token is declined.
pub const DECLINED_TOKEN: &str = "tok_declined";
/// An order of this customer is judged by people: its review is pending until somebody reports it.
pub const REVIEWED_CUSTOMER: &str = "sim-reviewed";
/// An order of this customer is judged bad.
pub const DECLINED_CUSTOMER: &str = "sim-fraud";
/// How long a review is expected to take.
const REVIEW_MS: u64 = 24 * 3_600_000;
pub use inventory::{HALF_IN_STOCK_SKU, NOT_IN_STOCK_SKU, StockOptions};
pub use retailflow_books::{
    BookEntry, BookError, BookKind, BookLine, BookTotals, Journal, MemoryJournal, MoneyTotals, Sides,
    Violation, Why,
};

use self::desk::{Desk, Trade, declined};
use self::inventory::Stock;
use self::payments::Till;
use self::shipping::Parcels;
use retailflow_books::reference;
use retailflow_engine::ids::{CommandId, CommandKey, OrderRef, Source, TimestampMs};
use retailflow_engine::ports::{
    Clock, KeyStanding, Participant, Participants, PortFuture, Role, Settlement, StepAnswer, StepRequest,
};
use retailflow_engine::wire::command::{ReportData, ReportOutcome, ReturnLine, Step};
use retailflow_engine::wire::{CommandData, CommandEvent};

/// What the simulated participants are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOptions {
    /// How much stock there is.
    pub stock: StockOptions,
    /// How long an authorization stands, in milliseconds; `None`: for ever.
    pub authorization_ms: Option<u64>,
    /// Of a thousand parcels, how many go at the moment when they are paid; the others stay until they are sent by hand.
    pub hand_over_permille: u16,
    /// How long after a request's expiry its key is remembered, in milliseconds.
    pub remembers_ms: u64,
    /// Keys that each participant remembers at most.
    pub keys_max: u32,
    /// Steps that each participant has taken on and not decided at most.
    pub pending_max: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            stock: StockOptions::default(),
            authorization_ms: None,
            hand_over_permille: 0,
            remembers_ms: 24 * 3600 * 1000,
            keys_max: 16 << 20,
            pending_max: 100_000,
        }
    }
}

/// Stock, money and parcels.
pub struct SimParticipants {
    clock: Arc<dyn Clock>,
    journal: Arc<dyn Journal>,
    remembers_ms: u64,
    desks: [Mutex<Desk>; Role::ALL.len()],
}

impl SimParticipants {
    /// Participants with empty books.
    #[must_use]
    pub fn new(options: &SimOptions, clock: Arc<dyn Clock>, journal: Arc<dyn Journal>) -> Self {
        let desk = |role| {
            let trade = match role {
                Role::Inventory => Trade::Inventory(Stock::new(options.stock.clone())),
                Role::Payments => Trade::Payments(Till { authorization_ms: options.authorization_ms }),
                Role::Shipping => Trade::Shipping(Parcels::new(options.hand_over_permille, options.keys_max)),
                Role::Review => Trade::Reviewer,
            };
            Mutex::new(Desk::new(role, trade, options.remembers_ms, options.keys_max, options.pending_max))
        };
        Self { clock, journal, remembers_ms: options.remembers_ms, desks: Role::ALL.map(desk) }
    }

    /// Takes an entry of an earlier life in, as its books have it. To be called before anything else, in their order,
    /// shipping before payments.
    pub fn restore(&self, entry: &BookEntry) {
        self.desk(entry.role()).apply(entry);
        if entry.kind == BookKind::Done && entry.step == Step::Capture {
            self.desk(Role::Shipping).paid(&entry.order, entry.amount_minor);
        }
    }

    /// Ends restoring: what was decided before was reported long ago, but for the newest `reports`.
    pub fn restored(&self, reports: usize) {
        Role::ALL.into_iter().for_each(|role| self.desk(role).keep_finished(reports));
    }

    fn desk(&self, role: Role) -> MutexGuard<'_, Desk> {
        self.desks[role as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The three, as the engine sees them.
    #[must_use]
    pub fn ports(self: &Arc<Self>) -> Participants {
        let of = |role| -> Arc<dyn Participant> { Arc::new(SimParticipant { role, all: self.clone() }) };
        Participants {
            inventory: of(Role::Inventory),
            payments: of(Role::Payments),
            shipping: of(Role::Shipping),
            review: of(Role::Review),
        }
    }

    /// Does what is asked for, or says what became of it before. Payments know two tokens for trying things out:
    /// [`REVIEW_TOKEN`] and [`DECLINED_TOKEN`].
    pub fn perform(&self, request: &StepRequest) -> StepAnswer {
        match (request.step, &*request.placed.customer) {
            (Step::Review, REVIEWED_CUSTOMER) => {
                return self.take_on(request, self.clock.now().plus_ms(REVIEW_MS));
            }
            (Step::Review, DECLINED_CUSTOMER) => return self.decline(request),
            _ => {}
        }
        let token = request.token_ref();
        match token.filter(|_| request.step == Step::Authorize) {
            Some(REVIEW_TOKEN) => return self.take_on(request, self.clock.now().plus_ms(REVIEW_MS)),
            Some(DECLINED_TOKEN) => return self.decline(request),
            _ => {}
        }
        self.decide(request, |desk, draft, now, journal| desk.carry_out(draft, now, journal))
    }

    /// Decides against it, unless the key was answered before.
    pub fn decline(&self, request: &StepRequest) -> StepAnswer {
        let why = declined(request.step);
        self.decide(request, |desk, draft, now, journal| desk.write(draft.not_done(why), now, journal))
    }

    /// Takes it on and leaves it undecided until [`Self::report`], unless the key was answered before.
    pub fn take_on(&self, request: &StepRequest, until: TimestampMs) -> StepAnswer {
        self.decide(request, |desk, draft, now, journal| {
            desk.write(BookEntry { until: Some(until), why: None, ..draft }, now, journal)
        })
    }

    fn decide(
        &self,
        request: &StepRequest,
        decide: impl FnOnce(
            &mut Desk,
            BookEntry,
            TimestampMs,
            &dyn Journal,
        ) -> Result<BookEntry, desk::WriteFailure>,
    ) -> StepAnswer {
        let now = self.clock.now();
        let (answer, written) = {
            let mut desk = self.desk(Role::of(request.step));
            if let Some(answer) = desk.at_once(request, now) {
                return answer;
            }
            match decide(&mut desk, BookEntry::draft(request, now), now, &*self.journal) {
                Ok(entry) => (desk.answer(&entry), entry),
                Err(failure) => return failure.answer(),
            }
        };
        self.follow(&written, now);
        answer
    }

    /// What is paid may be sent: the payment provider's word reaches the warehouse.
    fn follow(&self, entry: &BookEntry, now: TimestampMs) {
        if entry.kind != BookKind::Done || !matches!(entry.step, Step::Capture | Step::Book) {
            return;
        }
        let mut shipping = self.desk(Role::Shipping);
        if entry.step == Step::Capture {
            shipping.paid(&entry.order, entry.amount_minor);
        }
        if let Some(units) = shipping.ready(&entry.order, false) {
            let gone = handed_over(entry, units, now);
            // What cannot be written stays in the warehouse.
            drop(shipping.write(gone, now, &*self.journal));
        }
    }

    /// Ends a step that was taken on: the command that reports it. `None` where it is not pending any more.
    #[must_use]
    pub fn report(&self, role: Role, key: &str, outcome: ReportOutcome) -> Option<CommandEvent> {
        let now = self.clock.now();
        let entry = self.desk(role).report(key, outcome, now, &*self.journal)?;
        self.follow(&entry, now);
        report_of(&entry)
    }

    /// Reports of steps that were taken on and have been decided meanwhile (stock came).
    #[must_use]
    pub fn finished(&self) -> Vec<CommandEvent> {
        let finished = Role::ALL.into_iter().flat_map(|role| self.desk(role).take_finished());
        finished.filter_map(|entry| report_of(&entry)).collect()
    }

    /// Keys that were taken on and wait for a report of their participant's, by role: those that wait for stock or are reviewed by
    /// people aside.
    #[must_use]
    pub fn pending(&self) -> Vec<(Role, Arc<str>)> {
        let of = |role| {
            let pending = self.desk(role).pending();
            let waits = pending.into_iter().filter(|(entry, short)| !short && !is_reviewed(entry));
            waits.map(move |(entry, _)| (role, entry.key))
        };
        Role::ALL.into_iter().flat_map(of).collect()
    }

    /// How often the step of a key was done.
    #[must_use]
    pub fn runs(&self, role: Role, key: &str) -> u8 {
        self.desk(role).runs(key)
    }

    /// Keys that are remembered, of all three.
    #[must_use]
    pub fn key_count(&self) -> u64 {
        Role::ALL.into_iter().map(|role| u64::from(self.desk(role).key_count())).sum()
    }

    /// Units left of a SKU; `None` for as many as anybody wants.
    #[must_use]
    pub fn stock_left(&self, sku: &str) -> Option<u64> {
        self.desk(Role::Inventory).stock_left(sku)
    }

    /// Sends an order's parcel off, where it is booked and paid. `false` where there is none, or it must stay.
    pub fn hand_over(&self, order: &OrderRef) -> bool {
        let now = self.clock.now();
        let mut shipping = self.desk(Role::Shipping);
        let Some(units) = shipping.ready(order, true) else { return false };
        let cause = BookEntry {
            kind: BookKind::HandedOver,
            step: Step::Book,
            key: "".into(),
            order: order.clone(),
            target: None,
            amount_minor: 0,
            currency: None,
            units,
            lines: Vec::new(),
            why: None,
            expires: now,
            until: None,
            at: now,
        };
        shipping.write(cause, now, &*self.journal).map_err(desk::WriteFailure::into_text).is_ok()
    }

    fn query(&self, request: &StepRequest) -> KeyStanding {
        self.desk(Role::of(request.step)).query(request, self.clock.now())
    }

    fn settle(&self, request: &StepRequest) -> Settlement {
        let now = self.clock.now();
        let mut desk = self.desk(Role::of(request.step));
        match desk.query(request, now) {
            KeyStanding::Answered(StepAnswer::Done(performed)) => return Settlement::Done(performed),
            KeyStanding::Answered(StepAnswer::Settled) => return Settlement::NotDone,
            // What was declined or refused is not done; from now on the key says so for every step after.
            _ => {}
        }
        let tombstone = BookEntry { kind: BookKind::Settled, why: None, ..BookEntry::draft(request, now) };
        match desk.write(tombstone, now, &*self.journal) {
            Ok(_) => Settlement::NotDone,
            Err(failure) => Settlement::Unknown { reason: failure.into_text().into() },
        }
    }
}

/// Do people decide it? That takes longer than anything that a participant decides by itself.
fn is_reviewed(pending: &BookEntry) -> bool {
    pending.until.is_some_and(|until| until >= pending.at.plus_ms(REVIEW_MS))
}

fn handed_over(cause: &BookEntry, units: u64, now: TimestampMs) -> BookEntry {
    BookEntry {
        kind: BookKind::HandedOver,
        step: Step::Book,
        target: None,
        amount_minor: 0,
        units,
        lines: Vec::new(),
        at: now,
        ..cause.clone()
    }
}

/// The public command by which a participant reports. Its id follows from the key, so that it can be sent again.
fn report_of(entry: &BookEntry) -> Option<CommandEvent> {
    let outcome = match entry.kind {
        BookKind::Done => ReportOutcome::Done,
        BookKind::Declined if entry.why == Some(Why::CouldNotBeDone) => ReportOutcome::Failed,
        BookKind::Declined | BookKind::Refused => ReportOutcome::Declined,
        _ => return None,
    };
    // Of what was done in part, which.
    let in_part = entry.kind == BookKind::Done && entry.why == Some(Why::OutOfStock);
    let line = |line: &BookLine| ReturnLine {
        line_id: line.line_id.to_string(),
        quantity: u32::try_from(line.units).unwrap_or(u32::MAX),
        amount_minor: None,
        restock: None,
        condition: None,
    };
    let lines = if in_part { entry.lines.iter().map(line).collect() } else { Vec::new() };
    let data = ReportData {
        step: entry.step,
        reference: reference(entry.step, &entry.key).to_string(),
        outcome,
        reason: entry.why.map(|why| why.reason().to_owned()),
        amount_minor: None,
        lines,
        until: None,
        shipment: None,
        expected_version: None,
    };
    let key = CommandKey {
        source: Source::parse(&format!("/participants/{}", entry.role().as_str())).ok()?,
        id: CommandId::parse(&format!("report-{}", entry.key)).ok()?,
    };
    Some(CommandEvent::new(entry.order.clone(), key, CommandData::Report(data)))
}

struct SimParticipant {
    role: Role,
    all: Arc<SimParticipants>,
}

impl Participant for SimParticipant {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        let answer = match Role::of(request.step) == self.role {
            true => self.all.perform(request),
            false => StepAnswer::Failed { reason: "that is another participant's step".into() },
        };
        Box::pin(std::future::ready(answer))
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(std::future::ready(self.all.query(request)))
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(std::future::ready(self.all.settle(request)))
    }

    fn remembers_ms(&self) -> u64 {
        self.all.remembers_ms
    }
}
