//! Ports that do what the names in a request tell them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::v1::ActorV1;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId, TimestampMs};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::Actor;
use retailflow_engine::ports::*;
use retailflow_engine::wire::admin::{BackupCut, BackupCutSchema, BackupPart, ReleaseReport, ReleaseSchema};
use retailflow_engine::wire::{Code, CommandEvent, Durability, Outcome};
use retailflow_gateway::Readiness;
use retailflow_testkit::author::Author;
use tokio::sync::Semaphore;

/// A door that answers by the id of a command: a code's name gives that code, `hang` waits for [`Door::gate`], and
/// `panic` panics; `replayed` is the first outcome again, and any other id is applied.
pub(crate) struct Door {
    pub(crate) asked: Mutex<Vec<(CommandEvent, Actor, Duration)>>,
    pub(crate) tried: Mutex<Vec<(CommandEvent, Actor, Duration)>>,
    pub(crate) gate: Semaphore,
}

impl CommandDoor for Door {
    fn refuses(&self, _: &TenantId) -> Option<Outcome> {
        None
    }

    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        self.asked.lock().unwrap().push((command.clone(), actor, deadline));
        Box::pin(async move {
            let (order, key) = (&command.order, &command.key);
            let recorded = |code| Outcome::recorded(order, key, code, 7, Durability::FSYNC);
            match key.id.as_str() {
                "hang" => drop(self.gate.acquire().await.unwrap()),
                "panic" => panic!("as asked for"),
                "replayed" => return recorded(Code::Applied).into_replayed(),
                "over_return" => return recorded(Code::OverReturn).into_replayed(),
                "throttled" => {
                    let refused = Outcome::refused(order, key, Code::Throttled, "too much");
                    return refused.with_retry_after_ms(1001);
                }
                id => {
                    if let Some(code) = Code::parse(id) {
                        return match code.http_status() {
                            200 | 202 | 422 => recorded(code),
                            _ => Outcome::refused(order, key, code, code.meaning()),
                        };
                    }
                }
            }
            recorded(Code::Applied)
        })
    }

    fn dry_run(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        self.tried.lock().unwrap().push((command.clone(), actor, deadline));
        Box::pin(async move {
            let code = Code::parse(command.key.id.as_str()).unwrap_or(Code::Applied);
            Outcome {
                version: Some(8),
                ..Outcome::refused(&command.order, &command.key, code, code.meaning())
            }
            .of_dry_run()
        })
    }

    fn end_parking<'a>(
        &'a self,
        order: &'a OrderRef,
        operator: &'a str,
        discard: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>> {
        assert_eq!(operator, "ann");
        let text = "because".to_owned();
        let result = match order.order.as_str() {
            "not-parked" => Err(EndParkingError::NotParked),
            "under-way" => Err(EndParkingError::UnderWay(text)),
            "stopped" => Err(EndParkingError::Stopped(text)),
            "unavailable" => Err(EndParkingError::Unavailable(text)),
            "lost" => Err(EndParkingError::Unknown(text)),
            _ => Ok(ReleaseReport {
                schema: ReleaseSchema,
                commands: 2,
                applied: if discard { 0 } else { 2 },
                rejected: if discard { 2 } else { 0 },
                replayed: 0,
                dead_lettered: 0,
            }),
        };
        let hangs = order.order.as_str() == "hang";
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            result
        })
    }
}

/// Lists that are empty, and tell what they were asked.
pub(crate) struct Lists {
    pub(crate) asked: Mutex<Vec<OrderQuery>>,
    /// Up to where the log is written, and where the next page begins.
    pub(crate) written: Mutex<String>,
    pub(crate) next: Mutex<String>,
}

impl Default for Lists {
    fn default() -> Self {
        Self { asked: Mutex::default(), written: Mutex::new("p-10".into()), next: Mutex::new("n-1".into()) }
    }
}

