//! From a request to its outcome, and the outcome on its way back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{HeaderMap, Message, Subject};
use bytes::Bytes;
use retailflow_engine::ids::{OrderId, TenantId};
use retailflow_engine::order::Actor;
use retailflow_engine::wire::{Code, DecodeError, Outcome};

use super::state::{AskOptions, Counters, Shared};
use crate::command::{self, Headers, TIMEOUT};

/// More than its deadline a door may take to say that it was passed.
const GRACE: Duration = Duration::from_secs(1);
/// The first outcome status that is an error.
const FIRST_ERROR: u16 = 400;

/// The outcome of what was not even read.
pub(super) fn refusal(tenant: &str, order: &str, code: Code) -> Outcome {
    Outcome {
        tenant: TenantId::parse(tenant).ok(),
        order: OrderId::parse(order).ok(),
        ..Outcome::unaddressed(code, code.meaning())
    }
}

impl Shared {
    pub(super) async fn decide(&self, tenant: &str, order: &str, message: &Message) -> Outcome {
        let headers = Headers::of(message.headers.as_ref());
        let dry_run = command::is_dry_run(&headers);
        let marked = matches!(dry_run, Ok(true));
        let decided = match dry_run {
            Ok(dry_run) => self.try_decide(tenant, order, message, &headers, dry_run).await,
            Err(error) => Err(error),
        };
        let outcome = decided.unwrap_or_else(|error| error.to_outcome());
        if marked { outcome.of_dry_run() } else { outcome }
    }

    async fn try_decide(
        &self,
        tenant: &str,
        order: &str,
        message: &Message,
        headers: &Headers,
        dry_run: bool,
    ) -> Result<Outcome, DecodeError> {
        let order = command::order_of(tenant, order)?;
        // Before the body is looked at: refusing stays cheap when there is most to refuse. A node that stops still answers what is
        // only looked at.
        let refused = self.door.refuses(&order.tenant);
        if let Some(outcome) = refused.filter(|outcome| !dry_run || outcome.code != Code::Draining) {
            return Ok(outcome);
        }
        let deadline = deadline(headers, &self.options)?;
        let read = command::read(&order, headers, &message.payload);
        let command = read.map_err(command::NoCommand::into_error)?.command;
        let key = command.key.clone();
        if command.kind().is_operator() {
            return Ok(Outcome::refused(&order, &key, Code::OperatorOnly, Code::OperatorOnly.meaning()));
        }
        let asked = match dry_run {
            false => self.door.ask(command, Actor::Tenant, deadline),
            true => self.door.dry_run(command, Actor::Tenant, deadline),
        };
        let answered = tokio::time::timeout(deadline + GRACE, asked).await;
        let code = if dry_run { Code::Unavailable } else { Code::OutcomeUnknown };
        let unknown = |_| Outcome::refused(&order, &key, code, code.meaning());
        Ok(answered.unwrap_or_else(unknown))
    }

    /// Sends an outcome; that of a request, as all are asked once.
    pub(super) async fn answer(&self, reply: Subject, outcome: &Outcome) {
        Counters::add(&self.counters.answered);
        if outcome.code == Code::Overloaded {
            Counters::add(&self.counters.overloaded);
        }
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        if outcome.code.http_status() >= FIRST_ERROR {
            self.counters.errors.fetch_add(1, Ordering::Relaxed);
            headers.insert("Nats-Service-Error", outcome.code.as_str());
            headers.insert("Nats-Service-Error-Code", outcome.code.http_status().to_string());
        }
        // Writing into memory fails only for maps with keys that are no text; there is none.
        let body = serde_json::to_vec(outcome).unwrap_or_default();
        self.publish(reply, headers, body.into()).await;
    }

    pub(super) async fn publish(&self, reply: Subject, headers: HeaderMap, body: Bytes) {
        let sent = self.edge.client.publish_with_headers(reply, headers, body);
        self.edge.send("an answer", sent).await;
    }
}

fn deadline(headers: &Headers, options: &AskOptions) -> Result<Duration, DecodeError> {
    let Some(text) = headers.single(TIMEOUT)? else { return Ok(Duration::from_millis(options.timeout_ms)) };
    let max = options.timeout_max_ms;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(ms) if digits && (1..=max).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => {
            let text = format!("a whole number of milliseconds from 1 to {max} is expected");
            Err(DecodeError::new(Code::InvalidField, TIMEOUT, text))
        }
    }
}
