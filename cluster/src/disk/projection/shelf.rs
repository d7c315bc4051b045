//! The lists on disk: sled in `DATA/views`, written behind in bulk, and never believed in doubt.
//!
//! Invariants:
//! - One tree, and one batch for all that changed between two positions: after a kill the rows are those of one position.
//! - sled syncs nothing. So what it holds is believed only when it was closed in order, or when the system has not gone
//!   down since it was opened. Else it is thrown away and built again from the log.
//!
//! ```text
//! m                              version, log, position
//! c <tenant>                     counts
//! l <tenant> 0 <order>           an order that is in memory from the start on: open, or in need of someone
//! r <tenant> 0 <status> <place>  an order that rests
//! p <tenant> 0 <order>           where the order's park marks stand
//! ```

use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::invariant::TenantLedger;
use retailflow_engine::ports::OrderCounts;
use retailflow_engine::wire::order::OrderStatus;
use serde::{Deserialize, Serialize};

use super::lists::{Counts, Frozen};
use super::tracked::{Row, Stored, Tracked};
use crate::disk::index::IndexError;
use crate::disk::index::store::{self, Store, guarded};

/// Of the rows' form. Another one is no trouble: all is built again.
pub(super) const VERSION: u8 = 2;

/// Says that the shelf is in use, and since which start of the system.
const IN_USE_FILE: &str = "in-use";
/// Changes with each start of the system.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// sled may spin for ever on damaged files.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

const META_KEY: &[u8] = b"m";
const COUNTS: u8 = b'c';
const LIVE: u8 = b'l';
const RESTING: u8 = b'r';
const MARKS: u8 = b'p';

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Meta {
    version: u8,
    log_id: [u8; 16],
    position: u64,
}

/// An order's row as read: its place, the order, what is known of it.
pub(super) type Found = (u64, OrderRef, Tracked);

/// What a shelf holds of the past.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) position: u64,
    pub(super) live: Vec<(OrderRef, Tracked)>,
    pub(super) counts: Vec<(TenantId, Counts)>,
}

/// An open shelf.
pub(super) struct Shelf {
    store: Store,
    dir: PathBuf,
    log_id: [u8; 16],
}

fn damaged(why: impl ToString) -> IndexError {
    IndexError::Damaged(why.to_string())
}

fn key(kind: u8, tenant: &TenantId, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + tenant.as_str().len() + rest.len());
    key.push(kind);
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(rest);
    key
}

fn order_key(kind: u8, order: &OrderRef) -> Vec<u8> {
    key(kind, &order.tenant, order.order.as_str().as_bytes())
}

fn resting_key(tenant: &TenantId, status: OrderStatus, place: u64) -> Vec<u8> {
    let mut rest = [0; 9];
    rest[0] = status as u8;
    rest[1..].copy_from_slice(&place.to_be_bytes());
    key(RESTING, tenant, &rest)
}

