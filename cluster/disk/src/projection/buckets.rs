//! The rows of all placed orders in blocks of up to 7 KB, by tenant and place.
//!
//! Invariants:
//! - The place at which an order was placed never changes, and later orders have higher ones. So blocks only come at the
//!   end, each order is in exactly one of them, and a row is replaced where it stands: no runs, no merging.
//! - What is in memory is 9 bytes a block, some 50 orders: where the block begins, and which lists have rows in it. So a
//!   list that few orders are in is read without the blocks of all others.
//!
//! Why blocks and not a key each: as plain keys of sled, 300,000 orders took 1.5 GB of memory (measured); why 7 KB: see
//! the index's `block.rs`.

use std::collections::{BTreeMap, HashMap};

use retailflow_engine::ids::TenantId;
use retailflow_engine::wire::order::{Attention, OrderStatus};

use super::keys::{self, BLOCK, DIRECTORY};
use retailflow_index::IndexError;
use retailflow_index::store::{self, Store, guarded};

/// Most bytes of a block with more than one row.
const BLOCK_MAX_BYTES: usize = 7_000;
/// Blocks whose beginnings are stored under one key.
const PAGE_BLOCKS: usize = 512;
const ENTRY_BYTES: usize = 9;
const ROW_HEADER_BYTES: usize = 13;

/// Which lists a row is in, or a block has rows of: a bit for each status, and one for each attention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct InLists(u8);

impl InLists {
    /// Of an order that stands so.
    pub(super) fn of(status: OrderStatus, attention: Attention) -> Self {
        Self(1 << status as u8 | 1 << (4 + attention as u8))
    }

    /// What a question asks for; `None` is any.
    pub(super) fn asked(status: Option<OrderStatus>, attention: Option<Attention>) -> Self {
        let status = status.map_or(0x0f, |status| 1 << status as u8);
        Self(status | attention.map_or(0xf0, |attention| 1 << (4 + attention as u8)))
    }

    /// Whether what is here may be asked for. Of a row, it is.
    pub(super) fn meets(self, asked: Self) -> bool {
        let both = self.0 & asked.0;
        both & 0x0f != 0 && both & 0xf0 != 0
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A row to be written: its place, the lists it is in, its bytes.
pub(super) type NewRow = (u64, InLists, Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    first: u64,
    lists: InLists,
}

/// Where the blocks begin.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    tenants: HashMap<TenantId, Vec<Entry>>,
}

fn damaged(why: &str) -> IndexError {
    IndexError::Damaged(why.into())
}

/// The block that holds a place, or would.
fn at(entries: &[Entry], place: u64) -> usize {
    entries.partition_point(|entry| entry.first <= place).saturating_sub(1)
}

type Rows<'a> = BTreeMap<u64, (InLists, &'a [u8])>;

fn parse<'a>(mut bytes: &'a [u8], rows: &mut Rows<'a>) -> Option<()> {
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_at_checked(ROW_HEADER_BYTES)?;
        let place = u64::from_le_bytes(header.get(..8)?.try_into().ok()?);
        let length = u32::from_le_bytes(header.get(9..)?.try_into().ok()?);
        let (row, rest) = rest.split_at_checked(length as usize)?;
        rows.insert(place, (InLists(*header.get(8)?), row));
        bytes = rest;
    }
    Some(())
}

/// The rows in blocks: where each begins, the lists it has rows of, its bytes. What is `last` grows at its end alone, and so
/// its blocks are filled; others are shared out evenly, as each of them may grow.
fn blocks(rows: &Rows<'_>, last: bool) -> Result<Vec<(Entry, Vec<u8>)>, IndexError> {
    let mut blocks: Vec<(Entry, Vec<u8>)> = Vec::new();
    let total: usize = rows.values().map(|(_, row)| ROW_HEADER_BYTES + row.len()).sum();
    let enough = if last { usize::MAX } else { total / total.div_ceil(BLOCK_MAX_BYTES).max(1) };
    for (place, (lists, row)) in rows {
        let length = u32::try_from(row.len()).map_err(|_| damaged("a row is too long"))?;
        let full = |bytes: &Vec<u8>| {
            let over = bytes.len() + ROW_HEADER_BYTES + row.len() > BLOCK_MAX_BYTES;
            !bytes.is_empty() && (over || bytes.len() >= enough)
        };
        if blocks.last().is_none_or(|(_, bytes)| full(bytes)) {
            blocks.push((Entry { first: *place, lists: InLists::default() }, Vec::new()));
        }
        let Some((entry, bytes)) = blocks.last_mut() else { continue };
        entry.lists = entry.lists.and(*lists);
        bytes.extend(place.to_le_bytes());
        bytes.push(lists.0);
        bytes.extend(length.to_le_bytes());
        bytes.extend_from_slice(row);
    }
    Ok(blocks)
}

