//! Which commands of an inbox are open at once, and whose.
//!
//! One tenant may fill the window for as long as it is emptied quickly. Where the command that has been open longest is open for
//! long, because its tenant is at its limit, others' are read past it: whoever has its share or more is **set aside**, by position
//! alone, and all that it publishes after that with it. Whoever was set aside is read again from there on, in order, as places of
//! its own become free. The floor stays below all of that: [`crate::floor::Floors::set_hold`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use retailflow_engine::ids::TenantId;
use tokio::time::Instant;

/// A command may be open for so long before others are read past it.
pub(super) const AHEAD_AFTER: Duration = Duration::from_millis(200);
/// What is read past, in positions of the inbox: an owner that comes after a crash reads all of that again.
const AHEAD_MAX: u64 = 262_144;
/// Tenants that are set aside at once.
const BEHIND_MAX: usize = 64;
/// One in so many places of the window is a tenant's share once it is set aside.
const SHARES: usize = 4;

struct WindowPlace {
    since: Instant,
    tenant: Option<TenantId>,
}

/// The range of a tenant's commands that are set aside: behind `after`, up to `last`.
struct AsideRange {
    after: u64,
    last: u64,
}

/// A range to read again.
pub(super) struct RereadRange {
    pub(super) tenant: TenantId,
    pub(super) after: u64,
    pub(super) last: u64,
    /// How many of it may be taken in.
    pub(super) room: usize,
}

pub(super) struct Window {
    max: usize,
    /// Whether others may be read past those that wait.
    looks_ahead: bool,
    /// Positions read and not given out.
    open: BTreeMap<u64, WindowPlace>,
    /// The same as they were opened; those that are open no more are dropped when they come to the front.
    opened: VecDeque<(u64, Instant)>,
    taken: HashMap<TenantId, usize>,
    behind: BTreeMap<TenantId, AsideRange>,
    read_up_to: u64,
}

impl Window {
    pub(super) fn new(max: usize, looks_ahead: bool) -> Self {
        let (open, opened, taken, behind) = Default::default();
        Self { max: max.max(1), looks_ahead, open, opened, taken, behind, read_up_to: 0 }
    }

    /// The first position that is open.
    pub(super) fn first(&self) -> Option<u64> {
        self.open.keys().next().copied()
    }

    fn share(&self) -> usize {
        self.max.div_ceil(SHARES)
    }

    fn taken(&self, tenant: &TenantId) -> usize {
        self.taken.get(tenant).copied().unwrap_or_default()
    }

    pub(super) fn open(&mut self, position: u64, tenant: Option<TenantId>) {
        let since = Instant::now();
        if let Some(tenant) = &tenant {
            *self.taken.entry(tenant.clone()).or_default() += 1;
        }
        self.open.insert(position, WindowPlace { since, tenant });
        self.opened.push_back((position, since));
    }

    pub(super) fn close(&mut self, position: u64) {
        let Some(WindowPlace { tenant: Some(tenant), .. }) = self.open.remove(&position) else { return };
        if let Some(taken) = self.taken.get_mut(&tenant) {
            *taken -= 1;
            if *taken == 0 {
                self.taken.remove(&tenant);
            }
        }
    }

    /// Since when the one has been open that has been open longest.
    fn oldest(&mut self) -> Option<Instant> {
        while let Some((position, since)) = self.opened.front() {
            if self.open.get(position).is_some_and(|place| place.since == *since) {
                return Some(*since);
            }
            self.opened.pop_front();
        }
        None
    }

    /// The first position that is set aside, or may be.
    pub(super) fn first_behind(&self) -> Option<u64> {
        self.behind.values().map(|behind| behind.after + 1).min()
    }

    pub(super) fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// How many may be read on.
    pub(super) fn room(&mut self) -> usize {
        let first = self.first().into_iter().chain(self.first_behind()).min();
        if self.is_behind() && first.is_some_and(|first| self.read_up_to.saturating_sub(first) >= AHEAD_MAX) {
            return 0;
        }
        match self.max.saturating_sub(self.open.len()) {
            0 if self.is_late() && self.behind.len() < BEHIND_MAX => self.max,
            0 if self.is_late() => (2 * self.max).saturating_sub(self.open.len()),
            room => room,
        }
    }

    fn is_late(&mut self) -> bool {
        self.late_at().is_some_and(|at| at <= Instant::now())
    }

    /// When others will be read past those that are open, if they are open still.
    pub(super) fn late_at(&mut self) -> Option<Instant> {
        if self.looks_ahead { self.oldest().map(|since| since + AHEAD_AFTER) } else { None }
    }

    /// Whether a command that was read on is set aside.
    pub(super) fn sets_aside(&mut self, position: u64, tenant: &TenantId) -> bool {
        self.read_up_to = position;
        if let Some(behind) = self.behind.get_mut(tenant) {
            behind.last = position;
            return true;
        }
        let is_full = self.looks_ahead && self.open.len() >= self.max;
        let is_set_aside = is_full
            && self.behind.len() < BEHIND_MAX
            && (self.taken(tenant) >= self.share() || self.open.len() >= 2 * self.max);
        if is_set_aside {
            self.behind.insert(tenant.clone(), AsideRange { after: position - 1, last: position });
        }
        is_set_aside
    }

    /// How many places a tenant that was set aside may have: the whole window, where nobody else wants any.
    fn limit(&self, tenant: &TenantId) -> usize {
        let is_alone = self.behind.len() == 1 && self.open.len() == self.taken(tenant);
        if is_alone { self.max } else { self.share() }
    }

    /// The next tenant that was set aside and has places now. Half of them must be free, so that the inbox is not read again for each one.
    pub(super) fn next_reread(&self) -> Option<RereadRange> {
        if self.open.len() >= 2 * self.max {
            return None;
        }
        let mut behind = self.behind.iter();
        let (tenant, behind) = behind.find(|(tenant, _)| self.taken(tenant) <= self.limit(tenant) / 2)?;
        let room = self.limit(tenant) - self.taken(tenant);
        Some(RereadRange { tenant: tenant.clone(), after: behind.after, last: behind.last, room })
    }

    /// A tenant's commands were read again up to `position`, and are set aside no more. `None`: there are no more of them.
    pub(super) fn caught_up(&mut self, tenant: &TenantId, position: Option<u64>) {
        let Some(behind) = self.behind.get_mut(tenant) else { return };
        behind.after = position.unwrap_or(behind.last);
        if behind.after >= behind.last {
            self.behind.remove(tenant);
        }
    }
}
