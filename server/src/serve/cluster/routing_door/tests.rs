//! What a caller is told of what other nodes say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use retailflow_actors::{Node, OwnershipMode, Ports, Settings};
use retailflow_config::Config;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::memory::{MemoryDeadLetters, MemoryLog, MemorySnapshots, MemoryTenants};
use retailflow_engine::ports::LogIdentity;
use retailflow_engine::wire::Durability;
use retailflow_nats::{EdgeConnection, NatsOptions};
use retailflow_testkit::author::{order, place};

use super::*;
use crate::app::{SystemClock, SystemRng};
use crate::participants::instant::Instant as Instantly;

#[path = "../../../../../tests/support/nats.rs"]
mod nats;
#[path = "../../../../../tests/support/poll.rs"]
mod poll;
#[path = "../../../../../tests/support/ports.rs"]
mod ports;
#[path = "../../../../../tests/support/skipped.rs"]
mod skipped;

const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn what_may_be_recorded_is_never_called_refused() {
    let late = DEADLINE - Duration::from_millis(1);
    for code in Code::ALL.iter().copied().filter(|code| code.retry_helps()) {
        if code == Code::OrderNotFound {
            continue;
        }
        assert_eq!(next(code, true, HANDOVER_RETRY_MAX, DEADLINE), Next::Again, "{code}");
        assert_eq!(next(code, true, late, DEADLINE), Next::TellUnknown, "{code}");
    }
    // What cannot change is told, doubt or not.
    for code in [Code::Applied, Code::OrderExists, Code::OrderFull, Code::OrderNotFound] {
        assert_eq!(next(code, true, Duration::ZERO, DEADLINE), Next::Tell, "{code}");
    }
}

#[test]
fn a_partition_on_its_way_is_waited_for_and_nothing_else_is() {
    for code in [Code::Unavailable, Code::Draining] {
        assert_eq!(next(code, false, Duration::ZERO, DEADLINE), Next::Again);
        assert_eq!(next(code, false, HANDOVER_RETRY_MAX, DEADLINE), Next::Tell, "it takes too long");
        assert_eq!(next(code, false, Duration::ZERO, Duration::from_millis(1)), Next::Tell);
    }
    for code in [Code::Throttled, Code::Overloaded, Code::ParkedQueueFull] {
        assert_eq!(next(code, false, Duration::ZERO, DEADLINE), Next::Tell, "asking again would feed it");
    }
}
/// Longer than a partition moves: by then it must not have become a refusal.
const PATIENCE: Duration = Duration::from_millis(3_300);
/// Before its end nobody looks once more.
const LOOK_MAX: Duration = Duration::from_millis(100);

/// A node that runs nothing itself.
async fn door(server: &nats::Server) -> RoutingDoor {
    let (cluster, created) = ("test".into(), TimestampMs(0));
    let log =
        Arc::new(MemoryLog::new(LogIdentity { log_id: [1; 16], cluster, partitions: 1, shards: 1, created }));
    let ports = Ports {
        log: log.clone(),
        deadlines: log.clone(),
        participants: Arc::new(Instantly::default()).participants(),
        snapshots: Arc::<MemorySnapshots>::default(),
        tenants: Arc::<MemoryTenants>::default(),
        dead_letters: Arc::<MemoryDeadLetters>::default(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng::default()),
        durability: Durability::MEMORY.into(),
    };
    let settings =
        Settings { ownership: OwnershipMode::Assigned, ..Settings::new(Config::default(), "older") };
    let node = Node::start(settings, ports).await.unwrap();
    let options = NatsOptions { servers: vec![server.url()], ..NatsOptions::default() };
    let calls = EdgeConnection::direct(&options, "calls").await.unwrap();
    RoutingDoor::new(Arc::new(LocalDoor::new(node, log)), 1, ForwardClient::new(calls))
}

/// A node of another build, which runs the partition and answers every call alike.
struct Newer {
    answer: Mutex<Vec<u8>>,
    asked: AtomicUsize,
    socket: TcpStream,
}

