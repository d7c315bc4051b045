//! An aggregate as a snapshot and back.

use std::sync::Arc;

use super::aggregate::{RecordedOutcome, Times, verdict_from_stored, verdict_to_stored};
use super::convert::{placed_from_stored, placed_to_stored, status_from_stored, status_to_stored};
use super::goods_stored::{amends_from_stored, amends_to_stored};
use super::payments_stored::{owed_from_stored, owed_to_stored, payments_from_stored, payments_to_stored};
use super::planned::{plan_from_stored, plan_to_stored};
use super::saga_stored::{saga_from_stored, saga_to_stored, words_from_stored, words_to_stored};
use super::shop_stored::{shop_from_stored, shop_to_stored};
use super::{Aggregate, Order, OrderStatus};
use crate::codec::CodecError;
use crate::codec::control::{return_rules_from_stored, return_rules_to_stored};
use crate::codec::snapshot::{self, SnapshotV1, SnapshotV2, SnapshotV3, SnapshotV4, SnapshotV5};
use crate::ids::{CommandId, CommandKey, IdError, OrderRef, Source, TimestampMs};

impl Aggregate {
    /// The snapshot of this state, as read from the log `log_id`.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`].
    pub fn to_snapshot(&self, log_id: [u8; 16]) -> Result<Vec<u8>, CodecError> {
        let mut older: Vec<u64> = self.older.iter().copied().collect();
        older.sort_unstable();
        let base = SnapshotV1 {
            log_id,
            tenant: self.reference.tenant.to_string(),
            order: self.reference.order.to_string(),
            revision: self.revision,
            chain: self.chain,
            version: self.order.version,
            status: status_to_stored(self.order.status),
            placed: self.order.placed.as_deref().map(placed_to_stored),
            deadline_ms: self.order.deadline.map(|at| at.0),
            recent: self
                .recent()
                .map(|outcome| {
                    let key = &outcome.key;
                    let verdict = verdict_to_stored(&outcome.verdict);
                    (key.source.to_string(), key.id.to_string(), outcome.content_hash, verdict)
                })
                .collect(),
            older,
        };
        let state = SnapshotV2 { base, saga: saga_to_stored(&self.order.saga) };
        let words = words_to_stored(&self.order.saga, &self.times);
        let Times { changed, archived_at, .. } = self.times;
        let changed_ms = changed.map(|(first, last)| (first.0, last.0));
        let state = SnapshotV3 { state, changed_ms, archived_ms: archived_at.map(|at| at.0) };
        let return_rules = return_rules_to_stored(self.order.saga.return_rules);
        let state = SnapshotV4 { state, return_rules, told: self.order.told, words };
        let payments = payments_to_stored(&self.order.saga.payments);
        let (owed, amends) = (owed_to_stored(&self.order.saga), amends_to_stored(&self.order.saga));
        let shop = shop_to_stored(&self.order.saga);
        let plan = plan_to_stored(&self.order.saga);
        snapshot::encode(&SnapshotV5 { state, payments, owed, shop, amends, plan })
    }

    /// The state that a snapshot holds, if it is of this order and of the log `log_id`. The caller still has to check
    /// `chain` against the log.
    ///
    /// # Errors
    /// [`CodecError`]; a snapshot of another order or log is `Corrupt`. Whatever it is: the log has it all.
    pub fn from_snapshot(reference: &OrderRef, log_id: [u8; 16], bytes: &[u8]) -> Result<Self, CodecError> {
        let (mut aggregate, older) = Self::without_older(reference, log_id, bytes)?;
        aggregate.older = older.into_iter().collect();
        Ok(aggregate)
    }

    /// As [`Aggregate::from_snapshot`], of an order that is only looked at: what it knows of its oldest ids is left out, so it
    /// is no state to decide on.
    ///
    /// # Errors
    /// As [`Aggregate::from_snapshot`].
    pub fn to_look_at(reference: &OrderRef, log_id: [u8; 16], bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(Self::without_older(reference, log_id, bytes)?.0)
    }

    fn without_older(
        reference: &OrderRef,
        log_id: [u8; 16],
        bytes: &[u8],
    ) -> Result<(Self, Vec<u64>), CodecError> {
        let SnapshotV5 { state, payments, owed, shop, amends, plan } = snapshot::decode(bytes)?;
        let SnapshotV4 { state, return_rules, told, words } = state;
        let SnapshotV3 { state, changed_ms, archived_ms } = state;
        let SnapshotV2 { base: stored, saga } = state;
        let named = stored.tenant == reference.tenant.as_str() && stored.order == reference.order.as_str();
        if !named || stored.log_id != log_id {
            return Err(CodecError::Corrupt("a snapshot of another order or log".into()));
        }
        let corrupt = |error: IdError| CodecError::Corrupt(error.to_string());
        let mut aggregate = Self::new(reference.clone());
        aggregate.revision = stored.revision;
        aggregate.chain = stored.chain;
        aggregate.times = Times {
            changed: changed_ms.map(|(first, last)| (TimestampMs(first), TimestampMs(last))),
            archived_at: archived_ms.map(TimestampMs),
            ..Times::default()
        };
        aggregate.order.version = stored.version;
        aggregate.order.status = stored.status.map_or(OrderStatus::Absent, status_from_stored);
        aggregate.order.saga = saga_from_stored(&saga)?;
        aggregate.order.saga.return_rules = return_rules_from_stored(return_rules);
        aggregate.order.saga.payments = payments_from_stored(payments);
        owed_from_stored(owed, &mut aggregate.order.saga);
        amends_from_stored(amends, &mut aggregate.order.saga);
        plan_from_stored(plan, &mut aggregate.order.saga);
        words_from_stored(words, &mut aggregate.order.saga, &mut aggregate.times);
        aggregate.order.placed = stored.placed.as_ref().map(placed_from_stored).transpose()?.map(Arc::new);
        let Order { placed, saga, .. } = &mut aggregate.order;
        shop_from_stored(shop, placed.as_deref(), saga)?;
        aggregate.order.told = told;
        aggregate.order.deadline = stored.deadline_ms.map(TimestampMs);
        let recent_max = stored.recent.len();
        for (source, id, content_hash, verdict) in stored.recent {
            let key = CommandKey {
                source: Source::parse(&source).map_err(corrupt)?,
                id: CommandId::parse(&id).map_err(corrupt)?,
            };
            let verdict = verdict_from_stored(&verdict)?;
            aggregate.remember(RecordedOutcome { key, content_hash, verdict }, recent_max);
        }
        Ok((aggregate, stored.older))
    }
}
