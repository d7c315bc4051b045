//! Where the records of long orders stand, and in which of them a command was decided, in blocks of a few hundred
//! decisions: so that a page of a long history, or the outcome of an old command, is found without reading all of it.
//!
//! Invariants:
//! - The blocks of an order follow each other without a gap from its first decision on, each with a checksum; what lies
//!   behind a gap or a wrong checksum is not known.
//! - A block says where to look. Of a command it has 48 bits of a hash keyed by a number that nobody sees; which command it
//!   is the record's own text says.
//!
//! Layout of a block, little-endian: CRC32C `u32` of all that follows; revision after it `u64`; number of records `u32`; of
//! each its position `u64` and its decisions `u32`; then, sorted, of each command 6 bytes of its hash and `u16`, the number
//! of its record.

use retailflow_engine::ids::{CommandKey, OrderRef};
use retailflow_engine::keys::{order_key, sha256};
use retailflow_engine::order::{Aggregate, FoldError};
use retailflow_engine::ports::StoredRecord;

use super::keys::LONG;
use crate::event_log::{KnownRecords, LONG_MIN};
use retailflow_index::IndexError;
use retailflow_index::store::{self, Store, guarded};

/// Decisions after which a long order gets another block.
const BLOCK_DECISIONS: u64 = 256;
const HASH_BYTES: usize = 6;
const COMMAND_BYTES: usize = HASH_BYTES + 2;
const RECORD_BYTES: usize = 12;
const HEADER_BYTES: usize = 16;
const KEY_BYTES: usize = 25;

/// What commands are hashed with.
pub(super) type Secret = [u8; 16];

/// A block and its key.
pub(super) type NewBlock = (Vec<u8>, Vec<u8>);

/// Whether an order gets a block with the record after which it has `next` decisions, and had `before`.
pub(super) fn is_due(before: u64, next: u64) -> bool {
    next >= LONG_MIN && next / BLOCK_DECISIONS != before / BLOCK_DECISIONS
}

fn key(order: &OrderRef, first: u64) -> Vec<u8> {
    let mut key = vec![LONG];
    key.extend(order_key(order));
    key.extend(first.to_be_bytes());
    key
}

fn hash(secret: &Secret, command: &CommandKey) -> [u8; HASH_BYTES] {
    let mut bytes = secret.to_vec();
    bytes.extend_from_slice(command.source.as_str().as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(command.id.as_str().as_bytes());
    let mut short = [0; HASH_BYTES];
    short.copy_from_slice(&sha256(&bytes)[..HASH_BYTES]);
    short
}

/// The block of an order's records, the first of which stands after `first` decisions.
///
/// # Errors
/// When a record cannot be read.
pub(super) fn block(
    order: &OrderRef,
    first: u64,
    records: &[StoredRecord],
    secret: &Secret,
) -> Result<Option<(NewBlock, u64)>, FoldError> {
    let mut next = first;
    let mut places = Vec::with_capacity(records.len() * RECORD_BYTES);
    let mut commands: Vec<([u8; HASH_BYTES], u16)> = Vec::new();
    for (number, record) in (0_u16..=u16::MAX).zip(records) {
        let summary = retailflow_engine::codec::record::summary(&record.bytes)?;
        let decisions = u32::try_from(summary.next_revision.saturating_sub(next)).unwrap_or(u32::MAX);
        places.extend(record.position.0.to_le_bytes());
        places.extend(decisions.to_le_bytes());
        next = summary.next_revision;
        for outcome in Aggregate::outcomes_in(&record.bytes)? {
            commands.push((hash(secret, &outcome.key), number));
        }
    }
    if records.is_empty() || records.len() > usize::from(u16::MAX) {
        // A history that long without a block is left as it is: it is read as a whole.
        return Ok(None);
    }
    commands.sort_unstable();
    let mut bytes = vec![0; 4];
    bytes.extend(next.to_le_bytes());
    bytes.extend(u32::try_from(records.len()).unwrap_or_default().to_le_bytes());
    bytes.extend(places);
    for (hash, number) in commands {
        bytes.extend(hash);
        bytes.extend(number.to_le_bytes());
    }
    let key = key(order, first);
    let crc = crc(&key, &bytes);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    Ok(Some(((key, bytes), next)))
}

fn crc(key: &[u8], bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), bytes.get(4..).unwrap_or_default())
}

/// A stored block, checked.
struct Block<'a> {
    first: u64,
    next: u64,
    places: &'a [u8],
    commands: &'a [u8],
}

