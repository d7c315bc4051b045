//! The ask door of another node, as a node calls it over NATS: it keeps the contract of every door.

use std::sync::Arc;
use std::time::Duration;

use retailflow_actors::{Node, Ports, Settings};
use retailflow_config::Config;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId, TimestampMs};
use retailflow_engine::memory::{MemoryDeadLetters, MemoryLog, MemorySnapshots, MemoryTenants};
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{CommandDoor, EndParkingError, LogIdentity, PortFuture};
use retailflow_engine::wire::admin::ReleaseReport;
use retailflow_engine::wire::{Code, CommandEvent, Durability, Outcome};
use retailflow_nats::{EdgeConnection, ForwardClient, ForwardError, ForwardOptions, ForwardServer};
use retailflow_testkit::Subject;
use retailflow_testkit::command_door::{DoorWithLog, suite};
use retailflow_testkit::simulated::{MemoryJournal, SimOptions, SimParticipants};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::member::{Chance, SystemClock, nats_options};
use crate::support::nats::{Server, server_or_skip};

const HERE: PartitionId = PartitionId(0);
const RELEASE_MAX: Duration = Duration::from_secs(10);

/// A node that is called for everything.
struct ForwardingDoor(ForwardClient);

impl CommandDoor for ForwardingDoor {
    fn refuses(&self, _tenant: &TenantId) -> Option<Outcome> {
        None
    }

    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        Box::pin(async move {
            let wait = deadline + Duration::from_millis(500);
            let asked = self.0.ask(HERE, &command, &actor, deadline, wait).await;
            asked.unwrap_or_else(|error| {
                assert!(matches!(error, ForwardError::Silent(_)), "{error}");
                let code = Code::OutcomeUnknown;
                Outcome::refused(&command.order, &command.key, code, code.meaning())
            })
        })
    }

    /// Nobody is called for one.
    fn dry_run(&self, command: CommandEvent, _: Actor, _: Duration) -> PortFuture<'_, Outcome> {
        let code = Code::UnsupportedCommand;
        let outcome = Outcome::refused(&command.order, &command.key, code, code.meaning());
        Box::pin(async move { outcome.of_dry_run() })
    }

    fn end_parking<'a>(
        &'a self,
        order: &'a OrderRef,
        operator: &'a str,
        discard: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>> {
        Box::pin(
            async move { self.0.end_parking(HERE, order, operator, discard, RELEASE_MAX).await.unwrap() },
        )
    }
}

/// One node after another, each called over the same server.
struct Nodes {
    server: Server,
    last: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Nodes {
    async fn end(&mut self) {
        if let Some((end, answering)) = self.last.take() {
            end.cancel();
            answering.await.unwrap();
        }
    }
}

impl Subject for Nodes {
    type Port = DoorWithLog;

    fn fresh(&mut self) -> PortFuture<'_, DoorWithLog> {
        Box::pin(async {
            self.end().await;
            let (cluster, created) = ("test".into(), TimestampMs(0));
            let identity = LogIdentity { log_id: [1; 16], cluster, partitions: 1, shards: 1, created };
            let log = Arc::new(MemoryLog::new(identity));
            let (clock, journal) = (Arc::new(SystemClock), Arc::new(MemoryJournal::of_totals()));
            let ports = Ports {
                log: log.clone(),
                deadlines: log.clone(),
                participants: Arc::new(SimParticipants::new(&SimOptions::default(), clock.clone(), journal))
                    .ports(),
                snapshots: Arc::<MemorySnapshots>::default(),
                tenants: Arc::<MemoryTenants>::default(),
                dead_letters: Arc::<MemoryDeadLetters>::default(),
                clock,
                rng: Arc::new(Chance),
                durability: Durability::MEMORY.into(),
            };
            let settings = Settings { drives_effects: false, ..Settings::new(Config::default(), "called") };
            let node = Node::start(settings, ports).await.unwrap();
            let options = nats_options(&self.server);
            let post = EdgeConnection::open(&options, "post").await.unwrap();
            let caller = ForwardClient::new(EdgeConnection::open(&options, "caller").await.unwrap());
            let post = ForwardServer::new(post, Arc::new(node), ForwardOptions::default());
            let end = CancellationToken::new();
            let ends = end.clone();
            let answering = tokio::spawn(async move { post.answer_for(HERE, ends).await.unwrap() });
            self.last = Some((end, answering));
            // Until somebody answers.
            let order = retailflow_testkit::author::order("shop", "nobody");
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            while let Err(error) = caller.end_parking(HERE, &order, "ann", false, RELEASE_MAX).await {
                assert_eq!(error, ForwardError::Nobody(HERE));
                pace.tick().await;
            }
            DoorWithLog { door: Arc::new(ForwardingDoor(caller)), log }
        })
    }

    fn reopen(&mut self, port: DoorWithLog) -> PortFuture<'_, DoorWithLog> {
        Box::pin(async { port })
    }
}

#[test]
fn the_door_of_another_node_keeps_the_contract() {
    let Some(nats) = server_or_skip("the_door_of_another_node_keeps_the_contract") else { return };
    let mut nodes = Nodes { server: Server::with_streams(&nats), last: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        suite(&mut nodes).await;
        nodes.end().await;
    });
}
