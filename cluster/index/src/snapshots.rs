//! Snapshots: a cache beside the index, in two trees that take turns.
//!
//! Each snapshot is cut into pieces of 7 KB with one checksum over all: a leaf of sled's tree holds up to 17 values, and what
//! is over 128 KB together goes to a file of its own that is never synced. When the tree in use has
//! taken half of what is allowed, the other one is dropped and used: so the oldest half goes, and nothing grows without end.

use std::collections::VecDeque;

use parking_lot::{Mutex, RwLock};

use super::{
    store::{self, Store},
    types::{IndexError, OrderKey},
};

/// Largest snapshot that is kept, in bytes: an order with as many decisions as the default allows has 1.3 MB.
pub(super) const SNAPSHOT_MAX_BYTES: usize = 2 << 20;
/// Most bytes that wait for the background thread.
const QUEUE_MAX_BYTES: usize = 8 << 20;
const PIECE_BYTES: usize = 7_000;
const HEADER_BYTES: usize = 8;
const TREES: [&[u8]; 2] = [b"snapshots-0", b"snapshots-1"];

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(OrderKey, Vec<u8>)>,
    bytes: usize,
    dropped: u64,
}

/// The queue and the trees.
#[derive(Debug)]
pub(crate) struct SnapshotShelf {
    queue: Mutex<Queue>,
    queue_max: usize,
    /// The tree written to first; empty once closed.
    trees: RwLock<Vec<sled::Tree>>,
}

fn piece_key(key: &OrderKey, piece: u16) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(key);
    bytes[16..].copy_from_slice(&piece.to_be_bytes());
    bytes
}

fn crc(key: &OrderKey, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), bytes)
}

impl SnapshotShelf {
    /// Opens both trees; `turn` is the one written to.
    pub(crate) fn new(store: &Store, turn: u8, queue_max: usize) -> Result<Self, IndexError> {
        let shelf = Self { queue: Mutex::default(), queue_max, trees: RwLock::default() };
        shelf.open(store, turn)?;
        Ok(shelf)
    }

    /// Opens both trees anew, after [`SnapshotShelf::let_go`]. What waits stays.
    pub(crate) fn open(&self, store: &Store, turn: u8) -> Result<(), IndexError> {
        *self.trees.write() = vec![store.tree(tree_name(turn))?, store.tree(tree_name(turn ^ 1))?];
        Ok(())
    }

    /// Lets go of the trees.
    pub(crate) fn let_go(&self) {
        self.trees.write().clear();
    }

    /// Queues a snapshot, or drops it.
    pub(crate) fn save(&self, key: OrderKey, bytes: Vec<u8>) {
        let mut queue = self.queue.lock();
        let full = queue.waiting.len() >= self.queue_max || queue.bytes + bytes.len() > QUEUE_MAX_BYTES;
        if full || bytes.len() > SNAPSHOT_MAX_BYTES {
            queue.dropped += 1;
            return;
        }
        queue.bytes += bytes.len();
        queue.waiting.push_back((key, bytes));
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.queue.lock().dropped
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.lock().waiting.is_empty()
    }

    /// The newest one that can be had.
    pub(crate) fn load(&self, key: &OrderKey) -> Option<Vec<u8>> {
        let queue = self.queue.lock();
        if let Some((_, bytes)) = queue.waiting.iter().rev().find(|(waiting, _)| waiting == key) {
            return Some(bytes.clone());
        }
        drop(queue);
        let trees = self.trees.read().clone();
        trees.iter().find_map(|tree| read(tree, key))
    }

    /// Writes what waits; gives the bytes written. `turn` and `bytes` are of the tree written to.
    pub(crate) fn write(
        &self,
        store: &Store,
        (turn, bytes): (u8, u64),
        max_bytes: u64,
    ) -> Result<(u8, u64), IndexError> {
        let taken: Vec<_> = self.queue.lock().waiting.iter().cloned().collect();
        let Some(mut tree) = self.trees.read().first().cloned() else { return Ok((turn, bytes)) };
        let (mut turn, mut bytes) = (turn, bytes);
        if bytes > max_bytes / 2 {
            (turn, bytes) = (turn ^ 1, 0);
            store.drop_tree(tree_name(turn))?;
            let emptied = store.tree(tree_name(turn))?;
            *self.trees.write() = vec![emptied.clone(), tree];
            tree = emptied;
        }
        for (key, snapshot) in &taken {
            let mut header = crc(key, snapshot).to_le_bytes().to_vec();
            header.extend(u32::try_from(snapshot.len()).unwrap_or_default().to_le_bytes());
            let whole = [&header, &snapshot[..]].concat();
            // One by one: a batch takes a lock of the whole process, and the checksum tells when some are missing.
            for (number, piece) in (0..).zip(whole.chunks(PIECE_BYTES)) {
                store::put(&tree, &piece_key(key, number), piece)?;
            }
            bytes += whole.len() as u64;
            // Only now: until it can be read from the tree it is found in the queue.
            let mut queue = self.queue.lock();
            queue.waiting.pop_front();
            queue.bytes -= snapshot.len();
        }
        Ok((turn, bytes))
    }

    /// Lets go of the trees, and of what still waits.
    pub(crate) fn close(&self) {
        self.let_go();
        let mut queue = self.queue.lock();
        queue.waiting.clear();
        queue.bytes = 0;
    }
}

fn tree_name(turn: u8) -> &'static [u8] {
    TREES[usize::from(turn & 1)]
}

fn read(tree: &sled::Tree, key: &OrderKey) -> Option<Vec<u8>> {
    let mut whole = store::get(tree, &piece_key(key, 0)).ok()??.to_vec();
    let length = usize::try_from(u32::from_le_bytes(whole.get(4..HEADER_BYTES)?.try_into().ok()?)).ok()?;
    let wanted = HEADER_BYTES + length;
    (length <= SNAPSHOT_MAX_BYTES).then_some(())?;
    for number in 1.. {
        if whole.len() >= wanted {
            break;
        }
        let piece = store::get(tree, &piece_key(key, number)).ok()??;
        (!piece.is_empty()).then_some(())?;
        whole.extend_from_slice(&piece);
    }
    let bytes = whole.split_off(HEADER_BYTES);
    let known = u32::from_le_bytes(whole.get(..4)?.try_into().ok()?);
    (bytes.len() == length && crc(key, &bytes) == known).then_some(bytes)
}
