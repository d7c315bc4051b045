//! One order's chain and life, record by record, in about a hundred bytes.

use super::life::Life;
use super::name_set::Names;
use super::names::CheckKey;
use super::violation::{InvariantId, Violation};
use retailflow_engine::codec::CodecError;
use retailflow_engine::codec::v1::{ActorV1, BodyV1, DeadlineV1, DecisionV1, EventV1, PlacedV1, RecordV1};
use retailflow_engine::keys::{GENESIS, Hash, chain_hash};

/// What must be remembered of an order to check its next record.
#[derive(Debug)]
pub(super) struct OrderTail {
    /// Half of the last record's chain hash: 128 bits are enough to know it by.
    chain: [u8; 16],
    revision: u64,
    version: u64,
    placed: bool,
    closed: bool,
    has_deadline: bool,
    pub(super) life: Life,
    pub(super) recorded: Names,
}

fn half(hash: &Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// What a record adds to the ledger.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) applied: u64,
    pub(super) rejected: u64,
}

impl Added {
    /// Whatever else is known of the order.
    pub(super) fn by(record: &RecordV1) -> Self {
        let mut added = Self::default();
        let BodyV1::Decisions(decisions) = &record.body else { return added };
        for decision in decisions {
            match decision.verdict.is_applied() {
                true => added.applied += u64::from(decision.actor != ActorV1::Engine),
                false => added.rejected += 1,
            }
        }
        added
    }
}

impl Default for OrderTail {
    fn default() -> Self {
        let recorded = Names::default();
        let life = Life::default();
        Self {
            chain: half(&GENESIS),
            revision: 0,
            version: 0,
            placed: false,
            closed: false,
            has_deadline: false,
            life,
            recorded,
        }
    }
}

impl OrderTail {
    /// Checks the next record and takes it in. What is wrong goes to `report`; checking goes on behind it.
    pub(super) fn record(
        &mut self,
        record: &RecordV1,
        bytes: &[u8],
        key: &CheckKey,
        report: &mut impl FnMut(Violation),
    ) {
        let mut wrong = |id, what: String| {
            let text = format!(
                "{}/{} at revision {}: {what}",
                record.tenant, record.order, record.expected_revision
            );
            report(Violation::new(id, text));
        };
        if record.expected_revision != self.revision {
            wrong(
                InvariantId::Chain,
                format!("follows {} decisions, the log has {}", record.expected_revision, self.revision),
            );
        }
        if half(&record.previous) != self.chain {
            wrong(InvariantId::Chain, "follows another record than the last one".into());
        }
        if self.closed {
            wrong(InvariantId::Transitions, "a record after the order was closed".into());
        }
        match &record.body {
            BodyV1::Decisions(decisions) => {
                if decisions.is_empty() {
                    wrong(InvariantId::Transitions, "a record without a decision".into());
                }
                for decision in decisions {
                    self.decision(decision, key, &mut wrong);
                }
            }
            BodyV1::Checkpoint(checkpoint) => {
                let begins = self.revision == 0;
                if !begins && (checkpoint.revision, checkpoint.version) != (self.revision, self.version) {
                    wrong(InvariantId::Chain, "a checkpoint of another state than the chain's".into());
                }
                self.version = checkpoint.version;
                self.placed = checkpoint.version > 0;
            }
            BodyV1::Closed(_) => self.closed = true,
        }
        self.revision = record.next_revision();
        self.chain = half(&chain_hash(bytes));
    }

