//! Public events, published into a stream of their own: each once, those of one order in version order.
//!
//! Invariants:
//! - An event is stored only behind the one that was the order's last when it was decided to store it. So two publishers, one of them a
//!   zombie, and a message that arrives late, make one series.
//! - What stands there already is skipped: the last message of an order says how far it has got, and whoever begins anew may begin
//!   anywhere before that.
//! - At most `in_flight_max` orders are published at a time, and of each order one event.
//!
//! The order's last event must stay in the stream for as long as events may be given again: the stream has no age limit.

mod pump;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use lru::LruCache;
use parking_lot::Mutex;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::wire::base64;
use retailflow_engine::wire::event::PublicEvent;
use retailflow_engine::wire::time::format_time;
use serde_json::json;

pub use self::pump::EventPump;
use super::answers::ApiFailure;
use super::api::Api;
use super::errors::{DUPLICATE_IN_FLIGHT, NO_MESSAGE, SUBJECT_IN_FLIGHT, WRONG_LAST_SEQUENCE};
use super::{Connections, subjects};
use retailflow_os::repeated::Repeated;

/// Events that are looked at together, at most.
const CHUNK: usize = 1_024;
/// How often one event is tried before whoever publishes has to come again.
const ATTEMPTS_MAX: u32 = 6;

/// Limits of a publisher.
#[derive(Debug, Clone)]
pub struct EventOptions {
    /// Orders that are published at a time.
    pub in_flight_max: usize,
    /// Orders whose last event is remembered; that of another one is read.
    pub orders_remembered_max: usize,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self { in_flight_max: 256, orders_remembered_max: 65_536 }
    }
}

/// What became of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublishCounts {
    /// Were stored.
    pub stored: u64,
    /// Stood there already.
    pub skipped: u64,
    /// Orders of which nothing more can be published, because something else stands there.
    pub broken: u64,
    /// Were left out, because no message holds them.
    pub too_large: u64,
}

/// Why not all events are published. Those before may be; give them again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Passing trouble.
    #[error("public events cannot be published now: {0}")]
    Unavailable(String),
    /// An event that no message holds: it can be told to nobody, and those after it can.
    #[error("event {id} of order {order} is too large for RF_EVT: {why}")]
    TooLarge {
        /// Which event.
        id: String,
        /// Whose.
        order: OrderRef,
        /// What is taken.
        why: String,
    },
    /// Something stands among the events that is none of ours.
    #[error("RF_EVT, sequence {sequence}: no event of order {order}")]
    Foreign {
        /// Where.
        sequence: u64,
        /// On which order's subject.
        order: OrderRef,
    },
}

/// An order's last event in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    /// Its sequence; 0 for none.
    sequence: u64,
    /// Its version, and its number among those of this version.
    at: Option<(u64, u32)>,
}

/// Publishes the events of orders.
pub struct EventPublisher {
    publish: Api,
    read: Api,
    in_flight_max: usize,
    known: Mutex<LruCache<OrderRef, Last>>,
    /// What the pumps of all partitions say when they have to wait.
    pub(super) said: Repeated,
}

impl EventPublisher {
    /// Into a stream that is there ([`super::DoorStreams::provision`]).
    #[must_use]
    pub fn new(connections: &Connections, options: &EventOptions) -> Self {
        let api = |client: &async_nats::Client| Api::new(client.clone(), connections.request_timeout);
        let remembered = NonZeroUsize::new(options.orders_remembered_max).unwrap_or(NonZeroUsize::MIN);
        Self {
            publish: api(&connections.publish),
            read: api(&connections.read),
            in_flight_max: options.in_flight_max.max(1),
            known: Mutex::new(LruCache::new(remembered)),
            said: Repeated::new(),
        }
    }

