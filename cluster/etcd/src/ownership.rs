//! The membership of a node: one task that watches etcd, asks the coordinator what is wanted, and does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etcd_client::{EventType, WatchStream};
use futures_util::future::join_all;
use parking_lot::Mutex;
use retailflow_engine::ids::{NodeId, PartitionId, TimestampMs};
use retailflow_engine::ports::{Clock, Ownership, OwnershipEvent, PortFuture};
use retailflow_placement::Policy;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::answers::{EtcdError, Meaning};
use super::coordinator::{Action, Coordinator};
use super::keys::{Key, Keys};
use super::membership::{Known, Membership};
use super::session::{Session, SessionState};
use super::store::Store;
use super::values::{ClaimV1, DrainV1, NodeV1, SeenV1, write};
use retailflow_os::repeated::Repeated;

/// Requests under way at one time.
const REQUESTS_MAX: usize = 32;
/// What is wanted is looked at again so often, also when nothing has changed: dwelling ends by time alone.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// All is read anew so often, whatever the watch says: one that hears nothing any more (its etcd was wiped, and counts from below what
/// it waits for) looks like one to which nothing happens.
const READ_EVERY: Duration = Duration::from_secs(10);
/// After trouble it is tried again between these.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(2);

/// Who joins, and how.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// Where etcd listens, such as `http://127.0.0.1:2379`.
    pub endpoints: Vec<String>,
    /// The cluster's name, as the log has it.
    pub cluster: String,
    /// Our name. Two processes of one name do not run at the same time: the second one waits.
    pub node: NodeId,
    /// Drawn at random for this process.
    pub incarnation: u64,
    /// Our share against the others'.
    pub weight: u32,
    /// What operators say of us.
    pub labels: BTreeMap<String, String>,
    /// The program's version, for people.
    pub build: String,
    /// Where operators reach us, for people.
    pub admin: Option<String>,
    /// How long others wait for a node that says nothing more, in milliseconds. Whole seconds; at least 2.
    pub ttl_ms: u64,
    /// What is asked of plans that we make.
    pub policy: Policy,
}

struct Inner {
    options: EtcdOptions,
    clock: Arc<dyn Clock>,
    keys: Keys,
    stop: CancellationToken,
    /// Others are to take over what is here, one after another.
    leaving: CancellationToken,
    known: Known,
    looks: AtomicU64,
    released: mpsc::UnboundedSender<PartitionId>,
}

/// A node's membership over etcd.
pub struct EtcdOwnership {
    inner: Arc<Inner>,
    events: tokio::sync::Mutex<mpsc::Receiver<OwnershipEvent>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl EtcdOwnership {
    /// Joins in the background: etcd need not be there yet.
    #[must_use]
    pub fn join(options: EtcdOptions, clock: Arc<dyn Clock>) -> Arc<Self> {
        // Of each partition at most a take-over, a hand-over and a stop wait to be heard.
        let (events, heard) = mpsc::channel(3 * usize::from(options.policy.partitions).max(1));
        // At most one a partition and take-over: as bounded as those.
        let (released, releases) = mpsc::unbounded_channel();
        let keys = Keys::new(&options.cluster);
        let (stop, leaving) = (CancellationToken::new(), CancellationToken::new());
        let (known, looks) = (Known::new(), AtomicU64::new(0));
        let inner = Arc::new(Inner { options, clock, keys, stop, leaving, known, looks, released });
        let task = tokio::spawn(run(Arc::clone(&inner), events, releases));
        Arc::new(Self { inner, events: tokio::sync::Mutex::new(heard), task: Mutex::new(Some(task)) })
    }

    /// Has the others take over, in good order, what this node runs: as a drain by an operator, but for this session alone. Where
    /// nobody else is there, nothing moves. Go on with [`Self::close`].
    pub fn leave(&self) {
        self.inner.leaving.cancel();
    }

    /// How often it has looked at what is wanted: about twice a second, and at each change.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.inner.looks.load(Ordering::Relaxed)
    }

    /// How it stands: whether there is a session, and since when not; what this node is to run. Never waits.
    #[must_use]
    pub fn membership(&self) -> Membership {
        self.inner.known.membership()
    }

    /// Leaves: the session ends, and others take over at once what is still claimed. Hand over first.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!(event = "task_panicked", "the membership's task panicked");
        }
    }
}

impl Ownership for EtcdOwnership {
    fn next(&self) -> PortFuture<'_, Option<OwnershipEvent>> {
        Box::pin(async { self.events.lock().await.recv().await })
    }

    fn released(&self, partition: PartitionId) {
        // Once it has ended nobody needs to know.
        let _ = self.inner.released.send(partition);
    }

    fn is_sure(&self) -> bool {
        self.inner.known.is_sure()
    }
}

