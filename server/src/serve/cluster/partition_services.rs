//! What a partition needs beside its committer, for as long as this node runs it: somebody who answers other nodes, one
//! who reads its commands, one who tells the public, and one who writes how far it has read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::counter;
use retailflow_actors::{Intake, IntakeEvent, NodeHandle};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::metric;
use retailflow_engine::ports::{EventLog as _, InboxError, StoreError};
use retailflow_engine::wire::Outcome;
use retailflow_nats::{EdgeConnection, EventPump, ForwardServer, InboxFault, MisroutedCommands, NatsInbox};
use retailflow_os::repeated::Repeated;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cluster_deps::ClusterDeps;
use super::options;
use super::reading::Reading;
use crate::app::SystemClock;
use crate::exit::Failure;

/// Outcomes on their way to who published the commands; beyond it they are not sent, and show in the events.
const REPLIES_MAX: usize = 8_192;
/// For what sees to partitions to end.
const END_MAX: Duration = Duration::from_secs(15);
/// After passing trouble commands are read again in so long.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// And after trouble that only people can end.
const RETRY_AFTER_DAMAGE: Duration = Duration::from_secs(5);

/// Where published commands come from, and where their outcomes go.
#[derive(Clone)]
struct IntakeConnections {
    intake: EdgeConnection,
    replies: EdgeConnection,
}

impl IntakeConnections {
    async fn open(deps: &ClusterDeps) -> Result<Self, Failure> {
        Ok(Self { intake: deps.edge("intake").await?, replies: deps.replier("replies").await? })
    }
}

/// Why commands are not read.
enum Stopped {
    Passing(String),
    Damaged(String),
}

impl From<InboxFault> for Stopped {
    fn from(fault: InboxFault) -> Self {
        match fault {
            InboxFault::Unavailable(why) => Self::Passing(why),
            fault @ InboxFault::MadeAnew(_) => Self::Passing(fault.to_string()),
            fault => Self::Damaged(fault.to_string()),
        }
    }
}

/// Sees to the partitions of a node.
#[derive(Clone)]
pub(super) struct PartitionServices {
    pub(super) deps: Arc<ClusterDeps>,
    pub(super) node: NodeHandle,
    pub(super) post: ForwardServer,
    /// Told which partitions are not read.
    pub(super) reading: Arc<Reading>,
    /// One server that is away is one cause, however many partitions wait for it.
    pub(super) said: Arc<Repeated>,
    /// What stands in the stream of commands under subjects that no partition reads.
    pub(super) misrouted: Arc<MisroutedCommands>,
}

