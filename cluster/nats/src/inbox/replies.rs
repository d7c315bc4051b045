//! Where callers want the outcomes of published commands.

use std::collections::{BTreeMap, VecDeque};

use async_nats::{HeaderMap, Subject};
use parking_lot::Mutex;
use retailflow_engine::wire::{DecodeError, Outcome};
use tokio::sync::Notify;

use crate::command::REPLY_TO;
use crate::connect::EdgeConnection;
use crate::foreign::ForeignMessage;
use crate::subjects;

/// Outcomes that are waited for, at most: more than an intake has open. A caller beyond it finds the outcome in the public events.
const WAITING_MAX: usize = 65_536;

/// Outcomes of what was put away and is to be told yet, at most. Its sender finds it with the dead letters.
const PUT_AWAY_MAX: usize = 1_024;

/// Subjects by position; each was checked.
#[derive(Debug, Default)]
pub struct ReplyAddresses {
    waiting: Mutex<BTreeMap<u64, String>>,
    /// What the inbox refused itself: no intake hears of it.
    put_away: Mutex<VecDeque<(u64, Outcome)>>,
    any_put_away: Notify,
}

impl ReplyAddresses {
    /// Only inboxes and the tenant's own subjects are answered to: callers choose what stands in their headers.
    pub(super) fn keep(&self, arrived: &ForeignMessage) {
        let Ok(Some(wanted)) = arrived.headers.single(REPLY_TO) else { return };
        let tenant = subjects::parse_command(&arrived.subject).map(|(_, tenant, _)| tenant);
        let mut waiting = self.waiting.lock();
        if subjects::may_tell(wanted, tenant) && waiting.len() < WAITING_MAX {
            waiting.insert(arrived.sequence, wanted.to_owned());
        }
    }

    /// What arrived was put away: whoever wants its outcome is to be told.
    pub(super) fn put_away(&self, arrived: &ForeignMessage, error: DecodeError) {
        self.keep(arrived);
        if !self.wanted(arrived.sequence) {
            return;
        }
        let mut put_away = self.put_away.lock();
        if put_away.len() == PUT_AWAY_MAX {
            drop(put_away);
            self.forget(arrived.sequence);
            return;
        }
        put_away.push_back((arrived.sequence, error.to_outcome()));
        drop(put_away);
        self.any_put_away.notify_one();
    }

    /// The next outcome of something that was put away, and its position; waits for one. May be dropped while it waits.
    pub async fn next_put_away(&self) -> (u64, Outcome) {
        loop {
            if let Some(next) = self.put_away.lock().pop_front() {
                return next;
            }
            self.any_put_away.notified().await;
        }
    }

    /// Nobody is told what became of what stood at a position.
    pub fn forget(&self, position: u64) {
        self.waiting.lock().remove(&position);
    }

    /// Sends the outcome of what stood at a position to whoever wants it. It may be sent more than once. A caller chose where it goes:
    /// the connection should be one that may write nowhere else.
    pub async fn send(&self, connection: &EdgeConnection, position: u64, outcome: &Outcome) {
        let Some(subject) = self.waiting.lock().remove(&position) else { return };
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        // Writing into memory fails only for maps with keys that are no text; there is none.
        let body = serde_json::to_vec(outcome).unwrap_or_default();
        let sent = connection.client.publish_with_headers(Subject::from(subject), headers, body.into());
        connection.send("an outcome", sent).await;
    }

    /// Whether anybody waits for the outcome of what stood at a position.
    #[must_use]
    pub fn wanted(&self, position: u64) -> bool {
        self.waiting.lock().contains_key(&position)
    }
}