impl Views for Lists {
    fn list(&self, query: OrderQuery) -> PortFuture<'_, Result<OrderPage, ViewError>> {
        let (after, next) = (query.after.clone(), self.next.lock().unwrap().clone());
        self.asked.lock().unwrap().push(query);
        Box::pin(async move {
            match after.as_deref() {
                Some("bad") => Err(ViewError::BadToken("not one of ours".into())),
                Some("trouble") => Err(ViewError::Unavailable("SECRET".into())),
                _ => Ok(OrderPage { orders: Vec::new(), next: Some(next), position: "p-9".into() }),
            }
        })
    }

    fn counts(&self, _: Option<&TenantId>) -> Result<OrderCounts, ViewError> {
        Ok(OrderCounts::default())
    }

    fn position(&self) -> String {
        "p-9".into()
    }

    fn written(&self) -> String {
        self.written.lock().unwrap().clone()
    }

    fn reached<'a>(&'a self, position: &'a str) -> PortFuture<'a, Result<(), ViewError>> {
        Box::pin(async move {
            match position {
                "bad" => Err(ViewError::BadToken("not one of ours".into())),
                "never" => std::future::pending().await,
                _ => Ok(()),
            }
        })
    }
}

/// Three events for everyone; for the tenant `flood`, more than anyone can take.
#[derive(Default)]
pub(crate) struct Relay {
    /// Where a reader of what happens from now on stands, if not at the end; and what readers have begun after.
    pub(crate) now: Arc<Mutex<Option<String>>>,
    pub(crate) begun: Arc<Mutex<Vec<String>>>,
}

struct Reader {
    at: usize,
    says: Option<String>,
    events: Vec<RelayedEvent>,
    flood: bool,
}

pub(crate) fn event(number: usize) -> RelayedEvent {
    RelayedEvent {
        token: format!("t-{number}").into(),
        tenant: TenantId::parse("shop").unwrap(),
        kind: "retailflow.order.placed.v1",
        json: format!("{{\"id\":\"o-1-{number}\"}}").into(),
    }
}

impl EventRelay for Relay {
    fn open<'a>(
        &'a self,
        tenant: &'a TenantId,
        from: ReadFrom,
    ) -> PortFuture<'a, Result<Box<dyn EventReader>, RelayError>> {
        let flood = tenant.as_str() == "flood";
        let says = (from == ReadFrom::Now).then(|| self.now.lock().unwrap().clone()).flatten();
        if let ReadFrom::After(token) = &from {
            self.begun.lock().unwrap().push(token.clone());
        }
        Box::pin(async move {
            let after = match from {
                ReadFrom::Beginning => 0,
                ReadFrom::Now => 3,
                ReadFrom::After(token) => match token.as_str() {
                    "gone" => return Err(RelayError::Gone("it was archived".into())),
                    "trouble" => return Err(RelayError::Unavailable("SECRET".into())),
                    token => match token.strip_prefix("t-").and_then(|number| number.parse().ok()) {
                        Some(number) => number,
                        None => return Err(RelayError::BadToken("not one of ours".into())),
                    },
                },
            };
            let events = (after + 1..=3).map(event).collect();
            Ok(Box::new(Reader { at: after, says, events, flood }) as Box<dyn EventReader>)
        })
    }
}

impl EventReader for Reader {
    fn next(&mut self) -> PortFuture<'_, Result<Vec<RelayedEvent>, RelayError>> {
        Box::pin(async move {
            if self.flood {
                return Ok(vec![RelayedEvent { json: "x".repeat(65_536).into(), ..event(1) }]);
            }
            if self.events.is_empty() {
                std::future::pending::<()>().await;
            }
            self.at = 3;
            Ok(std::mem::take(&mut self.events))
        })
    }

    fn position(&self) -> String {
        self.says.clone().unwrap_or_else(|| format!("t-{}", self.at))
    }
}

/// A log of a few orders, for reading alone.
pub(crate) struct Log {
    orders: HashMap<OrderRef, Vec<StoredRecord>>,
    /// Partitions whose park marks nobody gets to see.
    pub(crate) hang: Arc<Mutex<Vec<PartitionId>>>,
}

pub(crate) fn order(tenant: &str, order: &str) -> OrderRef {
    retailflow_testkit::author::order(tenant, order)
}

impl Log {
    /// Holds `shop/o-1`, of three decisions; `shop/broken`, which is none; and `shop/parked`.
    pub(crate) fn new() -> Self {
        let mut orders = HashMap::new();
        for name in ["o-1", "parked"] {
            let name = order("shop", name);
            let mut author = Author::new(&name);
            let records = [author.write(2), author.write(1)];
            let stored = |entry: &OrderEntry| StoredRecord {
                position: LogPosition(entry.next_revision),
                bytes: entry.bytes.to_vec(),
            };
            orders.insert(name, records.iter().map(stored).collect());
        }
        let nonsense = StoredRecord { position: LogPosition(1), bytes: b"SECRET".to_vec() };
        orders.insert(order("shop", "broken"), vec![nonsense]);
        Self { orders, hang: Arc::default() }
    }
}

