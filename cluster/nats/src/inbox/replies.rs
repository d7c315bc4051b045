//! Where callers want the outcomes of published commands.

use std::collections::BTreeMap;

use async_nats::{HeaderMap, Subject};
use parking_lot::Mutex;
use retailflow_engine::wire::Outcome;

use crate::command::REPLY_TO;
use crate::connect::EdgeConnection;
use crate::foreign::ForeignMessage;
use crate::subjects;

/// Outcomes that are waited for, at most: more than an intake has open. A caller beyond it finds the outcome in the public events.
const WAITING_MAX: usize = 65_536;

/// Subjects by position; each was checked.
#[derive(Debug, Default)]
pub struct ReplyAddresses(Mutex<BTreeMap<u64, String>>);

impl ReplyAddresses {
    /// Only inboxes and the tenant's own subjects are answered to: callers choose what stands in their headers.
    pub(super) fn keep(&self, arrived: &ForeignMessage) {
        let Ok(Some(wanted)) = arrived.headers.single(REPLY_TO) else { return };
        let tenant = subjects::parse_command(&arrived.subject).map(|(_, tenant, _)| tenant);
        let mut waiting = self.0.lock();
        if subjects::may_tell(wanted, tenant) && waiting.len() < WAITING_MAX {
            waiting.insert(arrived.sequence, wanted.to_owned());
        }
    }

    /// Nobody is told what became of what stood at a position.
    pub fn forget(&self, position: u64) {
        self.0.lock().remove(&position);
    }

    /// Sends the outcome of what stood at a position to whoever wants it. It may be sent more than once. A caller chose where it goes:
    /// the connection should be one that may write nowhere else.
    pub async fn send(&self, connection: &EdgeConnection, position: u64, outcome: &Outcome) {
        let Some(subject) = self.0.lock().remove(&position) else { return };
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
        self.0.lock().contains_key(&position)
    }
}