/// The tenant in a key.
fn tenant_of(key: &[u8]) -> Result<TenantId, IndexError> {
    let name = key.get(1..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    TenantId::parse(&String::from_utf8_lossy(name)).map_err(damaged)
}

fn boot_id() -> Option<Vec<u8>> {
    fs::read(BOOT_ID).ok().filter(|id| !id.is_empty())
}

/// Throws away what is in the folder of a shelf, the folder too if nothing else is in it.
pub(super) fn destroy(dir: &Path) -> Result<(), IndexError> {
    let gone = match fs::remove_file(dir.join(IN_USE_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Store::destroy(dir),
    };
    gone.map_err(|error| IndexError::Io(format!("{}: {error}", dir.display())))
}

impl Shelf {
    /// Opens the shelf in `dir`, or makes one, and gives what it holds.
    ///
    /// # Errors
    /// `Damaged`: it is to be thrown away. All others: try again later.
    pub(super) fn open(dir: &Path, cache_bytes: u64, log_id: [u8; 16]) -> Result<(Self, Kept), IndexError> {
        let io_error = |error: io::Error| IndexError::Io(format!("{}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(io_error)?;
        let in_use = dir.join(IN_USE_FILE);
        let boot = boot_id();
        match fs::read(&in_use) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(error)),
            Ok(since) if boot.as_ref() == Some(&since) => {}
            Ok(_) => return Err(damaged("the system went down while it was in use")),
        }
        let write = |bytes: &[u8]| {
            fs::write(&in_use, bytes)?;
            File::open(&in_use)?.sync_all()?;
            File::open(dir)?.sync_all()
        };
        write(&boot.unwrap_or_default()).map_err(io_error)?;
        let (sender, opened) = mpsc::sync_channel(1);
        let folder = dir.to_owned();
        let open = move || {
            drop(sender.send(Store::open(&folder, cache_bytes).and_then(|store| {
                let shelf = Self { store, dir: folder, log_id };
                let kept = shelf.kept()?;
                Ok((shelf, kept))
            })))
        };
        // Only one that spins in sled outlives this call.
        std::thread::Builder::new().name("views-open".into()).spawn(open).map_err(io_error)?;
        opened.recv_timeout(OPEN_TIMEOUT).unwrap_or_else(|_| Err(damaged("opening it does not end")))
    }

    fn kept(&self) -> Result<Kept, IndexError> {
        let main = self.store.main();
        let Some(meta) = store::get(main, META_KEY)? else {
            return match guarded("list", || main.first())? {
                None => Ok(Kept::default()),
                Some(_) => Err(damaged("it does not say up to where it goes")),
            };
        };
        let meta: Meta = serde_json::from_slice(&meta).map_err(damaged)?;
        let Meta { version, log_id, position } = meta;
        if version != VERSION || log_id != self.log_id {
            return Err(damaged("it is of another version or another log"));
        }
        let mut kept = Kept { position, ..Kept::default() };
        for pair in main.scan_prefix([LIVE]) {
            let (key, value) = guarded("read", || pair)?;
            let row: Row = serde_json::from_slice(&value).map_err(damaged)?;
            kept.live.push(row.read(&tenant_of(&key)?, Stored::Live).map_err(damaged)?);
        }
        for pair in main.scan_prefix([COUNTS]) {
            let (key, value) = guarded("read", || pair)?;
            let (by_status, by_attention, applied, rejected, parked) =
                serde_json::from_slice(&value).map_err(damaged)?;
            let orders = OrderCounts { by_status, by_attention };
            let ledger = TenantLedger { applied, rejected, parked };
            kept.counts.push((tenant_of(&key)?, Counts { orders, ledger }));
        }
        Ok(kept)
    }

    /// Writes what has changed; gives where each order's row is then.
    pub(super) fn write(&self, frozen: Frozen) -> Result<Vec<(OrderRef, Stored)>, IndexError> {
        let mut batch = sled::Batch::default();
        let mut written = Vec::with_capacity(frozen.orders.len());
        for (order, tracked) in frozen.orders {
            let belongs = tracked.belongs();
            let of = |stored: Stored| match stored {
                Stored::Nowhere => None,
                Stored::Live => Some(order_key(LIVE, &order)),
                Stored::Resting(status) => Some(resting_key(&order.tenant, status, tracked.place)),
            };
            if tracked.stored != belongs
                && let Some(old) = of(tracked.stored)
            {
                batch.remove(old);
            }
            if let Some(key) = of(belongs) {
                batch.insert(key, serde_json::to_vec(&Row::of(&order.order, &tracked)).map_err(damaged)?);
            }
            if !tracked.marks.is_empty() {
                let marks = serde_json::to_vec(&tracked.marks).map_err(damaged)?;
                batch.insert(order_key(MARKS, &order), marks);
            }
            written.push((order, belongs));
        }
        for (tenant, counts) in frozen.counts {
            let Counts { orders, ledger } = counts;
            let TenantLedger { applied, rejected, parked } = ledger;
            let counts = (orders.by_status, orders.by_attention, applied, rejected, parked);
            let counts = serde_json::to_vec(&counts).map_err(damaged)?;
            batch.insert(key(COUNTS, &tenant, &[]), counts);
        }
        let meta = Meta { version: VERSION, log_id: self.log_id, position: frozen.position };
        batch.insert(META_KEY, serde_json::to_vec(&meta).map_err(damaged)?);
        store::write(self.store.main(), batch)?;
        self.store.flush()?;
        Ok(written)
    }

    /// Orders of a tenant that rest in a status, by their places after `after`, until `full` says so or none is left.
    pub(super) fn resting(
        &self,
        tenant: &TenantId,
        status: OrderStatus,
        after: u64,
        mut take: impl FnMut(Found) -> bool,
    ) -> Result<(), IndexError> {
        let from = Bound::Excluded(resting_key(tenant, status, after));
        let to = Bound::Included(resting_key(tenant, status, u64::MAX));
        for pair in self.store.main().range((from, to)) {
            let (_, value) = guarded("read", || pair)?;
            let row: Row = serde_json::from_slice(&value).map_err(damaged)?;
            let (order, tracked) = row.read(tenant, Stored::Resting(status)).map_err(damaged)?;
            if !take((tracked.place, order, tracked)) {
                break;
            }
        }
        Ok(())
    }

    /// Where the order's park marks stand, as far as they were written.
    pub(super) fn marks(&self, order: &OrderRef) -> Result<Vec<u64>, IndexError> {
        let marks = store::get(self.store.main(), &order_key(MARKS, order))?;
        marks.map_or(Ok(Vec::new()), |marks| serde_json::from_slice(&marks).map_err(damaged))
    }

    /// Closes it so that it is believed after a power cut, too.
    pub(super) fn close(self) -> Result<(), IndexError> {
        let Self { store, dir, .. } = self;
        store.flush()?;
        guarded("close", || {
            drop(store);
            Ok(())
        })?;
        let synced = || -> io::Result<()> {
            for entry in fs::read_dir(&dir)? {
                File::open(entry?.path())?.sync_all()?;
            }
            fs::remove_file(dir.join(IN_USE_FILE))?;
            File::open(&dir)?.sync_all()
        };
        synced().map_err(|error| IndexError::Io(format!("{}: {error}", dir.display())))
    }
}