impl Newer {
    /// Subscribes as a node does.
    fn start(server: &nats::Server) -> Arc<Self> {
        let mut socket = TcpStream::connect(server.address()).unwrap();
        socket
            .write_all(
                b"CONNECT {\"headers\":true,\"verbose\":false}\r\nSUB rf.node.v1.0 rf-node 1\r\nPING\r\n",
            )
            .unwrap();
        let mut lines = BufReader::new(socket.try_clone().unwrap());
        let mut line = String::new();
        while line != "PONG\r\n" {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0);
        }
        let node = Arc::new(Self { answer: Mutex::default(), asked: AtomicUsize::new(0), socket });
        let serving = node.clone();
        std::thread::spawn(move || serving.serve(lines));
        node
    }

    /// Until the socket is closed.
    fn serve(&self, mut lines: BufReader<TcpStream>) {
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["MSG", _, _, reply, size] => {
                    let mut payload = vec![0; size.parse::<usize>().unwrap() + 2];
                    lines.read_exact(&mut payload).unwrap();
                    self.asked.fetch_add(1, Ordering::SeqCst);
                    let answer = self.answer.lock().unwrap().clone();
                    let said = format!("PUB {reply} {}\r\n", answer.len());
                    (&self.socket).write_all(&[said.as_bytes(), &answer, b"\r\n"].concat()).unwrap();
                }
                ["PING"] => (&self.socket).write_all(b"PONG\r\n").unwrap(),
                _ => {}
            }
            line.clear();
        }
    }

    fn answers(&self, answer: &[u8]) {
        *self.answer.lock().unwrap() = answer.to_vec();
    }
}

/// The node that runs the partition is of a newer build, and answers what this one has no words for: the command may be recorded, and
/// the parking ended. It was told as refused, nothing begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_node_answers_is_unknown_and_never_refused() {
    let name = "what_a_newer_node_answers_is_unknown_and_never_refused";
    let Some(binary) = nats::server_or_skip(name) else { return };
    let server = nats::Server::with_streams(&binary);
    let door = door(&server).await;
    let newer = Newer::start(&server);
    let command = place(&order("shop", "o-1"), "p");
    let event = CommandEvent::new(command.order.clone(), command.key, (*command.data).clone());
    let shortly = Duration::from_millis(300);
    let strange: [(&[u8], Duration); 5] = [
        (br#"{"version":1,"answer":{"outcome":{"status":"refused","code":"of_a_newer_build","message":"x"}}}"#, PATIENCE),
        (br#"{"version":1,"answer":{"sung":"so"}}"#, shortly),
        (br#"{"version":2,"answer":{"refused":"no"}}"#, shortly),
        (b"", shortly),
        (b"\xff", shortly),
    ];
    for (answer, patience) in strange {
        newer.answers(answer);
        let (begun, asked) = (Instant::now(), newer.asked.load(Ordering::SeqCst));
        let outcome = door.ask(event.clone(), Actor::Tenant, patience).await;
        let said = String::from_utf8_lossy(answer);
        assert_eq!(outcome.code, Code::OutcomeUnknown, "{said}: {outcome:?}");
        assert!(
            begun.elapsed() >= patience - LOOK_MAX,
            "whoever is in doubt asks on for as long as its caller waits"
        );
        assert!(newer.asked.load(Ordering::SeqCst) > asked + 1);
        let ended = door.end_parking(&command.order, "ann", false).await;
        assert!(matches!(ended, Err(EndParkingError::Unknown(_))), "{said}: {ended:?}");
    }
    // What says that nothing was begun is a refusal, still.
    newer.answers(br#"{"version":1,"answer":{"refused":"no"}}"#);
    let refused = door.ask(event, Actor::Tenant, shortly).await;
    assert_eq!(refused.code, Code::Unavailable, "{refused:?}");
    newer.socket.shutdown(std::net::Shutdown::Both).unwrap();
}
