//! Parcels: book, cancel the shipment, hand over to the carrier.
//!
//! Invariant: a parcel is handed over only when its order is paid in full, and never one that was canceled.

use std::collections::HashMap;

use super::keys::{Effect, Entry, KeyHash, Keys, ParcelState, key_hash};
use retailflow_books::key_of;
use retailflow_books::{BookEntry, Why};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::order_key;
use retailflow_engine::wire::command::Step;

pub(super) struct Parcels {
    /// Of a thousand parcels, how many go at the moment when they are paid.
    hand_over_permille: u16,
    /// The number of the parcel last booked for an order and still here.
    by_order: HashMap<[u8; 16], u32>,
    keys_max: u32,
}

impl Parcels {
    pub(super) fn new(hand_over_permille: u16, keys_max: u32) -> Self {
        Self { hand_over_permille, by_order: HashMap::new(), keys_max }
    }

    pub(super) fn decide(keys: &Keys, draft: BookEntry) -> BookEntry {
        if draft.step == Step::Book {
            return draft.done();
        }
        let key = key_of(Step::Book, draft.target.as_deref());
        match key.and_then(|key| keys.get(key_hash(key))).map(|entry| entry.effect) {
            // A parcel is canceled whole, whatever units were named.
            Some(Effect::Parcel { state: ParcelState::Booked, units, .. }) => {
                BookEntry { units, ..draft.done() }
            }
            Some(Effect::Parcel { state: ParcelState::HandedOver, .. }) => draft.not_done(Why::HandedOver),
            _ => draft.not_done(Why::NotBooked),
        }
    }

    /// Carries out what was decided, under the number of its key.
    pub(super) fn done(&mut self, keys: &mut Keys, number: u32, entry: &BookEntry) {
        let order = order_key(&entry.order);
        if entry.step == Step::Book {
            if let Some(known) = keys.at_mut(number) {
                let (units, due) = (entry.units, entry.amount_minor);
                known.effect = Effect::Parcel { state: ParcelState::Booked, units, due };
            }
            self.by_order.insert(order, number);
            self.sweep(keys);
            return;
        }
        let key = key_of(Step::Book, entry.target.as_deref()).map(key_hash);
        let Some(number) = key.and_then(|key| keys.find(key)) else { return };
        if let Some(Entry { effect: Effect::Parcel { state, .. }, .. }) = keys.at_mut(number) {
            *state = ParcelState::Canceled;
        }
        if self.by_order.get(&order) == Some(&number) {
            self.by_order.remove(&order);
        }
    }

    /// Drops what refers to forgotten keys; seldom enough not to be felt.
    fn sweep(&mut self, keys: &Keys) {
        let max = self.keys_max as usize;
        if self.by_order.len() > max.saturating_add(max / 4) {
            self.by_order.retain(|_, number| keys.at(*number).is_some());
        }
    }

    fn parcel<'a>(&self, keys: &'a mut Keys, order: &OrderRef) -> Option<&'a mut Entry> {
        keys.at_mut(*self.by_order.get(&order_key(order))?)
    }

    /// So much of the order was captured.
    pub(super) fn paid(&self, keys: &mut Keys, order: &OrderRef, amount_minor: i64) {
        if let Some(Entry { effect: Effect::Parcel { due, .. }, .. }) = self.parcel(keys, order) {
            *due = due.saturating_sub(amount_minor);
        }
    }

    /// The units of the order's parcel, where it may go now: by hand, or because it is one of those that go when paid.
    pub(super) fn ready(&self, keys: &mut Keys, order: &OrderRef, by_hand: bool) -> Option<u64> {
        match self.parcel(keys, order)? {
            Entry {
                key, effect: Effect::Parcel { state: ParcelState::Booked, units, due: ..=0 }, ..
            } if by_hand || self.goes_when_paid(*key) => Some(*units),
            _ => None,
        }
    }

    /// By its key alone, so that it is the same in each run.
    fn goes_when_paid(&self, key: KeyHash) -> bool {
        key[1] % 1000 < u64::from(self.hand_over_permille)
    }

    /// The order's parcel goes.
    pub(super) fn hand_over(&mut self, keys: &mut Keys, order: &OrderRef) {
        if let Some(Entry { effect: Effect::Parcel { state, .. }, .. }) = self.parcel(keys, order) {
            *state = ParcelState::HandedOver;
        }
        self.by_order.remove(&order_key(order));
    }
}