    /// Publishes events; those of one order come in version order. May be given again from any place on. An order under whose
    /// subject somebody else has published is left out, and said.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(
        &self,
        events: impl IntoIterator<Item = (OrderRef, PublicEvent)>,
    ) -> Result<PublishCounts, PublishError> {
        let mut events = events.into_iter().peekable();
        let mut done = PublishCounts::default();
        while events.peek().is_some() {
            let mut orders: HashMap<OrderRef, Vec<PublicEvent>> = HashMap::new();
            for (order, event) in events.by_ref().take(CHUNK) {
                orders.entry(order).or_default().push(event);
            }
            let publishing = stream::iter(orders).map(|(order, events)| self.of_order(order, events));
            let mut publishing = publishing.buffer_unordered(self.in_flight_max);
            while let Some(some) = publishing.next().await {
                let some = match some {
                    // A broken order stops alone.
                    Err(error @ PublishError::Foreign { .. }) => {
                        tracing::error!(event = "order_events_broken", %error, "an order's events cannot be told; the others' go on");
                        PublishCounts { broken: 1, ..PublishCounts::default() }
                    }
                    some => some?,
                };
                done.stored += some.stored;
                done.skipped += some.skipped;
                done.broken += some.broken;
                done.too_large += some.too_large;
            }
        }
        Ok(done)
    }

    async fn of_order(
        &self,
        order: OrderRef,
        events: Vec<PublicEvent>,
    ) -> Result<PublishCounts, PublishError> {
        let mut done = PublishCounts::default();
        for event in events {
            match self.one(&order, &event).await {
                Ok(true) => done.stored += 1,
                Ok(false) => done.skipped += 1,
                // Nobody else waits for what can never be told, nor what comes after it.
                Err(error @ PublishError::TooLarge { .. }) => {
                    tracing::error!(event = "event_too_large", %error, "an event is left out; read it from the order's history");
                    done.too_large += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Says whether it was stored by this call; otherwise it stands there already.
    async fn one(&self, order: &OrderRef, event: &PublicEvent) -> Result<bool, PublishError> {
        let (subject, at) = (subjects::event(order), (event.version, event.index));
        let mut why = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                let most = 5_u64 << attempt;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(most / 2..=most))).await;
            }
            let known = self.known.lock().get(order).copied();
            let last = match known {
                Some(last) => Ok(last),
                None => self.last(order, &subject).await?,
            };
            let last = match last {
                Ok(last) => last,
                Err(failure) => {
                    why = failure.to_string();
                    continue;
                }
            };
            if last.at >= Some(at) {
                self.known.lock().put(order.clone(), last);
                return Ok(false);
            }
            // Writing into memory fails only for maps with keys that are no text; there is none.
            let data: Bytes = serde_json::to_vec(&event.data).unwrap_or_default().into();
            match self.publish.publish_after(&subject, last.sequence, headers(event), data).await {
                Ok(sequence) => {
                    self.known.lock().put(order.clone(), Last { sequence, at: Some(at) });
                    return Ok(true);
                }
                Err(ApiFailure::Refused(error)) if error.is_final() => {
                    let (id, order, why) = (event.id(), order.clone(), error.to_string());
                    return Err(PublishError::TooLarge { id, order, why });
                }
                Err(failure) => {
                    // It may be stored, by us or by another publisher: the stream says.
                    self.known.lock().pop(order);
                    why = failure.to_string();
                    let again = match &failure {
                        ApiFailure::Silent(_) => true,
                        ApiFailure::Refused(error) => matches!(
                            error.err_code,
                            WRONG_LAST_SEQUENCE | SUBJECT_IN_FLIGHT | DUPLICATE_IN_FLIGHT
                        ),
                        _ => false,
                    };
                    if !again {
                        break;
                    }
                }
            }
        }
        Err(PublishError::Unavailable(why))
    }

    /// An order's last event, from the leader.
    async fn last(&self, order: &OrderRef, subject: &str) -> Result<Result<Last, ApiFailure>, PublishError> {
        let what = json!({ "last_by_subj": subject });
        let asked = self.read.ask(&format!("STREAM.MSG.GET.{}", subjects::EVENTS), &what).await;
        let message = match asked {
            Ok(mut answer) => answer["message"].take(),
            Err(ApiFailure::Refused(error)) if error.err_code == NO_MESSAGE => {
                return Ok(Ok(Last { sequence: 0, at: None }));
            }
            Err(failure) => return Ok(Err(failure)),
        };
        let sequence = message["seq"].as_u64().unwrap_or(0);
        let at = message["hdrs"].as_str().and_then(base64::decode).and_then(|text| at_of(&text, order));
        match at {
            Some(at) if sequence > 0 => Ok(Ok(Last { sequence, at: Some(at) })),
            _ => Err(PublishError::Foreign { sequence, order: order.clone() }),
        }
    }
}

/// The version and number that a message's id tells.
fn at_of(headers: &[u8], order: &OrderRef) -> Option<(u64, u32)> {
    let text = std::str::from_utf8(headers).ok()?;
    let id = text.lines().find_map(|line| line.strip_prefix("ce-id:"))?.trim();
    let (version, index) = id.strip_prefix(order.order.as_str())?.strip_prefix('-')?.split_once('-')?;
    Some((version.parse().ok()?, index.parse().ok()?))
}

/// A CloudEvent in binary mode.
pub(super) fn headers(event: &PublicEvent) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let all = [
        ("content-type", Some("application/json".to_owned())),
        ("ce-specversion", Some("1.0".to_owned())),
        ("ce-id", Some(event.id())),
        ("ce-source", Some(event.source())),
        ("ce-type", Some(event.data.kind().to_owned())),
        ("ce-tenant", Some(event.order.tenant.to_string())),
        ("ce-subject", Some(event.order.order.to_string())),
        ("ce-time", Some(format_time(event.time))),
        ("ce-sequence", Some(event.sequence())),
        ("ce-dataschema", Some(event.data.dataschema().to_owned())),
        ("ce-eventnumber", event.number.map(|number| number.to_string())),
        ("ce-causationid", event.causation_id.clone()),
        ("ce-causationsource", event.causation_source.clone()),
        ("ce-actor", event.actor.map(|actor| actor.as_str().to_owned())),
        ("ce-traceparent", event.traceparent.clone()),
    ];
    for (name, value) in all {
        if let Some(value) = value {
            headers.insert(name, encoded(&value));
        }
    }
    headers
}

/// As the CloudEvents bindings have it: what does not print, the space, the quote and the percent sign go as hexadecimal digits.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' => encoded.push_str(&format!("%{byte:02X}")),
            byte if byte.is_ascii_graphic() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use retailflow_testkit::author::order;

    #[test]
    fn a_last_event_is_known_by_its_id() {
        let order = order("shop", "a-1-2");
        let at = |id: &str| at_of(format!("NATS/1.0\r\nx: y\r\nce-id: {id}\r\n\r\n").as_bytes(), &order);
        assert_eq!(at("a-1-2-7-0"), Some((7, 0)));
        for strange in ["a-1-2-7", "a-1-2", "a-1-3-7-0", "a-1-2-x-0", "a-1-2-7-0-0", ""] {
            assert_eq!(at(strange), None, "{strange}");
        }
    }

    #[test]
    fn headers_carry_any_text() {
        assert_eq!(encoded("c 1\"%\u{fc}\r\n~/"), "c%201%22%25%C3%BC%0D%0A~/");
    }
}
