//! One participant: its keys, what it has taken on, and its trade.
//!
//! Invariant: whatever changes is written in the book first and applied after, by the function that restores it too.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::inventory::Stock;
use super::keys::{AuthorizationState, Effect, Entry, KeyHash, KeyState, Keys, key_hash};
use super::payments::Till;
use super::shipping::Parcels;
use retailflow_books::{BookEntry, BookKind, Journal, Why};
use retailflow_books::{key_of, reference};
use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::ports::{
    KeyStanding, LineUnits, Performed, Role, StepAnswer, StepRequest, StoreError,
};
use retailflow_engine::wire::command::{ReportOutcome, Step};

pub(super) enum Trade {
    Inventory(Stock),
    Payments(Till),
    Shipping(Parcels),
    Reviewer,
}

/// Why nothing was written.
pub(super) enum WriteFailure {
    /// No more keys can be remembered.
    Full(&'static str),
    /// The book cannot be written.
    Book(StoreError),
}

impl WriteFailure {
    /// What is said to a request. A book that failed may hold the entry after all: that is for its journal to know.
    pub(super) fn answer(self) -> StepAnswer {
        match self {
            Self::Full(reason) => StepAnswer::Failed { reason: reason.into() },
            Self::Book(error) => StepAnswer::Unknown { reason: error.to_string().into() },
        }
    }

    pub(super) fn into_text(self) -> String {
        match self {
            Self::Full(reason) => reason.into(),
            Self::Book(error) => error.to_string(),
        }
    }
}

/// What was asked for and not decided, by the order in which it came.
#[derive(Default)]
struct Pendings {
    entries: BTreeMap<u64, BookEntry>,
    by_key: HashMap<KeyHash, u64>,
    next: u64,
}

impl Pendings {
    fn get(&self, key: KeyHash) -> Option<&BookEntry> {
        self.entries.get(self.by_key.get(&key)?)
    }

    fn put(&mut self, key: KeyHash, entry: BookEntry) {
        let next = &mut self.next;
        let number = *self.by_key.entry(key).or_insert_with(|| {
            *next += 1;
            *next
        });
        self.entries.insert(number, entry);
    }

    fn remove(&mut self, key: KeyHash) -> bool {
        self.by_key.remove(&key).is_some_and(|number| self.entries.remove(&number).is_some())
    }

    /// Those that wait for stock, the oldest first.
    fn short(&self) -> Vec<KeyHash> {
        let short = self.entries.values().filter(|entry| entry.why == Some(Why::OutOfStock));
        short.map(|entry| key_hash(&entry.key)).collect()
    }
}

pub(super) struct Desk {
    role: Role,
    remembers_ms: u64,
    pending_max: usize,
    keys: Keys,
    trade: Trade,
    pending: Pendings,
    /// The short lines of what was declined for them, and those given of what was done in part.
    lines: HashMap<KeyHash, Box<[LineUnits]>>,
    /// What was pending and is decided, and not reported yet.
    finished: VecDeque<BookEntry>,
}

impl Desk {
    pub(super) fn new(
        role: Role,
        trade: Trade,
        remembers_ms: u64,
        keys_max: u32,
        pending_max: usize,
    ) -> Self {
        Self {
            role,
            remembers_ms,
            pending_max,
            keys: Keys::new(keys_max),
            trade,
            pending: Pendings::default(),
            lines: HashMap::new(),
            finished: VecDeque::new(),
        }
    }

    /// What `step` under `key` was answered, if it was and is not forgotten.
    fn answered(&self, step: Step, key: &Arc<str>, now: TimestampMs) -> Option<StepAnswer> {
        let hash = key_hash(key);
        let known = self.keys.get(hash).filter(|known| !known.is_forgotten(now))?;
        let why = Why::ALL.get(usize::from(known.why)).copied().unwrap_or(Why::CouldNotBeDone);
        let (code, reason) = (why.code().into(), why.reason().into());
        Some(match known.state {
            KeyState::Done => {
                let units = self.lines.get(&hash).map(|lines| Arc::from(&**lines));
                StepAnswer::Done(Performed { units, ..performed(step, key, known) })
            }
            KeyState::Declined => {
                let lines = self.lines.get(&hash).map(|lines| lines.to_vec()).unwrap_or_default();
                StepAnswer::Declined { code, reason, lines }
            }
            KeyState::Refused => StepAnswer::Refused { code, reason },
            KeyState::Pending => {
                let until = self.pending.get(hash).and_then(|entry| entry.until);
                StepAnswer::Pending { reference: reference(step, key), until }
            }
            KeyState::Settled => StepAnswer::Settled,
        })
    }

    /// What is said to a request before anything is done for it.
    pub(super) fn at_once(&self, request: &StepRequest, now: TimestampMs) -> Option<StepAnswer> {
        if Role::of(request.step) != self.role {
            let reason = format!("{} does not {}", self.role.as_str(), request.step.as_str());
            return Some(StepAnswer::Failed { reason: reason.into() });
        }
        self.answered(request.step, &request.key, now)
            .or_else(|| (now > request.expires).then_some(StepAnswer::Expired))
    }