impl Buckets {
    /// Reads where the blocks begin.
    pub(super) fn load(store: &Store) -> Result<Self, IndexError> {
        let mut buckets = Self::default();
        for pair in store.main().scan_prefix([DIRECTORY]) {
            let (key, value) = guarded("read", || pair)?;
            // The pages come in their order.
            let entries = buckets.tenants.entry(keys::tenant_of(&key)?).or_default();
            for entry in value.chunks(ENTRY_BYTES) {
                let (first, lists) = entry.split_last_chunk::<1>().ok_or_else(|| damaged("a short page"))?;
                let lists = InLists(lists[0]);
                let first = first.try_into().map(u64::from_le_bytes).map_err(|_| damaged("a short page"))?;
                entries.push(Entry { first, lists });
            }
        }
        let sorted = |entries: &Vec<Entry>| entries.is_sorted_by_key(|entry| entry.first);
        if !buckets.tenants.values().all(sorted) {
            return Err(damaged("blocks are not in their order"));
        }
        Ok(buckets)
    }

    /// Puts a tenant's rows, in the order of their places, into their blocks.
    pub(super) fn put(
        &mut self,
        store: &Store,
        tenant: &TenantId,
        new: &[NewRow],
        batch: &mut store::Batch,
    ) -> Result<(), IndexError> {
        let entries = self.tenants.entry(tenant.clone()).or_default();
        let pages = |blocks: usize| blocks.div_ceil(PAGE_BLOCKS);
        let mut changed = vec![false; pages(entries.len())];
        let mut rest = new;
        // From the end: what a block grows into stands behind it, and moves none that comes later.
        while let Some((place, ..)) = rest.last() {
            let number = at(entries, *place);
            let first = entries.get(number).map(|entry| entry.first);
            let begins = rest.partition_point(|(place, ..)| number > 0 && Some(*place) < first);
            let (before, here) = rest.split_at(begins);
            rest = before;
            let key = |first| keys::key(BLOCK, tenant, &u64::to_be_bytes(first));
            let old = match first {
                None => None,
                Some(first) => {
                    let old = store::get(store.main(), &key(first))?;
                    Some(old.ok_or_else(|| damaged("a block is missing"))?)
                }
            };
            let mut rows = Rows::new();
            parse(old.as_deref().unwrap_or_default(), &mut rows).ok_or_else(|| damaged("a block is torn"))?;
            rows.extend(here.iter().map(|(place, lists, row)| (*place, (*lists, row.as_slice()))));
            let mut made = blocks(&rows, number + 1 >= entries.len())?;
            if let (Some(first), Some((entry, _))) = (first, made.first_mut()) {
                entry.first = first;
            }
            for (entry, bytes) in &made {
                batch.insert(key(entry.first), bytes.as_slice());
            }
            let stands = made.len() == 1 && made.first().map(|(entry, _)| entry) == entries.get(number);
            if !stands {
                let until = if made.len() > 1 { usize::MAX } else { number / PAGE_BLOCKS + 1 };
                changed.iter_mut().take(until).skip(number / PAGE_BLOCKS).for_each(|page| *page = true);
            }
            let replaced = number..(number + 1).min(entries.len());
            entries.splice(replaced, made.into_iter().map(|(entry, _)| entry));
            changed.resize(pages(entries.len()), true);
        }
        for (number, page) in entries.chunks(PAGE_BLOCKS).enumerate().filter(|(page, _)| changed[*page]) {
            let mut bytes = Vec::with_capacity(page.len() * ENTRY_BYTES);
            for entry in page {
                bytes.extend(entry.first.to_le_bytes());
                bytes.push(entry.lists.0);
            }
            let number = u32::try_from(number).map_err(|_| damaged("too many blocks"))?;
            batch.insert(keys::key(DIRECTORY, tenant, &number.to_be_bytes()), bytes);
        }
        Ok(())
    }

