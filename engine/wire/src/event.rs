//! Public events: CloudEvents 1.0, one stable id each, in the order's version order.

use super::change_events::{Amended, LinesCanceled};
use super::event_data::*;
use super::order::GiverKind;
use super::time::{format_time, required};
use crate::ids::{OrderId, OrderRef, TenantId, TimestampMs};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($data:ident) $text:literal;)*) => {
        /// What happened, by type.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum EventData {
            $($(#[$doc])* $name($data),)*
        }

        impl EventData {
            /// The names of all types on the wire.
            pub const TYPES: &'static [&'static str] = &[$(concat!("retailflow.order.", $text, ".v1")),*];

            /// The name of the type on the wire, such as `retailflow.order.placed.v1`.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => concat!("retailflow.order.", $text, ".v1")),* }
            }

            /// The URI of the data's schema.
            #[must_use]
            pub const fn dataschema(&self) -> &'static str {
                match self { $(Self::$name(_) => concat!("urn:retailflow:schema:event.", $text, ".v1")),* }
            }

            fn read(kind: &str, data: &str) -> Result<Self, serde_json::Error> {
                match kind {
                    $(concat!("retailflow.order.", $text, ".v1") => serde_json::from_str(data).map(Self::$name),)*
                    _ => Err(serde_json::Error::custom("this event type is not known to this version")),
                }
            }

            /// The schema of each type's data, by the word in its name.
            pub(super) fn schemas(generator: fn() -> schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($text, generator().into_root_schema_for::<$data>())),*]
            }
        }

        impl Serialize for EventData {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$name(data) => data.serialize(to)),* }
            }
        }
    };
}

events! {
    /// The order was placed.
    Placed(Placed) "placed";
    /// Stock was set aside.
    Reserved(Reserved) "reserved";
    /// The payment was authorized.
    Authorized(Authorized) "authorized";
    /// The order was judged good.
    Reviewed(Reviewed) "reviewed";
    /// A shipment was booked.
    Booked(Booked) "booked";
    /// The carrier has a shipment.
    Shipped(ShipmentMoved) "shipped";
    /// The customer has a shipment.
    Delivered(ShipmentMoved) "delivered";
    /// A shipment came back undelivered.
    ShipmentReturned(ShipmentMoved) "shipment_returned";
    /// A shipment is lost.
    ShipmentLost(ShipmentMoved) "shipment_lost";
    /// The payment was captured.
    Captured(Captured) "captured";
    /// A participant took a step on, and decides later.
    Pending(Pending) "pending";
    /// Its goods are not there yet: stock is asked for later.
    AwaitingGoods(AwaitingGoods) "awaiting_goods";
    /// A payment was decided against.
    PaymentFailed(PaymentFailed) "payment_failed";
    /// Stock that was set aside was given back.
    Released(Released) "released";
    /// The authorization was given up.
    Voided(Voided) "voided";
    /// A booked shipment was canceled.
    ShipmentCanceled(ShipmentCanceled) "shipment_canceled";
    /// Money was paid back.
    Refunded(Refunded) "refunded";
    /// Units that came back are in stock again.
    Restocked(Restocked) "restocked";
    /// All was done.
    Completed(Completed) "completed";
    /// What was done is being undone.
    Canceling(Canceling) "canceling";
    /// All that was done has been undone.
    Canceled(Canceled) "canceled";
    /// Units came back.
    Returned(Returned) "returned";
    /// Whether someone should look has changed.
    Attention(AttentionChanged) "attention";
    /// The order is parked.
    Parked(ParkedOrder) "parked";
    /// The order takes commands again.
    Unparked(UnparkedOrder) "unparked";
    /// The order went into the archive.
    Archived(ArchivedOrder) "archived";
    /// The order came back from the archive.
    Restored(RestoredOrder) "restored";
    /// The order's steps wait from now on.
    Held(Held) "held";
    /// A hold ended.
    HoldReleased(HoldReleased) "hold_released";
    /// What happened outside entered the books.
    Recorded(Recorded) "recorded";
    /// The order was changed before its goods were booked.
    Amended(Amended) "amended";
    /// Units were canceled before they were booked; what is left goes on.
    LinesCanceled(LinesCanceled) "lines_canceled";
}

