//! Being found: the NATS service protocol's PING, INFO and STATS (`io.nats.micro.v1`), so that `nats micro ls` shows who answers.

use std::sync::atomic::Ordering;

use async_nats::{Message, Subject};
use bytes::Bytes;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::keys::hex;
use retailflow_engine::wire::time::format_time;
use serde_json::{Value, json};

use super::state::Shared;
use crate::subjects;

const NAME: &str = "retailflow-ask";

pub(super) struct Discovery {
    id: String,
    started: String,
}

impl Discovery {
    pub(super) fn new(now: TimestampMs) -> Self {
        Self { id: hex(&fastrand::u128(..).to_le_bytes()), started: format_time(now) }
    }

    /// What is listened to: all, those of this name, this one.
    pub(super) fn subjects(&self) -> [String; 3] {
        ["$SRV.*".into(), format!("$SRV.*.{NAME}"), format!("$SRV.*.{NAME}.{}", self.id)]
    }

    /// Where to send what; nothing for what is not understood, or has no place for an answer.
    pub(super) fn answer(&self, message: &Message, shared: &Shared) -> Option<(Subject, Bytes)> {
        let reply = message.reply.clone().filter(|reply| subjects::may_answer(reply, None))?;
        let verb = message.subject.strip_prefix("$SRV.")?.split('.').next()?;
        let mut said = match verb {
            "PING" => json!({ "type": "io.nats.micro.v1.ping_response" }),
            "INFO" => json!({
                "type": "io.nats.micro.v1.info_response",
                "description": "order commands, answered with their outcomes",
                "endpoints": [endpoint()],
            }),
            "STATS" => self.stats(shared),
            _ => return None,
        };
        said["name"] = json!(NAME);
        said["id"] = json!(self.id);
        said["version"] = json!(env!("CARGO_PKG_VERSION"));
        said["metadata"] = json!({});
        Some((reply, said.to_string().into()))
    }

    fn stats(&self, shared: &Shared) -> Value {
        let (counts, mut endpoint) = (shared.counts(), endpoint());
        let busy = shared.counters.busy_nanos.load(Ordering::Relaxed);
        endpoint["num_requests"] = json!(counts.answered);
        endpoint["num_errors"] = json!(counts.errors);
        endpoint["last_error"] = json!("");
        endpoint["processing_time"] = json!(busy);
        endpoint["average_processing_time"] = json!(busy / counts.answered.max(1));
        endpoint["data"] = json!({ "overloaded": counts.overloaded, "dropped": counts.dropped });
        json!({
            "type": "io.nats.micro.v1.stats_response", "started": self.started, "endpoints": [endpoint],
        })
    }
}

fn endpoint() -> Value {
    json!({
        "name": "ask", "subject": subjects::ASKED, "queue_group": subjects::ASKED_GROUP, "metadata": {},
    })
}
