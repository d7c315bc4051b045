//! From a message of the stream of events back to the CloudEvent in one piece of JSON.
//!
//! Invariant: the text is, byte for byte, what [`PublicEvent`] writes. So a reader cannot tell which log its events come from, and what is
//! the same event is the same text. A test compares the two for each type.
//!
//! The data is put in as it stands: it may be a newer version's and say more than this one knows.
//!
//! [`PublicEvent`]: retailflow_engine::wire::event::PublicEvent

use std::sync::Arc;

use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::sha256;
use retailflow_engine::wire::event::EventData;
use retailflow_engine::wire::time::{format_time, parse_time};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::command::order_of;
use crate::foreign::ForeignMessage;
use crate::subjects;

/// An event as read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredEvent {
    pub(super) order: OrderRef,
    pub(super) kind: &'static str,
    pub(super) json: Arc<str>,
    /// Tells it from others that could stand at its place, where the stream was restored from an older copy.
    pub(super) mark: u32,
}

/// In the order in which `PublicEvent` has them.
#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'a str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    tenant: &'a str,
    subject: &'a str,
    time: &'a str,
    sequence: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    eventnumber: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationsource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    datacontenttype: &'a str,
    dataschema: &'a str,
    data: &'a RawValue,
}

/// Reads a message; what is none of ours is told in words.
pub(super) fn read(arrived: &ForeignMessage) -> Result<StoredEvent, String> {
    let (tenant, order) = subjects::parse_event(&arrived.subject).ok_or("its subject names no order")?;
    let order = order_of(tenant, order).map_err(|error| error.to_string())?;
    let may = |name: &'static str| arrived.headers.attribute(name).map_err(|error| error.to_string());
    let must = |name: &'static str| may(name)?.ok_or_else(|| format!("it has no {name}"));
    let is = |name: &'static str, wanted: &str| match must(name)? {
        found if found == wanted => Ok(found),
        found => Err(format!("its {name} is {found:?}, and {wanted:?} is expected")),
    };
    let specversion = is("ce-specversion", "1.0")?;
    let datacontenttype = is("content-type", "application/json")?;
    let tenant = is("ce-tenant", order.tenant.as_str())?;
    let subject = is("ce-subject", order.order.as_str())?;
    let source = is("ce-source", &format!("/retailflow/{tenant}"))?;
    let said = must("ce-type")?;
    let kind = *EventData::TYPES
        .iter()
        .find(|kind| **kind == said)
        .ok_or_else(|| format!("{said:?} is no type of event that this version knows"))?;
    let sequence = must("ce-sequence")?;
    let version = sequence.parse::<u64>().ok().filter(|version| format!("{version:020}") == sequence);
    let version = version.ok_or_else(|| format!("its ce-sequence is {sequence:?}"))?;
    let id = must("ce-id")?;
    let index = id.rsplit('-').next().and_then(|index| index.parse::<u32>().ok());
    if index.is_none_or(|index| format!("{subject}-{version}-{index}") != id) {
        return Err(format!("its ce-id is {id:?}, and its order is at version {version}"));
    }
    let time = must("ce-time")?;
    if parse_time(&time).map(format_time).as_ref() != Ok(&time) {
        return Err(format!("its ce-time is {time:?}"));
    }
    let dataschema = must("ce-dataschema")?;
    let (causationid, traceparent) = (may("ce-causationid")?, may("ce-traceparent")?);
    let (causationsource, actor) = (may("ce-causationsource")?, may("ce-actor")?);
    let eventnumber = may("ce-eventnumber")?.map(|text| match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => Ok(number),
        _ => Err(format!("its ce-eventnumber is {text:?}")),
    });
    let eventnumber = eventnumber.transpose()?;
    let data: &RawValue =
        serde_json::from_slice(&arrived.payload).map_err(|error| format!("its data is no JSON: {error}"))?;
    // Within text JSON has no control characters; between its parts they would break the line.
    if !data.get().starts_with('{') || arrived.payload.iter().any(u8::is_ascii_control) {
        return Err("its data is no object in one line".into());
    }
    let envelope = Envelope {
        specversion: &specversion,
        id: &id,
        source: &source,
        r#type: kind,
        tenant: &tenant,
        subject: &subject,
        time: &time,
        sequence: &sequence,
        eventnumber,
        causationid: causationid.as_deref(),
        causationsource: causationsource.as_deref(),
        actor: actor.as_deref(),
        traceparent: traceparent.as_deref(),
        datacontenttype: &datacontenttype,
        dataschema: &dataschema,
        data,
    };
    let json = serde_json::to_string(&envelope).map_err(|error| error.to_string())?.into();
    Ok(StoredEvent { mark: mark(&arrived.subject, &id), order, kind, json })
}

