//! Orders with very many decisions: a page costs a page, an order is folded a piece at a time, and for nobody who has gone.

use std::sync::{Arc, Mutex};

use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::ports::*;
use retailflow_gateway::{Options, Running, Server};
use retailflow_testkit::author::Author;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::fakes::order;
use crate::world::{Behind, Client, PATIENCE, Reply, behind, local, until};

const DECISIONS: usize = 3_000;
/// More is not read of an order at once.
const PIECE_MAX: usize = 1_001;
const PATH: &str = "/v1/tenants/shop/orders/long";

/// A log of one order, with a record for each decision. It tells how much was read of it at once.
struct Long {
    records: Mutex<Vec<StoredRecord>>,
    given: Mutex<Vec<usize>>,
    /// Each read takes one.
    gate: Semaphore,
}

impl Long {
    fn new(permits: usize) -> Arc<Self> {
        let mut author = Author::new(&order("shop", "long"));
        let record = |number: usize| {
            let bytes = author.write(1).bytes.to_vec();
            StoredRecord { position: LogPosition(number as u64), bytes }
        };
        let records = (1..=DECISIONS).map(record).collect();
        Arc::new(Self {
            records: Mutex::new(records),
            given: Mutex::default(),
            gate: Semaphore::new(permits),
        })
    }
}

impl EventLog for Long {
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
        after: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        self.read_some(order, after, u64::MAX)
    }

    fn read_some<'a>(
        &'a self,
        _: &'a OrderRef,
        after: u64,
        decisions: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        let records = self.records.lock().unwrap();
        let from = records.len().min(after as usize);
        let until = records.len().min(after.saturating_add(decisions) as usize);
        let records = records[from..until].to_vec();
        self.given.lock().unwrap().push(records.len());
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            Ok(records)
        })
    }

    fn parked(&self, _: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn parked_commands<'a>(
        &'a self,
        _: &'a OrderRef,
        _: u64,
        _: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        unreachable!("the edge shows no parked commands")
    }

    fn scan(&self, _: LogPosition, _: usize) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        unreachable!("the edge does not scan")
    }
}

async fn start(log: &Arc<Long>) -> (Running, Arc<retailflow_gateway::Counts>) {
    let Behind { mut edge, .. } = behind().await;
    edge.log = Arc::clone(log) as _;
    let counts = Arc::clone(&edge.counts);
    (Server::start(local(), edge, Options::default()).unwrap(), counts)
}

async fn get(running: &Running, path: &str) -> Reply {
    Client::connect(running.public_addr).await.call("GET", path, &[], b"").await
}

#[tokio::test]
async fn a_page_costs_a_page() {
    let log = Long::new(1_000);
    let (running, _) = start(&log).await;
    for after in [0, 1, 1_500, 2_999] {
        log.given.lock().unwrap().clear();
        let reply = get(&running, &format!("{PATH}/history?limit=1&after={after}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["entries"][0]["decision"], after + 1);
        // The page itself; and if it shows nothing applied, whether the order was ever placed.
        let given = log.given.lock().unwrap().clone();
        assert!(given[0] <= 2 && given.iter().sum::<usize>() <= PIECE_MAX, "{after}: {given:?}");
    }
}

#[tokio::test]
async fn an_order_is_folded_a_piece_at_a_time() {
    let log = Long::new(1_000);
    let (running, _) = start(&log).await;
    let reply = get(&running, PATH).await;
    assert_eq!((reply.status, &reply.json()["version"]), (200, &1.into()), "{}", reply.text());
    let given = log.given.lock().unwrap().clone();
    assert_eq!(given.iter().sum::<usize>(), DECISIONS, "each once");
    assert!(given.iter().all(|given| *given <= PIECE_MAX), "{given:?}");
}

/// Folding, or a snapshot's megabyte, once for each caller cost as much memory as there are threads.
#[tokio::test]
async fn a_long_order_that_was_looked_at_costs_what_came_after() {
    let log = Long::new(1_000);
    let (running, _) = start(&log).await;
    let first = get(&running, PATH).await;
    log.given.lock().unwrap().clear();
    for _ in 0..3 {
        let reply = get(&running, PATH).await;
        assert_eq!((reply.status, reply.text()), (200, first.text()));
    }
    assert_eq!(*log.given.lock().unwrap(), [1, 1, 1], "its last record says that it is still so");
}

#[tokio::test]
async fn what_was_looked_at_is_believed_only_as_long_as_the_log_agrees() {
    let log = Long::new(1_000);
    let (running, _) = start(&log).await;
    assert_eq!(get(&running, PATH).await.status, 200);
    log.records.lock().unwrap().truncate(2_000);
    log.given.lock().unwrap().clear();
    assert_eq!(get(&running, PATH).await.status, 200);
    assert_eq!(log.given.lock().unwrap().iter().sum::<usize>(), 2_000, "it was folded anew");
}

#[tokio::test]
async fn what_a_caller_left_is_not_finished() {
    let log = Long::new(0);
    let (running, counts) = start(&log).await;
    let mut stream = TcpStream::connect(running.public_addr).await.unwrap();
    stream.write_all(format!("GET {PATH} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.unwrap();
    until("it is being read", async || log.given.lock().unwrap().len() == 1).await;
    drop(stream);
    until("the caller has gone", async || counts.connections_open() == 0).await;
    log.gate.add_permits(1);
    // It waits for reads that are left.
    running.drain(PATIENCE).await;
    assert_eq!(log.given.lock().unwrap().len(), 1, "it was read on");
}
