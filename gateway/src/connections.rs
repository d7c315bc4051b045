//! Who is connected: so many connections of one address and of all, and idle ones give way.
//!
//! An idle connection costs its client nothing, so that a limit on their number alone would let anybody shut out everybody.
//! When there is no room, the one that was idle for longest is closed for one that comes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::head::Ambiguous;
use crate::shares::{Shares, share_of};

/// A connection is idle once it has had no request under way for so long: clients take a moment between two requests.
const IDLE_MIN: Duration = Duration::from_secs(1);
/// Connections of one address, at least.
const ADDRESS_MIN: usize = 8;

/// The connections at one address of ours.
pub(crate) struct Connections {
    all: Arc<Semaphore>,
    addresses: Shares<IpAddr>,
    taken: Mutex<HashMap<u64, Arc<Connection>>>,
    numbers: AtomicU64,
    begun: Instant,
}

/// One connection's place.
pub(crate) struct Connection {
    number: u64,
    address: IpAddr,
    /// Requests under way: also one whose answer is a stream that goes on.
    busy: AtomicUsize,
    /// Requests that have begun so far.
    begun_requests: AtomicU64,
    /// How the head that is under way can be read in two ways; its connection ends with the answer.
    ambiguous: AtomicU8,
    idle_since_ms: AtomicU64,
    begun: Instant,
    /// It is to make room.
    pub(crate) give_way: CancellationToken,
}

/// A place, and the room that it takes.
pub(crate) struct ConnectionGuard {
    pub(crate) connection: Arc<Connection>,
    connections: Arc<Connections>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// A request under way.
pub(crate) struct RequestGuard(Arc<Connection>);

impl Connection {
    pub(crate) fn busy(self: &Arc<Self>) -> RequestGuard {
        self.busy.fetch_add(1, Ordering::AcqRel);
        self.begun_requests.fetch_add(1, Ordering::Release);
        RequestGuard(Arc::clone(self))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How many requests have begun on it so far.
    pub(crate) fn begun_requests(&self) -> u64 {
        self.begun_requests.load(Ordering::Acquire)
    }

    /// A head came that can be read in two ways.
    pub(crate) fn set_ambiguous(&self, how: Ambiguous) {
        self.ambiguous.store(how as u8, Ordering::Release);
    }

    /// Whether one came.
    pub(crate) fn ambiguous(&self) -> Option<Ambiguous> {
        Ambiguous::of(self.ambiguous.load(Ordering::Acquire))
    }

    /// Whether nothing is under way on it, still.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.idle_since_ms.store(self.0.now_ms(), Ordering::Release);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connections {
    pub(crate) fn new(max: usize, address_percent: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(max)),
            addresses: Shares::new(share_of(max, address_percent, ADDRESS_MIN)),
            taken: Mutex::default(),
            numbers: AtomicU64::new(0),
            begun: Instant::now(),
        })
    }

    /// A place for a connection of `address`, if there is one now.
    pub(crate) fn try_take(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionGuard> {
        let of_address = self.addresses.try_take(&address)?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(self.taken(address, (of_address, of_all)))
    }

    /// The same, as soon as there is one.
    pub(crate) async fn take(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionGuard> {
        let of_address = self.addresses.take(&address).await?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(self.taken(address, (of_address, of_all)))
    }

    fn taken(
        self: &Arc<Self>,
        address: IpAddr,
        permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    ) -> ConnectionGuard {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let connection = Connection {
            number,
            address,
            busy: AtomicUsize::new(0),
            begun_requests: AtomicU64::new(0),
            ambiguous: AtomicU8::new(0),
            idle_since_ms: AtomicU64::new(0),
            begun: self.begun,
            give_way: CancellationToken::new(),
        };
        connection.idle_since_ms.store(connection.now_ms(), Ordering::Release);
        let connection = Arc::new(connection);
        self.lock().insert(number, Arc::clone(&connection));
        ConnectionGuard { connection, connections: Arc::clone(self), _permits: permits }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        // A panic leaves nothing half done here.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the connection that was idle for longest to make room for one of `address`: one of the same address, if that
    /// has used up its share. Says whether there is one.
    pub(crate) fn make_room(&self, address: IpAddr) -> bool {
        let own_only = self.addresses.try_take(&address).is_none();
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let idle_min_ms = u64::try_from(IDLE_MIN.as_millis()).unwrap_or(u64::MAX);
        let taken = self.lock();
        let idle = taken.values().filter(|connection| {
            connection.is_idle()
                && !connection.give_way.is_cancelled()
                && (!own_only || connection.address == address)
                && now_ms.saturating_sub(connection.idle_since_ms.load(Ordering::Acquire)) >= idle_min_ms
        });
        let longest = idle.min_by_key(|connection| connection.idle_since_ms.load(Ordering::Acquire));
        if let Some(connection) = longest {
            connection.give_way.cancel();
        }
        longest.is_some()
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.connection.number);
    }
}