    pub(super) fn query(&self, request: &StepRequest, now: TimestampMs) -> KeyStanding {
        let answered = self.answered(request.step, &request.key, now);
        answered.map_or(KeyStanding::NotSeen, KeyStanding::Answered)
    }

    /// Decides what `draft` asks for, writes that down and carries it out.
    pub(super) fn carry_out(
        &mut self,
        draft: BookEntry,
        now: TimestampMs,
        journal: &dyn Journal,
    ) -> Result<BookEntry, WriteFailure> {
        self.approve(&draft, now, journal)?;
        let entry = match (draft.why, &self.trade) {
            (Some(why @ Why::UnknownUnits), _) => draft.not_done(why),
            (_, Trade::Inventory(stock)) => stock.decide(&self.keys, draft),
            (_, Trade::Payments(till)) => till.decide(&self.keys, draft, now),
            (_, Trade::Shipping(_)) => Parcels::decide(&self.keys, draft),
            (_, Trade::Reviewer) => draft.done(),
        };
        self.write(entry, now, journal)
    }

    /// Who captures or voids an authorization that is under review has heard that it was given: people have told the order, not us.
    fn approve(
        &mut self,
        draft: &BookEntry,
        now: TimestampMs,
        journal: &dyn Journal,
    ) -> Result<(), WriteFailure> {
        let Trade::Payments(till) = &self.trade else { return Ok(()) };
        if !matches!(draft.step, Step::Capture | Step::Void) {
            return Ok(());
        }
        let reviewed = key_of(Step::Authorize, draft.target.as_deref());
        let Some(reviewed) = reviewed.and_then(|key| self.pending.get(key_hash(key))) else { return Ok(()) };
        let given = till.decide(&self.keys, BookEntry { at: now, ..reviewed.clone() }, now);
        let given = self.write(given, now, journal)?;
        self.finished.retain(|finished| finished.key != given.key);
        Ok(())
    }

    /// Writes an entry down and applies it.
    pub(super) fn write(
        &mut self,
        entry: BookEntry,
        now: TimestampMs,
        journal: &dyn Journal,
    ) -> Result<BookEntry, WriteFailure> {
        let hash = key_hash(&entry.key);
        if entry.kind == BookKind::Pending {
            let waiting = self.pending.entries.len() + self.finished.len();
            if waiting >= self.pending_max && self.pending.get(hash).is_none() {
                return Err(WriteFailure::Full("too much is pending"));
            }
        }
        let has_key = !matches!(entry.kind, BookKind::HandedOver | BookKind::Supplied);
        if has_key && self.keys.find(hash).is_none() {
            let dropped =
                self.keys.make_room(now).map_err(|()| WriteFailure::Full("no more keys are remembered"))?;
            dropped.map(|key| self.lines.remove(&key));
        }
        journal.append(std::slice::from_ref(&entry)).map_err(WriteFailure::Book)?;
        self.apply(&entry);
        if let Trade::Inventory(stock) = &self.trade
            && stock.brings(&entry)
        {
            self.wake(now, journal);
        }
        Ok(entry)
    }

    /// Units have come: whoever waits for them gets them. What fails here is tried when more come.
    fn wake(&mut self, now: TimestampMs, journal: &dyn Journal) {
        for key in self.pending.short() {
            let Some(waiting) = self.pending.get(key) else { continue };
            let Trade::Inventory(stock) = &self.trade else { return };
            let decided = stock.decide(&self.keys, BookEntry { at: now, ..waiting.clone() });
            if decided.kind == BookKind::Done && self.write(decided, now, journal).is_err() {
                return;
            }
        }
    }

    /// The only place where anything changes, as it happens and when it is restored.
    pub(super) fn apply(&mut self, entry: &BookEntry) {
        let state = match entry.kind {
            BookKind::Done => KeyState::Done,
            BookKind::Declined => KeyState::Declined,
            BookKind::Refused => KeyState::Refused,
            BookKind::Pending => KeyState::Pending,
            BookKind::Settled => KeyState::Settled,
            BookKind::HandedOver => {
                if let Trade::Shipping(parcels) = &mut self.trade {
                    parcels.hand_over(&mut self.keys, &entry.order);
                }
                return;
            }
            BookKind::Supplied => {
                if let Trade::Inventory(stock) = &mut self.trade {
                    stock.bring(&entry.lines);
                }
                return;
            }
        };
        let hash = key_hash(&entry.key);
        let mut known = Entry::new(hash, state, entry.expires.plus_ms(self.remembers_ms));
        let why = entry.why.and_then(|why| Why::ALL.iter().position(|known| *known == why));
        known.why = why.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX);
        let number = match self.keys.find(hash) {
            Some(number) => {
                if let Some(before) = self.keys.at_mut(number) {
                    // What was done long ago stands, even if its key was forgotten since.
                    (known.effect, known.runs) = (before.effect, before.runs);
                    *before = known;
                }
                number
            }
            None => self.keys.push(known),
        };
        if entry.kind == BookKind::Pending {
            self.pending.put(hash, entry.clone());
        } else if self.pending.remove(hash) && entry.kind != BookKind::Settled {
            self.finished.push_back(entry.clone());
        }
        let in_part = entry.kind == BookKind::Done && entry.why == Some(Why::OutOfStock);
        if in_part || (entry.kind == BookKind::Declined && !entry.lines.is_empty()) {
            let lines = entry.lines.iter();
            let lines =
                lines.map(|line| LineUnits { line_id: Arc::clone(&line.line_id), quantity: line.units });
            self.lines.insert(hash, lines.collect());
        } else {
            self.lines.remove(&hash);
        }
        if entry.kind == BookKind::Done {
            if let Some(known) = self.keys.at_mut(number) {
                known.runs = known.runs.saturating_add(1);
            }
            match &mut self.trade {
                Trade::Inventory(stock) => stock.done(&mut self.keys, number, entry),
                Trade::Payments(_) => Till::done(&mut self.keys, number, entry),
                Trade::Shipping(parcels) => parcels.done(&mut self.keys, number, entry),
                Trade::Reviewer => {}
            }
        }
    }