/// A public event with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicEvent {
    /// Which order.
    pub order: OrderRef,
    /// The order's version after it.
    pub version: u64,
    /// Which of the events of this version, from 0.
    pub index: u32,
    /// Which of the order's public events, from 1, without a gap: who misses a number has missed an event. None of what
    /// is no decision of the order's (`parked`, `unparked`).
    pub number: Option<u64>,
    /// When the command that caused it came in.
    pub time: TimestampMs,
    /// The id of the command that caused it; of the engine's own, the key of the step that ended.
    pub causation_id: Option<String>,
    /// Whose id that is: ids are unique within their source only. None for the engine's own.
    pub causation_source: Option<String>,
    /// What they are who gave the command.
    pub actor: Option<GiverKind>,
    /// The trace that it is part of.
    pub traceparent: Option<String>,
    /// What happened.
    pub data: EventData,
}

impl PublicEvent {
    /// The event's id: the same however often it is published.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}-{}", self.order.order, self.version, self.index)
    }

    /// Who says so. Order ids are unique within a tenant only, so the tenant is part of it.
    #[must_use]
    pub fn source(&self) -> String {
        format!("/retailflow/{}", self.order.tenant)
    }

    /// The order's version as the `sequence` extension wants it: text that sorts as the numbers do.
    #[must_use]
    pub fn sequence(&self) -> String {
        format!("{:020}", self.version)
    }
}

impl Serialize for PublicEvent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &self.id())?;
        map.serialize_entry("source", &self.source())?;
        map.serialize_entry("type", self.data.kind())?;
        map.serialize_entry("tenant", &self.order.tenant)?;
        map.serialize_entry("subject", &self.order.order)?;
        map.serialize_entry("time", &format_time(self.time))?;
        map.serialize_entry("sequence", &self.sequence())?;
        if let Some(number) = self.number {
            map.serialize_entry("eventnumber", &number)?;
        }
        if let Some(id) = &self.causation_id {
            map.serialize_entry("causationid", id)?;
        }
        if let Some(source) = &self.causation_source {
            map.serialize_entry("causationsource", source)?;
        }
        if let Some(actor) = self.actor {
            map.serialize_entry("actor", actor.as_str())?;
        }
        if let Some(trace) = &self.traceparent {
            map.serialize_entry("traceparent", trace)?;
        }
        map.serialize_entry("datacontenttype", "application/json")?;
        map.serialize_entry("dataschema", self.data.dataschema())?;
        map.serialize_entry("data", &self.data)?;
        map.end()
    }
}

#[derive(serde::Deserialize)]
struct RawEvent {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    tenant: TenantId,
    subject: OrderId,
    #[serde(deserialize_with = "required::deserialize")]
    time: TimestampMs,
    sequence: String,
    eventnumber: Option<u64>,
    causationid: Option<String>,
    causationsource: Option<String>,
    actor: Option<GiverKind>,
    traceparent: Option<String>,
    data: Box<RawValue>,
}

impl<'de> Deserialize<'de> for PublicEvent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = RawEvent::deserialize(from)?;
        let index = raw.id.rsplit('-').next().and_then(|index| index.parse().ok());
        let event = Self {
            order: OrderRef { tenant: raw.tenant, order: raw.subject },
            version: raw.sequence.parse().map_err(|_| D::Error::custom("sequence is not a number"))?,
            index: index.ok_or_else(|| D::Error::custom("id does not end with a number"))?,
            time: raw.time,
            number: raw.eventnumber,
            causation_id: raw.causationid,
            causation_source: raw.causationsource,
            actor: raw.actor,
            traceparent: raw.traceparent,
            data: EventData::read(&raw.kind, raw.data.get()).map_err(D::Error::custom)?,
        };
        if event.id() != raw.id {
            return Err(D::Error::custom("id does not name the order, its version and an index"));
        }
        Ok(event)
    }
}
