//! The lists on disk: sled in `DATA/views`, written behind in bulk, and never believed in doubt.
//!
//! Invariants:
//! - One tree, and one batch for all that changed between two positions: after a kill the rows are those of one position.
//! - sled syncs nothing. So what it holds is believed only when it was closed in order, or when the system has not gone
//!   down since it was opened. Else it is thrown away and built again from the log.
//!
//! ```text
//! m                        version, log, position
//! c <tenant>               counts
//! b <tenant> 0 <place>     the rows of the orders placed there and later, up to the next block (`buckets`)
//! d <tenant> 0 <page>      where the blocks begin, and what is in them
//! l <tenant> 0 <order>     an order that is in memory from the start on: a parked one
//! h <order> <decision>     where a long order's records stand (`long`)
//! p <tenant> 0 <order>     where the order's park marks and their releases stand
//! ```

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::ports::OrderCounts;
use retailflow_invariants::TenantLedger;
use serde::{Deserialize, Serialize};

use super::buckets::{Buckets, InLists, NewRow};
use super::keys;
use super::lists::{Counts, Frozen};
use super::long::Secret;
use super::tracked::{Row, Tracked};
use retailflow_index::IndexError;
use retailflow_index::store::{self, Store, guarded};

/// Of the rows' form. Another one is no trouble: all is built again.
pub(super) const VERSION: u8 = 5;

/// Says that the shelf is in use, and since which start of the system.
const IN_USE_FILE: &str = "in-use";
/// Changes with each start of the system.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// sled may spin for ever on damaged files.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Meta {
    version: u8,
    log_id: [u8; 16],
    position: u64,
    /// Of the group there: it tells all that stands before it.
    group_hash: [u8; 32],
    /// See `long`.
    secret: Secret,
}

/// An order's row as read: its place, the order, what is known of it.
pub(super) type Found = (u64, OrderRef, Tracked);

/// What a shelf holds of the past.
#[derive(Default)]
pub(super) struct StoredLists {
    pub(super) position: u64,
    /// Of the group there.
    pub(super) group_hash: [u8; 32],
    pub(super) secret: Secret,
    pub(super) pinned: Vec<(OrderRef, Tracked)>,
    pub(super) counts: Vec<(TenantId, Counts)>,
}

/// An open shelf.
pub(super) struct Shelf {
    store: Store,
    dir: PathBuf,
    buckets: Buckets,
}

/// What is written with all that is: of which log, and of which group in it.
pub(super) struct Of {
    pub(super) log_id: [u8; 16],
    pub(super) secret: Secret,
    pub(super) group_hash: [u8; 32],
}

/// What has changed, ready to be written.
pub(super) struct Prepared {
    batch: store::Batch,
    rows: HashMap<TenantId, Vec<NewRow>>,
    written: Vec<(OrderRef, bool)>,
}