    /// The answer of what was just written.
    pub(super) fn answer(&self, entry: &BookEntry) -> StepAnswer {
        // A key whose window is over when it is written cannot be: a request after its expiry is not carried out.
        let answered = self.answered(entry.step, &entry.key, TimestampMs(i64::MIN));
        answered.unwrap_or_else(|| StepAnswer::Unknown { reason: "the key is not there".into() })
    }

    /// Ends a pending key; `None` where it is not pending, waits for stock, or cannot be written.
    pub(super) fn report(
        &mut self,
        key: &str,
        outcome: ReportOutcome,
        now: TimestampMs,
        journal: &dyn Journal,
    ) -> Option<BookEntry> {
        let hash = key_hash(key);
        let draft = BookEntry { at: now, ..self.pending.get(hash)?.clone() };
        let written = match outcome {
            ReportOutcome::Done => self.carry_out(draft, now, journal),
            ReportOutcome::Declined => {
                let why = declined(draft.step);
                self.write(draft.not_done(why), now, journal)
            }
            // It stays what it is.
            ReportOutcome::Pending => return None,
            ReportOutcome::Failed => self.write(draft.not_done(Why::CouldNotBeDone), now, journal),
        };
        let entry = written.ok().filter(|entry| entry.kind != BookKind::Pending)?;
        self.finished.retain(|finished| finished.key != entry.key);
        Some(entry)
    }

    /// What was pending and is decided, since it was asked last.
    pub(super) fn take_finished(&mut self) -> Vec<BookEntry> {
        self.finished.drain(..).collect()
    }

    /// Keeps only the newest of what was decided: when restoring, most of it was reported long ago.
    pub(super) fn keep_finished(&mut self, max: usize) {
        let surplus = self.finished.len().saturating_sub(max);
        self.finished.drain(..surplus);
    }

    /// The pending keys, in the order in which they came, and whether each waits for stock.
    pub(super) fn pending(&self) -> Vec<(BookEntry, bool)> {
        let all = self.pending.entries.values();
        all.map(|entry| (entry.clone(), entry.why == Some(Why::OutOfStock))).collect()
    }

    /// How often the key was done.
    pub(super) fn runs(&self, key: &str) -> u8 {
        self.keys.get(key_hash(key)).map_or(0, |known| known.runs)
    }

    pub(super) fn key_count(&self) -> u32 {
        self.keys.len()
    }

    /// So much of the order was captured.
    pub(super) fn paid(&mut self, order: &OrderRef, amount_minor: i64) {
        if let Trade::Shipping(parcels) = &self.trade {
            parcels.paid(&mut self.keys, order, amount_minor);
        }
    }

    /// The units of the order's parcel, where it may go.
    pub(super) fn ready(&mut self, order: &OrderRef, by_hand: bool) -> Option<u64> {
        match &self.trade {
            Trade::Shipping(parcels) => parcels.ready(&mut self.keys, order, by_hand),
            _ => None,
        }
    }

    /// Units left of a SKU; `None` for as many as anybody wants.
    pub(super) fn stock_left(&self, sku: &str) -> Option<u64> {
        match &self.trade {
            Trade::Inventory(stock) => stock.left(sku),
            _ => None,
        }
    }
}

/// Why a step is declined, where nobody said more.
pub(super) const fn declined(step: Step) -> Why {
    match step {
        Step::Reserve => Why::OutOfStock,
        Step::Book => Why::NoCarrier,
        Step::Authorize | Step::Capture => Why::CardDeclined,
        Step::Review => Why::Suspicious,
        _ => Why::CouldNotBeDone,
    }
}

/// What was done under a key: the same words each time.
pub(super) fn performed(step: Step, key: &str, known: &Entry) -> Performed {
    let expires = match known.effect {
        Effect::Authorization { until, state, .. } if until != i64::MAX => {
            // Kept when it is captured or voided: the answer of a key never changes.
            let (AuthorizationState::Open | AuthorizationState::Captured | AuthorizationState::Voided) =
                state;
            Some(TimestampMs(until))
        }
        _ => None,
    };
    Performed { reference: reference(step, key), amount_minor: None, expires, units: None }
}