impl EventLog for Log {
    fn identity(&self) -> LogIdentity {
        LogIdentity {
            log_id: [0; 16],
            cluster: "test".into(),
            partitions: 2,
            shards: 1,
            created: TimestampMs(0),
        }
    }

    fn commit(&self, _: Group) -> PortFuture<'_, Result<Commit, CommitError>> {
        unreachable!("the edge does not write")
    }

    fn probe(&self, _: PartitionId) -> PortFuture<'_, Result<(), CommitError>> {
        unreachable!("the edge does not write")
    }

    fn head(&self, _: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>> {
        unreachable!("the edge needs no fence")
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        _: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        let records = match order.order.as_str() {
            "trouble" => Err(ReadError::Unavailable("SECRET".into())),
            _ => Ok(self.orders.get(order).cloned().unwrap_or_default()),
        };
        let hangs = order.order.as_str().starts_with("slow");
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            records
        })
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        let all = ["parked", "p-2", "p-3"].map(|name| order("shop", name));
        let here = all.into_iter().filter(|order| partition_of(order, 2) == partition);
        let parked =
            here.map(|order| ParkedOrder { order, reason: "it crashed".into(), queued: 2 }).collect();
        let hangs = self.hang.lock().unwrap().contains(&partition);
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(parked)
        })
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        let waiting = (after + 1..=2).take(limit).map(|sequence| {
            let command = Control::ParkedCommand {
                order: order.clone(),
                sequence,
                key: format!("/console\0c-{sequence}"),
                content_hash: [1; 32],
                body: b"of a later version".to_vec(),
                actor: ActorV1::Operator("ann".into()),
                trace_id: None,
                at: TimestampMs(0),
            };
            command.encode().unwrap()
        });
        Box::pin(std::future::ready(Ok(waiting.collect())))
    }

    fn scan(&self, _: LogPosition, _: usize) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        unreachable!("the edge does not scan")
    }
}

/// Dead letters, of which every other one is the shop's.
pub(crate) fn letter(number: u8) -> DeadLetter {
    DeadLetter {
        key: [number; 16],
        tenant: (number % 2 == 1).then(|| "shop".to_owned()),
        origin: format!("commands.jsonl, line {number}"),
        code: "malformed_json".into(),
        reason: "not JSON".into(),
        body: vec![b'{', 0xff],
        length_bytes: 2,
        at: TimestampMs(0),
    }
}

/// A log of one segment whose bytes say where they are, and a book that broke after its first kilobyte.
pub(crate) struct Copied;

pub(crate) const SEGMENT_BYTES: u64 = 3_000_000;

impl BackupSource for Copied {
    fn cut(&self) -> PortFuture<'_, Result<BackupCut, BackupError>> {
        let part = |name: &str, bytes| BackupPart { name: name.to_owned(), bytes };
        let parts = vec![part("0000000000000001.seg", SEGMENT_BYTES), part("payments.book", 2048)];
        let cut = BackupCut { schema: BackupCutSchema, log_id: "00".repeat(16), position: 7, parts };
        Box::pin(std::future::ready(Ok(cut)))
    }

    fn read(&self, part: &str, from: u64, bytes_max: usize) -> PortFuture<'_, Result<Vec<u8>, BackupError>> {
        let length = match part {
            "0000000000000001.seg" => SEGMENT_BYTES,
            "payments.book" => 1024,
            _ => 0,
        };
        let until = length.min(from + bytes_max as u64);
        let bytes: Vec<u8> = (from..until).map(|at| at as u8).collect();
        let read = match (bytes.is_empty(), length) {
            (false, _) => Ok(bytes),
            (true, 0) => Err(BackupError::NoSuchPart("there is no such part".into())),
            (true, _) => Err(BackupError::Unavailable("the disk".into())),
        };
        Box::pin(std::future::ready(read))
    }
}

/// As ready as the test says.
#[derive(Default)]
pub(crate) struct Ready {
    pub(crate) reasons: Arc<Mutex<Vec<String>>>,
}

impl Readiness for Ready {
    fn not_ready(&self) -> Vec<String> {
        self.reasons.lock().unwrap().clone()
    }

    fn not_alive(&self) -> Vec<String> {
        Vec::new()
    }
}