    fn decision(
        &mut self,
        decision: &DecisionV1,
        key: &CheckKey,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        let is_engines = decision.actor == ActorV1::Engine;
        if !is_engines && !self.recorded.insert(key.command(&decision.source, &decision.id)) {
            wrong(
                InvariantId::OnceRecorded,
                format!("{}#{} was recorded before", decision.source, decision.id),
            );
        }
        let version = decision.verdict.version();
        match decision.verdict.is_applied() {
            true => {
                // Whose deadline alone is moved has not changed.
                let reminds = is_engines && decision.events.is_empty();
                self.version += u64::from(!reminds);
                if version != self.version {
                    let text = format!(
                        "{} applied as version {version}, it is number {}",
                        decision.id, self.version
                    );
                    wrong(InvariantId::Transitions, text);
                }
                if decision.events.is_empty() && !(reminds && matches!(decision.deadline, DeadlineV1::Set(_)))
                {
                    wrong(InvariantId::Transitions, format!("{} applied and nothing happened", decision.id));
                }
            }
            false => {
                if version != self.version || !decision.events.is_empty() {
                    wrong(
                        InvariantId::Transitions,
                        format!("{} rejected, and yet the order changed", decision.id),
                    );
                }
                if !self.placed {
                    wrong(
                        InvariantId::Transitions,
                        format!("{} recorded on an order that does not exist", decision.id),
                    );
                }
            }
        }
        for event in &decision.events {
            match event {
                EventV1::Placed(placed) => {
                    if std::mem::replace(&mut self.placed, true) {
                        wrong(InvariantId::Transitions, format!("{} placed the order again", decision.id));
                    }
                    if let Err(text) = adds_up(placed) {
                        wrong(InvariantId::Amounts, format!("{}: {text}", decision.id));
                    }
                }
                _ if !self.placed => {
                    wrong(
                        InvariantId::Transitions,
                        format!("{} changed an order that does not exist", decision.id),
                    );
                }
                _ => {}
            }
            self.life.event(event, &mut |id, text| wrong(id, format!("{}: {text}", decision.id)));
        }
        match decision.deadline {
            DeadlineV1::Keep => {}
            DeadlineV1::Set(_) => self.has_deadline = true,
            DeadlineV1::Clear => self.has_deadline = false,
        }
        if self.life.waits() && !self.has_deadline {
            wrong(
                InvariantId::Deadline,
                format!("{} left the order waiting without a deadline", decision.id),
            );
        }
    }
}

/// Lines and components add up to the total, and payments, where there are any, too.
fn adds_up(placed: &PlacedV1) -> Result<(), String> {
    let sum = |amounts: &mut dyn Iterator<Item = i64>| amounts.map(i128::from).sum::<i128>();
    let total = i128::from(placed.total_minor);
    for line in placed.lines.iter().filter(|line| !line.components.is_empty()) {
        let parts = sum(&mut line.components.iter().map(|part| part.amount_minor));
        if parts != i128::from(line.amount_minor) {
            return Err(format!(
                "the parts of line {} are {parts}, it says {}",
                line.line_id, line.amount_minor
            ));
        }
    }
    let lines = placed.lines.iter().map(|line| line.amount_minor);
    let parts = sum(&mut lines.chain(placed.components.iter().map(|part| part.amount_minor)));
    if parts != total || total < 0 {
        return Err(format!("lines and components are {parts}, the total says {total}"));
    }
    let payments = sum(&mut placed.payments.iter().map(|payment| payment.amount_minor));
    if !placed.payments.is_empty() && payments != total {
        return Err(format!("payments are {payments}, the total says {total}"));
    }
    Ok(())
}

/// One order's records checked as they come, for tests that have no groups.
#[derive(Debug, Default)]
pub struct OrderCheck(OrderTail);

impl OrderCheck {
    /// What is wrong with the next record.
    ///
    /// # Errors
    /// [`CodecError`]: it is no record.
    pub fn record(&mut self, bytes: &[u8]) -> Result<Vec<Violation>, CodecError> {
        let mut found = Vec::new();
        let record = retailflow_engine::codec::v1::decode(bytes)?;
        self.0.record(&record, bytes, &CheckKey::FIXED, &mut |violation| found.push(violation));
        Ok(found)
    }

    /// What the order did to goods and money, as its records say.
    #[must_use]
    pub fn effects(&self) -> super::Effects {
        self.0.life.effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_orders_fit() {
        let sizes = (size_of::<([u8; 16], OrderTail)>(), size_of::<super::Life>());
        assert!(sizes.0 <= 192, "{sizes:?}");
    }
}