    /// A tenant's rows in the lists asked for, by their places after `after`, until `take` says so or none is left.
    pub(super) fn rows(
        &self,
        store: &Store,
        tenant: &TenantId,
        asked: InLists,
        after: u64,
        mut take: impl FnMut(u64, &[u8]) -> Result<bool, IndexError>,
    ) -> Result<(), IndexError> {
        let entries = self.tenants.get(tenant).map_or(&[][..], Vec::as_slice);
        for entry in entries.iter().skip(at(entries, after)).filter(|entry| entry.lists.meets(asked)) {
            let block = store::get(store.main(), &keys::key(BLOCK, tenant, &entry.first.to_be_bytes()))?;
            let block = block.ok_or_else(|| damaged("a block is missing"))?;
            let mut rows = Rows::new();
            parse(&block, &mut rows).ok_or_else(|| damaged("a block is torn"))?;
            for (place, (lists, row)) in rows {
                if place > after && lists.meets(asked) && !take(place, row)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(buckets: &Buckets, store: &Store, tenant: &TenantId, after: u64) -> Vec<(u64, Vec<u8>)> {
        let mut rows = Vec::new();
        let take = |place, row: &[u8]| {
            rows.push((place, row.to_vec()));
            Ok(true)
        };
        buckets.rows(store, tenant, InLists::asked(None, None), after, take).unwrap();
        rows
    }

    #[test]
    fn rows_are_found_where_they_were_put_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 1 << 20).unwrap();
        let mut rng = fastrand::Rng::with_seed(3);
        let tenants = ["shop", "shop2"].map(|name| TenantId::parse(name).unwrap());
        let mut model: HashMap<TenantId, BTreeMap<u64, (InLists, Vec<u8>)>> = HashMap::new();
        let mut buckets = Buckets::default();
        let mut next = 100;
        for round in 0..200 {
            let tenant = &tenants[usize::from(rng.u8(0..10) == 0)];
            let known = model.entry(tenant.clone()).or_default();
            let mut new: BTreeMap<u64, (InLists, Vec<u8>)> = BTreeMap::new();
            for _ in 0..rng.usize(0..200) {
                next += rng.u64(1..5);
                new.insert(next, (InLists::default(), Vec::new()));
            }
            for place in known.keys().filter(|_| rng.u8(0..50) == 0) {
                new.insert(*place, (InLists::default(), Vec::new()));
            }
            for row in new.values_mut() {
                let status = OrderStatus::ALL[rng.usize(0..4)];
                *row = (InLists::of(status, Attention::None), vec![rng.u8(..); rng.usize(0..400)]);
            }
            let rows: Vec<NewRow> =
                new.iter().map(|(place, (lists, row))| (*place, *lists, row.clone())).collect();
            let mut batch = store::Batch::default();
            buckets.put(&store, tenant, &rows, &mut batch).unwrap();
            store::write(store.main(), batch).unwrap();
            known.extend(new);
            if round % 20 == 0 {
                let loaded = Buckets::load(&store).unwrap();
                let filled = |buckets: Buckets| -> BTreeMap<TenantId, Vec<Entry>> {
                    buckets.tenants.into_iter().filter(|(_, entries)| !entries.is_empty()).collect()
                };
                let (loaded, had) = (filled(loaded), filled(buckets));
                assert_eq!(loaded, had);
                buckets = Buckets { tenants: loaded.into_iter().collect() };
            }
        }
        for (tenant, known) in &model {
            for after in [0, 50, next / 2, next] {
                let expected = known.range(after + 1..).map(|(place, (_, row))| (*place, row.clone()));
                assert!(all(&buckets, &store, tenant, after).into_iter().eq(expected));
            }
        }
        let blocks: usize = buckets.tenants.values().map(Vec::len).sum();
        let rows: usize = model.values().map(BTreeMap::len).sum();
        assert!(blocks > 512 && rows / blocks > 10, "{rows} rows in {blocks} blocks");
    }
}