async fn run(
    inner: Arc<Inner>,
    events: mpsc::Sender<OwnershipEvent>,
    mut releases: mpsc::UnboundedReceiver<PartitionId>,
) {
    let options = &inner.options;
    let incarnation = format!("{:016x}", options.incarnation);
    let coordinator =
        Coordinator::new(inner.keys.clone(), options.node.clone(), &incarnation, &options.policy);
    let mut member = Member {
        inner: Arc::clone(&inner),
        coordinator,
        events,
        session: None,
        said: Repeated::new(),
        leaving: false,
    };
    let mut again = RETRY_DELAY_MIN;
    loop {
        let begun = Instant::now();
        tokio::select! {
            () = inner.stop.cancelled() => break,
            ended = member.follow(&mut releases) => {
                let Err(error) = ended;
                if error.meaning == Meaning::SessionEnded {
                    member.session_ended();
                }
                member.say(&error.to_string());
            }
        }
        if begun.elapsed() > RETRY_DELAY_MAX {
            again = RETRY_DELAY_MIN;
        }
        tokio::select! {
            () = inner.stop.cancelled() => break,
            () = sleep(again) => {}
        }
        again = (again * 2).min(RETRY_DELAY_MAX);
    }
    if let Some(session) = member.session.take() {
        // It leaves in good order: nobody need miss it. One that etcd does not hear of is missed, and an operator says so.
        session.forget(&inner.keys.of(&Key::Seen(options.node.clone()))).await;
        session.close().await;
    }
    inner.known.ended();
}

struct Member {
    inner: Arc<Inner>,
    coordinator: Coordinator,
    events: mpsc::Sender<OwnershipEvent>,
    session: Option<Session>,
    /// The trouble that was said: it is not said again and again.
    said: Repeated,
    leaving: bool,
}

impl Member {
    fn say(&self, trouble: &str) {
        self.inner.known.says(Some(trouble));
        if let Some(left_out) = self.said.due(&trouble) {
            tracing::warn!(
                event = "membership_trouble", node = %self.inner.options.node, left_out,
                "{trouble}; what is owned is run on, and it is tried again"
            );
        }
    }

    fn session_ended(&mut self) {
        if self.session.take().is_some() {
            tracing::warn!(event = "session_ended", node = %self.inner.options.node, "the session has ended; a new one begins");
        }
        self.inner.known.ended();
    }