impl PartitionServices {
    /// Until `end`.
    pub(super) async fn run(self, end: CancellationToken) {
        let ends = loop {
            match IntakeConnections::open(&self.deps).await {
                Ok(ends) => break ends,
                Err(error) => tracing::warn!(event = "commands_wait", %error, "published commands wait"),
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(RETRY_DELAY) => {}
            }
        };
        let mut changes = self.node.watch_terms();
        // One task a partition at most: that of the next term begins when that of the last one has ended.
        let mut attended: BTreeMap<PartitionId, (u64, CancellationToken)> = BTreeMap::new();
        let mut partitions = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            changes.mark_unchanged();
            let terms: BTreeMap<PartitionId, u64> = self.node.terms().into_iter().collect();
            for (partition, (term, stop)) in &attended {
                if terms.get(partition) != Some(term) {
                    stop.cancel();
                }
            }
            for (partition, term) in terms {
                attended.entry(partition).or_insert_with(|| {
                    let stop = end.child_token();
                    let (of, ends, token) = (self.clone(), ends.clone(), stop.clone());
                    let task = tasks.spawn(async move { of.partition(partition, &ends, token).await });
                    partitions.insert(task.id(), partition);
                    (term, stop)
                });
            }
            tokio::select! {
                () = end.cancelled() => break,
                _ = changes.changed() => {}
                Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => {
                            tracing::error!(event = "partition_services_failed", %error, "what sees to a partition ended badly; it begins again");
                            error.id()
                        }
                    };
                    if let Some(partition) = partitions.remove(&id) {
                        attended.remove(&partition);
                    }
                }
            }
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(END_MAX, ended).await.is_err() {
            tracing::warn!("what sees to partitions does not end; it is cut off");
        }
    }

    async fn partition(&self, partition: PartitionId, ends: &IntakeConnections, stop: CancellationToken) {
        let deps = &self.deps;
        let (log, publisher, cursors) = (deps.log.clone(), deps.publisher.clone(), deps.cursors.clone());
        let pump = EventPump::new(log, publisher, cursors, partition).run(stop.clone());
        let answers = async {
            loop {
                let answered = self.post.answer_for(partition, stop.clone()).await;
                if stop.is_cancelled() {
                    return;
                }
                tracing::warn!(event = "forwarding_unanswered", %partition, ?answered, "other nodes are not answered now");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY_DELAY) => {}
                }
            }
        };
        // Dropped in its middle it loses nothing: what it has not settled stays above the floor.
        let commands = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.run_intake(partition, ends) => {}
            }
        };
        tokio::join!(pump, answers, commands);
        self.reading.ends(partition);
    }

    /// Reads the partition's commands for ever.
    async fn run_intake(&self, partition: PartitionId, ends: &IntakeConnections) {
        loop {
            let pause = match self.intake(partition, ends).await {
                Ok(()) => RETRY_DELAY,
                Err(Stopped::Passing(why)) => {
                    self.reading.stops(partition, &why, false);
                    if let Some(left_out) = self.said.due(&why) {
                        tracing::warn!(event = "commands_wait", %partition, why, left_out, "published commands wait");
                    }
                    RETRY_DELAY
                }
                Err(Stopped::Damaged(why)) => {
                    self.reading.stops(partition, &why, true);
                    if let Some(left_out) = self.said.due(&why) {
                        tracing::error!(
                            event = "commands_not_read", %partition, why, left_out,
                            "STOPPED: published commands are not read"
                        );
                    }
                    RETRY_AFTER_DAMAGE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn intake(&self, partition: PartitionId, ends: &IntakeConnections) -> Result<(), Stopped> {
        let deps = &self.deps;
        let head = deps.log.head(partition).await;
        let head = head.map_err(|error| Stopped::Passing(error.to_string()))?;
        let floors = head.fence.map(|fence| fence.intake).unwrap_or_default();
        let options = options::inbox(&deps.config, deps.log.identity().partitions, self.misrouted.clone());
        let (letters, clock) = (deps.letters.clone(), Arc::new(SystemClock));
        let opened =
            NatsInbox::resume(&deps.connections, &ends.intake, partition, &floors, letters, clock, options);
        let mut inbox = opened.await?;
        self.reading.goes_on(partition);
        let (quiet, replies) = (inbox.idle_floor(), inbox.replies());
        let (outcomes, mut waiting) = mpsc::channel::<(u64, Outcome)>(REPLIES_MAX);
        let patience = options::patience(&deps.config);
        let intake = Intake::of_partition(&self.node, &inbox, "RF_CMD", partition, patience);
        let following = intake.registration();
        let (_stop, never) = watch::channel(false);
        let wanted = replies.clone();
        let taking_in = intake.run(&mut inbox, never, move |event: IntakeEvent| {
            let result = if event.dead_lettered { "dead_lettered" } else { "decided" };
            counter!(metric::PUBLISHED_COMMANDS.name, "result" => result).increment(1);
            if wanted.wanted(event.position) && outcomes.try_send((event.position, event.outcome)).is_err() {
                wanted.forget(event.position);
                tracing::warn!(event = "outcome_not_sent", %partition, "an outcome is not sent: too many wait");
            }
        });
        let sending = async {
            loop {
                let (position, outcome) = tokio::select! {
                    decided = waiting.recv() => match decided {
                        Some(decided) => decided,
                        None => return,
                    },
                    put_away = replies.next_put_away() => put_away,
                };
                replies.send(&ends.replies, position, &outcome).await;
            }
        };
        let floor = async {
            loop {
                tokio::time::sleep(options::floor_pause(&deps.config, fastrand::u64(..))).await;
                self.node.report_idle_floor(following, quiet.load(Ordering::Acquire));
                self.node.write_floor(partition).await;
            }
        };
        tokio::select! {
            (ended, ()) = async { tokio::join!(taking_in, sending) } => match ended {
                Ok(_) => Ok(()),
                Err(InboxError { cause: StoreError::Unavailable(why), .. }) => Err(Stopped::Passing(why)),
                Err(error) => Err(Stopped::Damaged(error.to_string())),
            },
            () = floor => Ok(()),
        }
    }
}