fn damaged(why: impl ToString) -> IndexError {
    IndexError::Damaged(why.to_string())
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
    pub(super) fn open(
        dir: &Path,
        cache_bytes: u64,
        log_id: [u8; 16],
    ) -> Result<(Self, StoredLists), IndexError> {
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
                let kept = kept(&store, log_id)?;
                let buckets = Buckets::load(&store)?;
                Ok((Self { store, dir: folder, buckets }, kept))
            })))
        };
        // Only one that spins in sled outlives this call.
        std::thread::Builder::new().name("views-open".into()).spawn(open).map_err(io_error)?;
        opened.recv_timeout(OPEN_TIMEOUT).unwrap_or_else(|_| Err(damaged("opening it does not end")))
    }

    /// Makes ready what has changed; nothing is held for it.
    pub(super) fn prepare(frozen: Frozen, of: &Of) -> Result<Prepared, IndexError> {
        let mut batch = store::Batch::default();
        let mut rows: HashMap<TenantId, Vec<NewRow>> = HashMap::new();
        let mut written = Vec::with_capacity(frozen.orders.len());
        for (order, tracked) in frozen.orders {
            let row = serde_json::to_vec(&Row::of(&order.order, &tracked)).map_err(damaged)?;
            if !tracked.marks.is_empty() {
                let marks = serde_json::to_vec(&tracked.marks).map_err(damaged)?;
                batch.insert(keys::order_key(keys::MARKS, &order), marks);
            }
            let pinned = tracked.is_to_be_pinned();
            if pinned {
                batch.insert(keys::order_key(keys::PINNED, &order), row.as_slice());
            } else if tracked.pinned {
                batch.remove(keys::order_key(keys::PINNED, &order));
            }
            if let Some((status, attention)) = tracked.listed_status() {
                let row = (tracked.place, InLists::of(status, attention), row);
                match rows.get_mut(&order.tenant) {
                    Some(rows) => rows.push(row),
                    None => drop(rows.insert(order.tenant.clone(), vec![row])),
                }
            }
            written.push((order, pinned));
        }
        for rows in rows.values_mut() {
            rows.sort_unstable_by_key(|(place, ..)| *place);
        }
        for (tenant, counts) in frozen.counts {
            let Counts { orders, ledger } = counts;
            let TenantLedger { applied, rejected, parked } = ledger;
            let counts = (orders.by_status, orders.by_attention, applied, rejected, parked);
            let counts = serde_json::to_vec(&counts).map_err(damaged)?;
            batch.insert(keys::key(keys::COUNTS, &tenant, &[]), counts);
        }
        for (key, block) in frozen.long {
            batch.insert(key, block);
        }
        let Of { log_id, secret, group_hash } = *of;
        let meta = Meta { version: VERSION, log_id, position: frozen.position, group_hash, secret };
        batch.insert(keys::META, serde_json::to_vec(&meta).map_err(damaged)?);
        Ok(Prepared { batch, rows, written })
    }

    /// Writes what was made ready; gives whether each order is pinned then. After an error it must not be used.
    pub(super) fn write(&mut self, prepared: Prepared) -> Result<Vec<(OrderRef, bool)>, IndexError> {
        let Prepared { mut batch, rows, written } = prepared;
        for (tenant, rows) in &rows {
            self.buckets.put(&self.store, tenant, rows, &mut batch)?;
        }
        store::write(self.store.main(), batch)?;
        Ok(written)
    }

    /// Hands what was written to the operating system.
    pub(super) fn flush(&self) -> Result<(), IndexError> {
        self.store.flush()
    }

    /// Orders of a tenant in the lists asked for, by their places after `after`, until `take` says so or none is left.
    pub(super) fn rows(
        &self,
        tenant: &TenantId,
        asked: InLists,
        after: u64,
        mut take: impl FnMut(Found) -> bool,
    ) -> Result<(), IndexError> {
        self.buckets.rows(&self.store, tenant, asked, after, |_, row| {
            let row: Row = serde_json::from_slice(row).map_err(damaged)?;
            let (order, tracked) = row.read(tenant, false).map_err(damaged)?;
            Ok(take((tracked.place, order, tracked)))
        })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Where the order's park marks and their releases stand, as far as they were written.
    pub(super) fn marks(&self, order: &OrderRef) -> Result<Vec<u64>, IndexError> {
        let marks = store::get(self.store.main(), &keys::order_key(keys::MARKS, order))?;
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

/// Drawn from what the system gives the process as chance.
fn new_secret() -> Secret {
    let mut secret = Secret::default();
    for half in secret.chunks_mut(8) {
        half.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
    }
    secret
}

/// What a store holds of the past, but for the rows.
fn kept(store: &Store, log_id: [u8; 16]) -> Result<StoredLists, IndexError> {
    let main = store.main();
    let Some(meta) = store::get(main, keys::META)? else {
        return match guarded("list", || main.first())? {
            None => Ok(StoredLists { secret: new_secret(), ..StoredLists::default() }),
            Some(_) => Err(damaged("it does not say up to where it goes")),
        };
    };
    let meta: Meta = serde_json::from_slice(&meta).map_err(damaged)?;
    let Meta { version, log_id: of, position, group_hash, secret } = meta;
    if version != VERSION || of != log_id {
        return Err(damaged("it is of another version or another log"));
    }
    let mut kept = StoredLists { position, group_hash, secret, ..StoredLists::default() };
    for pair in main.scan_prefix([keys::PINNED]) {
        let (key, value) = guarded("read", || pair)?;
        let row: Row = serde_json::from_slice(&value).map_err(damaged)?;
        kept.pinned.push(row.read(&keys::tenant_of(&key)?, true).map_err(damaged)?);
    }
    for pair in main.scan_prefix([keys::COUNTS]) {
        let (key, value) = guarded("read", || pair)?;
        let (by_status, by_attention, applied, rejected, parked) =
            serde_json::from_slice(&value).map_err(damaged)?;
        let orders = OrderCounts { by_status, by_attention };
        let ledger = TenantLedger { applied, rejected, parked };
        kept.counts.push((keys::tenant_of(&key)?, Counts { orders, ledger }));
    }
    Ok(kept)
}