    /// Reads all, then follows what changes, until etcd can be followed no more.
    async fn follow(
        &mut self,
        releases: &mut mpsc::UnboundedReceiver<PartitionId>,
    ) -> Result<std::convert::Infallible, EtcdError> {
        let store = Store::connect(&self.inner.options.endpoints).await?;
        let mut changes = self.read_all(&store).await?;
        let mut look = interval(POLL_INTERVAL);
        let mut read = interval_at(Instant::now() + READ_EVERY, READ_EVERY);
        read.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.inner.looks.fetch_add(1, Ordering::Relaxed);
            self.attend(&store).await?;
            // Who is not listed yet may have said why just now.
            if self.coordinator.is_listed() {
                self.said.over();
                self.inner.known.says(None);
            }
            self.inner.known.placed(self.coordinator.is_listed(), self.coordinator.placed_here());
            self.act(&store).await?;
            let mut state = self.session.as_ref().map(|session| session.state.clone());
            tokio::select! {
                () = self.inner.leaving.cancelled(), if !self.leaving => self.leaving = true,
                change = changed(&mut changes) => self.apply(change?),
                Some(partition) = releases.recv() => self.coordinator.released(partition),
                () = moved(state.as_mut()) => {}
                _ = look.tick() => {}
                _ = read.tick() => changes = self.read_all(&store).await?,
            }
        }
    }

    /// Everything as it stands, and the changes from there on.
    async fn read_all(&mut self, store: &Store) -> Result<WatchStream, EtcdError> {
        let (entries, revision) = store.list(self.inner.keys.prefix()).await?;
        let changes = store.watch(self.inner.keys.prefix(), revision + 1).await?;
        self.coordinator.forget();
        for entry in entries {
            self.coordinator.put(&entry.key, &entry.value, entry.created, entry.modified);
        }
        Ok(changes)
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { key, value, created, modified } => {
                    self.coordinator.put(&key, &value, created, modified);
                }
                Change::Delete(key) => self.coordinator.delete(&key),
            }
        }
    }

    /// Sees to the session, and to the own entry.
    async fn attend(&mut self, store: &Store) -> Result<(), EtcdError> {
        // Marked as seen: whoever waits for the next change must not be told of this one.
        let state = self.session.as_mut().map(|session| *session.state.borrow_and_update());
        match state {
            Some(SessionState::Until(until)) => self.inner.known.sure_until(until),
            Some(SessionState::Ended) => self.session_ended(),
            None => {}
        }
        if self.session.is_none() {
            self.session =
                Some(Session::begin(store, Duration::from_millis(self.inner.options.ttl_ms)).await?);
        }
        if self.coordinator.is_listed() {
            if !self.coordinator.is_seen() && !self.leaving {
                let Inner { options, keys, clock, .. } = &*self.inner;
                let seen = SeenV1 { at_ms: clock.now().0 };
                store.put(&keys.of(&Key::Seen(options.node.clone())), write(&seen)).await?;
            }
            return if self.leaving { self.ask_to_be_emptied(store).await } else { Ok(()) };
        }
        if let Some(other) = self.coordinator.namesake() {
            let text = format!(
                "another process runs as this node (it began at {} ms, incarnation {}): each node needs a name of its own",
                other.started_ms, other.holder.incarnation
            );
            self.say(&text);
            return Ok(());
        }
        let Inner { options, keys, clock, .. } = &*self.inner;
        let entry = NodeV1 {
            holder: self.coordinator.me().clone(),
            weight: options.weight,
            labels: options.labels.clone(),
            build: options.build.clone(),
            admin: options.admin.clone(),
            started_ms: clock.now().0,
        };
        let lease = self.session.as_ref().map(|session| session.lease);
        store.create(&keys.of(&Key::Node(options.node.clone())), write(&entry), lease).await.map(drop)
    }

    /// With the session's lease: it must not keep the node empty when it comes back.
    async fn ask_to_be_emptied(&self, store: &Store) -> Result<(), EtcdError> {
        let Inner { options, keys, clock, .. } = &*self.inner;
        if self.coordinator.is_drained() {
            return Ok(());
        }
        let drain = DrainV1 { by: format!("{} itself, which stops", options.node), at_ms: clock.now().0 };
        let lease = self.session.as_ref().map(|session| session.lease);
        store.create(&keys.of(&Key::Drain(options.node.clone())), write(&drain), lease).await.map(drop)
    }

    /// Does what is wanted. What etcd answers comes back as a change.
    async fn act(&mut self, store: &Store) -> Result<(), EtcdError> {
        let now = self.inner.clock.now();
        let mut requests = Vec::new();
        for want in self.coordinator.actions(now) {
            match want {
                Action::TakeOver(partition) => {
                    self.coordinator.taken_over(partition);
                    self.tell(OwnershipEvent::TakeOver(partition)).await;
                }
                Action::HandOver(partition) => {
                    self.coordinator.handing_over(partition);
                    self.tell(OwnershipEvent::HandOver(partition)).await;
                }
                Action::Stop(partition) => {
                    self.coordinator.stopping(partition);
                    self.tell(OwnershipEvent::Stop(partition)).await;
                }
                want if requests.len() < REQUESTS_MAX => requests.push(self.ask(store, want, now)),
                // The rest when these are answered.
                _ => {}
            }
        }
        join_all(requests).await.into_iter().collect()
    }

    async fn tell(&self, event: OwnershipEvent) {
        // There is room for all there can be; a node that has gone hears nothing.
        let _ = self.events.send(event).await;
    }

    fn ask(
        &self,
        store: &Store,
        want: Action,
        now: TimestampMs,
    ) -> impl Future<Output = Result<(), EtcdError>> + use<> {
        let (store, inner) = (store.clone(), Arc::clone(&self.inner));
        let holder = self.coordinator.me().clone();
        let lease = self.session.as_ref().map(|session| session.lease);
        async move {
            let keys = &inner.keys;
            match want {
                Action::Campaign => store.create(&keys.of(&Key::Leader), write(&holder), lease).await?,
                Action::Claim(partition) => {
                    let claim = ClaimV1 { holder, at_ms: now.0 };
                    store.create(&keys.of(&Key::Claim(partition)), write(&claim), lease).await?
                }
                Action::Unclaim { partition, created } => {
                    store.delete_created(&keys.of(&Key::Claim(partition)), created).await?
                }
                Action::Place { placement, leader_created, placement_modified } => {
                    let (leader, key) = (keys.of(&Key::Leader), keys.of(&Key::Placement));
                    let at = ((&*leader, leader_created), (&*key, placement_modified));
                    store.replace_under(at.0, at.1, write(&placement)).await?
                }
                Action::TakeOver(_) | Action::HandOver(_) | Action::Stop(_) => false,
            };
            Ok(())
        }
    }
}

enum Change {
    Put { key: Vec<u8>, value: Vec<u8>, created: i64, modified: i64 },
    Delete(Vec<u8>),
}

/// The next changes; an error when the watch cannot go on (compacted, cut off, ended): then all is read anew.
async fn changed(changes: &mut WatchStream) -> Result<Vec<Change>, EtcdError> {
    let Some(message) = changes.message().await? else {
        return Err(EtcdError::unreachable("the watch has ended"));
    };
    if message.canceled() || message.compact_revision() > 0 {
        let why = format!("the watch was canceled: {}", message.cancel_reason());
        return Err(EtcdError::new(Meaning::HistoryGone, why));
    }
    let change = |event: &etcd_client::Event| {
        let kv = event.kv()?;
        Some(match event.event_type() {
            EventType::Put => Change::Put {
                key: kv.key().to_vec(),
                value: kv.value().to_vec(),
                created: kv.create_revision(),
                modified: kv.mod_revision(),
            },
            EventType::Delete => Change::Delete(kv.key().to_vec()),
        })
    };
    Ok(message.events().iter().filter_map(change).collect())
}

/// Waits until the session's state has changed.
async fn moved(state: Option<&mut watch::Receiver<SessionState>>) {
    if let Some(state) = state
        && state.changed().await.is_ok()
    {
        return;
    }
    // Nothing more comes from there; the next look finds what is to be done.
    std::future::pending().await
}