impl<'a> Block<'a> {
    fn parse(key: &[u8], bytes: &'a [u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let short = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        (key.len() == KEY_BYTES && short(0)? == crc(key, bytes)).then_some(())?;
        let records = usize::try_from(short(12)?).ok()?.checked_mul(RECORD_BYTES)?;
        let (places, commands) = bytes.get(HEADER_BYTES..)?.split_at_checked(records)?;
        let first = u64::from_be_bytes(key.get(KEY_BYTES - 8..)?.try_into().ok()?);
        Some(Self { first, next: number(4)?, places, commands })
    }

    /// Position and number of decisions of each record.
    fn places(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.places.as_chunks::<RECORD_BYTES>().0.iter().map(|place| {
            let (position, decisions) = place.split_at(8);
            let position = position.try_into().map_or(0, u64::from_le_bytes);
            (position, decisions.try_into().map_or(0, u32::from_le_bytes).into())
        })
    }

    /// The records that may hold a command of this hash.
    fn with(&self, hash: [u8; HASH_BYTES], found: &mut Vec<u64>) {
        let commands = self.commands.as_chunks::<COMMAND_BYTES>().0;
        let from = commands.partition_point(|command| command[..HASH_BYTES] < hash[..]);
        for command in commands[from..].iter().take_while(|command| command[..HASH_BYTES] == hash) {
            let number = u16::from_le_bytes([command[HASH_BYTES], command[HASH_BYTES + 1]]);
            let at = usize::from(number) * RECORD_BYTES;
            if let Some(position) = self.places.get(at..at + 8) {
                found.push(position.try_into().map_or(0, u64::from_le_bytes));
            }
        }
    }
}

/// Goes through an order's blocks from the one that holds decision `after + 1`, as long as each follows on the last one and
/// `take` says so; gives up to which decision they went, or `after`.
fn each(
    store: &Store,
    order: &OrderRef,
    after: u64,
    mut take: impl FnMut(&Block<'_>) -> bool,
) -> Result<u64, IndexError> {
    let main = store.main();
    let own = key(order, 0);
    let first = guarded("read", || {
        main.range(own.as_slice()..=key(order, after).as_slice()).next_back().transpose()
    })?;
    let Some((first, _)) = first else { return Ok(after) };
    let mut reached = None;
    for pair in main.range(first..=store::Bytes::from(key(order, u64::MAX))) {
        let (key, bytes) = guarded("read", || pair)?;
        let Some(block) = Block::parse(&key, &bytes) else { break };
        let follows =
            reached.map_or(block.first <= after && after < block.next, |reached| block.first == reached);
        if !follows {
            break;
        }
        reached = Some(block.next);
        if !take(&block) {
            break;
        }
    }
    Ok(reached.unwrap_or(after))
}

/// Up to which decision of an order its blocks go.
pub(super) fn end(store: &Store, order: &OrderRef) -> Result<u64, IndexError> {
    let last = guarded("read", || {
        store.main().range(key(order, 0).as_slice()..=key(order, u64::MAX).as_slice()).next_back().transpose()
    })?;
    Ok(last.and_then(|(key, bytes)| Block::parse(&key, &bytes).map(|block| block.next)).unwrap_or(0))
}

/// Where the records stand that hold about `decisions` decisions after `after`.
pub(super) fn records(
    store: &Store,
    order: &OrderRef,
    after: u64,
    decisions: u64,
) -> Result<KnownRecords, IndexError> {
    let until = after.saturating_add(decisions);
    let mut known = KnownRecords { positions: Vec::new(), up_to: after };
    each(store, order, after, |block| {
        let mut revision = block.first;
        for (position, decisions) in block.places() {
            let before = revision;
            revision = revision.saturating_add(decisions);
            if revision > after && before < until {
                known.positions.push(position);
                known.up_to = revision;
            }
        }
        block.next < until
    })?;
    Ok(known)
}

/// The records that may hold the decision on a command, and up to which decision that is all.
pub(super) fn with_command(
    store: &Store,
    order: &OrderRef,
    command: &CommandKey,
    secret: &Secret,
) -> Result<KnownRecords, IndexError> {
    let hash = hash(secret, command);
    let mut positions = Vec::new();
    let up_to = each(store, order, 0, |block| {
        block.with(hash, &mut positions);
        true
    })?;
    positions.dedup();
    Ok(KnownRecords { positions, up_to })
}
