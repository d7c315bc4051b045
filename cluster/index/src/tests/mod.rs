//! The index against a model: any history, any crash, any damage.

mod damage;
mod disk;
mod due;
mod model;
mod poll;
mod small;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::*;

const LOG: [u8; 16] = [7; 16];

fn options(flush_entries: usize) -> IndexOptions {
    IndexOptions {
        cache_bytes: 4 << 20,
        flush_entries,
        flush_interval_ms: 3_600_000,
        open_timeout_ms: 10_000,
        ..IndexOptions::default()
    }
}

fn key(n: u64) -> OrderKey {
    // Spread over the key space, as hashes are.
    (u128::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

fn cursor(position: u64) -> Cursor {
    Cursor { position, frame_hash: [u8::try_from(position % 251).unwrap(); 32] }
}

fn place(position: u64, deadline_ms: Option<i64>) -> OrderPlace {
    OrderPlace { position, revision: position % 5, deadline_ms }
}

/// A frame of the log: its position is its place in the history, from 1.
#[derive(Debug, Clone, Default)]
struct Frame {
    updates: Vec<OrderUpdate>,
    controls: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    meta: Option<Vec<u8>>,
}

/// The history, and what the index must say after some of it.
#[derive(Debug, Clone, Default)]
struct Model {
    frames: Vec<Frame>,
    orders: BTreeMap<OrderKey, OrderPlace>,
    dues: BTreeSet<(i64, OrderKey)>,
    controls: BTreeMap<Vec<u8>, Vec<u8>>,
    meta: Option<Vec<u8>>,
}

impl Model {
    fn position(&self) -> u64 {
        self.frames.len() as u64
    }

    fn push(&mut self, frame: Frame) {
        for update in &frame.updates {
            let former = self.orders.insert(update.key, update.place);
            if let Some(time) = former.and_then(|former| former.deadline_ms) {
                self.dues.remove(&(time, update.key));
            }
            self.dues.extend(update.place.deadline_ms.map(|time| (time, update.key)));
        }
        for (key, value) in &frame.controls {
            match value {
                Some(value) => drop(self.controls.insert(key.clone(), value.clone())),
                None => drop(self.controls.remove(key)),
            }
        }
        self.meta = frame.meta.clone().or(self.meta.take());
        self.frames.push(frame);
    }

    /// The model as it was after frame `position`.
    fn at(&self, position: u64) -> Self {
        let mut model = Self::default();
        self.frames[..usize::try_from(position).unwrap()].iter().for_each(|frame| model.push(frame.clone()));
        model
    }

    /// What is due, by pages as the caller would ask for them.
    fn due(&self, until_ms: i64, after: Option<(i64, OrderKey)>, limit: usize) -> Vec<DueOrder> {
        let later =
            self.dues.iter().filter(|due| after.is_none_or(|after| **due > after) && due.0 <= until_ms);
        later.take(limit).map(|(time, key)| (*time, *key, self.orders[key].position)).collect()
    }

    /// Everything the index says is what the model says. `Err` when the index says that it is damaged.
    fn check(&self, index: &Index, keys: impl Iterator<Item = u64>) -> Result<(), IndexError> {
        for n in keys {
            let expected = self.orders.get(&key(n)).copied();
            match index.lookup(&key(n)) {
                Lookup::Found(place) => assert_eq!(Some(place), expected),
                Lookup::Absent => assert_eq!(None, expected),
                Lookup::AskDisk => {}
            }
            assert_eq!(index.lookup_blocking(&key(n))?, expected, "order {n}");
        }
        assert_eq!(index.deadlines(i64::MAX, None, usize::MAX)?, self.due(i64::MAX, None, usize::MAX));
        let controls: Vec<_> = self.controls.clone().into_iter().collect();
        assert_eq!(index.list_controls(b"", None, usize::MAX)?, controls);
        for (key, value) in controls {
            assert_eq!(index.get_control(&key)?, Some(value));
        }
        assert_eq!(index.meta(), self.meta);
        assert_eq!(index.cursor().position, self.position());
        Ok(())
    }
}

fn feed(index: &Index, frame: &Frame, position: u64) -> Result<(), IndexError> {
    for (key, value) in &frame.controls {
        match value {
            Some(value) => index.put_control(key, value)?,
            None => index.remove_control(key)?,
        }
    }
    index.apply(&frame.updates, cursor(position), frame.meta.clone())
}

/// A frame that changes some of `orders` orders and now and then controls and meta.
fn draw_frame(rng: &mut fastrand::Rng, position: u64, orders: u64) -> Frame {
    let mut frame = Frame::default();
    for _ in 0..rng.u64(1..20) {
        let deadline = rng.bool().then(|| rng.i64(-50..50));
        frame.updates.push(OrderUpdate { key: key(rng.u64(0..orders)), place: place(position, deadline) });
    }
    if rng.u8(..10) < 3 {
        let name = vec![b'a' + rng.u8(..4), rng.u8(..4)];
        let value = vec![rng.u8(..); rng.usize(..40)];
        frame.controls.push((name, rng.bool().then_some(value)));
    }
    if rng.u8(..10) == 0 {
        frame.meta = Some(vec![rng.u8(..); rng.usize(..20_000)]);
    }
    frame
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