/// Never that of a place behind all events of a group ([`retailflow_engine::codec::cursor::BEHIND`]).
fn mark(subject: &str, id: &str) -> u32 {
    let hash = sha256(format!("{subject}\0{id}").as_bytes());
    u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) & (u32::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use retailflow_engine::ids::{OrderId, TimestampMs};
    use retailflow_engine::memory::MemoryLog;
    use retailflow_engine::ports::LogIdentity;
    use retailflow_engine::wire::event::PublicEvent;
    use retailflow_testkit::random_orders::{OrderAction, RandomOrders, read_log};

    use super::*;
    use crate::command::Headers;
    use crate::events::headers;

    /// Headers that not every event has.
    const MAY_LACK: [&str; 5] =
        ["ce-causationid", "ce-causationsource", "ce-actor", "ce-eventnumber", "ce-traceparent"];

    /// Both ways in which it may come.
    fn arrived(event: &PublicEvent) -> [ForeignMessage; 2] {
        let map = headers(event);
        let mut text = "NATS/1.0\r\n".to_owned();
        for (name, values) in map.iter() {
            values.iter().for_each(|value| text.push_str(&format!("{name}: {}\r\n", value.as_str())));
        }
        [Headers::of(Some(&map)), Headers::parse(text.as_bytes())].map(|headers| ForeignMessage {
            sequence: 1,
            subject: subjects::event(&event.order),
            headers,
            payload: serde_json::to_vec(&event.data).unwrap().into(),
        })
    }

    async fn events() -> Vec<PublicEvent> {
        let (cluster, created) = ("test".into(), TimestampMs(1));
        let log = MemoryLog::new(LogIdentity { log_id: [1; 16], cluster, partitions: 1, shards: 1, created });
        let mut random = RandomOrders::begin(&log, 5).await;
        let orders = random.names(30);
        random.append_random(&log, &orders[1..], 120).await;
        // Chance seldom lets one come to its end.
        for action in [
            [OrderAction::Place].as_slice(),
            &[OrderAction::Done; 6],
            &[OrderAction::Return],
            &[OrderAction::Done; 2],
        ]
        .concat()
        {
            random.append(&log, &[(&orders[0], action)]).await;
        }
        read_log(&log).await.events
    }

    #[tokio::test]
    async fn the_text_is_that_of_the_embedded_log() {
        let mut events = events().await;
        let kinds: BTreeSet<&str> = events.iter().map(|event| event.data.kind()).collect();
        // Random orders are never declined, taken on for later, late, reported on their way, held, amended, reviewed, or put into the archive;
        // their data is of the same kind.
        let rare = ["payment_failed", "pending", "archived", "restored", "awaiting_goods"];
        let moved = ["shipped", "delivered", "shipment_returned", "shipment_lost"];
        let shops = ["held", "hold_released", "recorded", "amended", "lines_canceled", "reviewed"];
        let rare = [&rare[..], &moved, &shops].concat();
        let rare: Vec<_> = rare.iter().map(|word| format!("retailflow.order.{word}.v1")).collect();
        let missing: Vec<_> = EventData::TYPES.iter().filter(|kind| !kinds.contains(**kind)).collect();
        assert!(missing.iter().all(|kind| rare.iter().any(|rare| rare == **kind)), "{missing:?}");
        let texts = ["", "c 1%", "\"\\/", "é\u{1f6d2}\u{7f}", "%41", "a\u{0}\n\tb", "  c  "];
        for (event, text) in events.iter_mut().zip(texts.iter().cycle()) {
            event.causation_id = Some((*text).to_owned());
            event.traceparent = (text.len() > 3).then(|| format!("00-{text}-01"));
        }
        let mut odd = events[0].clone();
        odd.order.order = OrderId::parse("-_A--9-").unwrap();
        odd.time = TimestampMs(-1);
        odd.version = u64::MAX;
        odd.index = u32::MAX;
        odd.causation_id = None;
        events.push(odd);
        for event in &events {
            for arrived in arrived(event) {
                let told = read(&arrived).unwrap();
                assert_eq!(*told.json, *serde_json::to_string(event).unwrap());
                assert_eq!((told.kind, &told.order), (event.data.kind(), &event.order));
            }
        }
    }

    /// Golden: readers keep tokens for years.
    #[test]
    fn marks_are_frozen() {
        assert_eq!(mark("rf.v1.evt.shop.o-1", "o-1-7-0"), 0x468a_5355);
        assert_ne!(mark("rf.v1.evt.shop.o-1", "o-1-7-0"), mark("rf.v1.evt.shop.o-1", "o-1-7-1"));
    }

    #[tokio::test]
    async fn what_is_none_of_ours_is_told() {
        let event = events().await.remove(0);
        let [good, _] = arrived(&event);
        let mut strange = vec![];
        for subject in ["rf.v1.evt.shop", "rf.v1.evt.shop.a.b", "rf.v1.evt.shop.other", "rf.v1.evt.NO.a"] {
            strange.push(ForeignMessage { subject: subject.into(), ..good.clone() });
        }
        for payload in ["", "x", "1", "[]", "{}x", "{\n}", "{\"a\":1}\n"] {
            strange.push(ForeignMessage { payload: payload.into(), ..good.clone() });
        }
        let map = headers(&event);
        for name in map.iter().map(|(name, _)| name.clone()) {
            let (mut without, mut other, mut twice) = (map.clone(), map.clone(), map.clone());
            other.insert(name.clone(), "%FF");
            twice.append(name.clone(), "x");
            if !MAY_LACK.contains(&name.as_ref()) {
                without = without.iter().filter(|(kept, _)| **kept != name).fold(
                    async_nats::HeaderMap::new(),
                    |mut map, (name, values)| {
                        values.iter().for_each(|value| map.append(name.clone(), value.clone()));
                        map
                    },
                );
                strange.push(ForeignMessage { headers: Headers::of(Some(&without)), ..good.clone() });
            }
            for map in [other, twice] {
                strange.push(ForeignMessage { headers: Headers::of(Some(&map)), ..good.clone() });
            }
        }
        for (name, value) in [
            ("ce-type", "retailflow.order.exploded.v1"),
            ("ce-sequence", "1"),
            ("ce-sequence", "+0000000000000000001"),
            ("ce-id", "o-1-1-00"),
            ("ce-time", "yesterday"),
            ("ce-tenant", "other"),
            ("content-type", "text/plain"),
        ] {
            let mut map = map.clone();
            map.insert(name, value);
            strange.push(ForeignMessage { headers: Headers::of(Some(&map)), ..good.clone() });
        }
        assert!(read(&good).is_ok());
        for arrived in strange {
            assert!(read(&arrived).is_err(), "{arrived:?}");
        }
    }
}
