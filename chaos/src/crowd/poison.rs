//! Who crashes in a crowd.

use std::sync::atomic::{AtomicUsize, Ordering};

use retailflow_actors::{Probe, ProbePoint, ProbeVerdict};

use super::callers::POISONED;
use super::sick::Spell;

/// How long after the sickness has begun the tenant of the poisoned order crashes, each time, in milliseconds.
const TENANT_CRASHES_MS: [u64; 3] = [60, 200, 500];

/// Crashes the poisoned order at every command, and perhaps its tenant while the log is silent.
pub(super) struct Poison {
    spell: Spell,
    /// How often the tenant is still to crash after it has crashed so often.
    crashes: Option<AtomicUsize>,
}

impl Poison {
    pub(super) fn new(spell: Spell, crashes_tenant: bool) -> Self {
        Self { spell, crashes: crashes_tenant.then(AtomicUsize::default) }
    }

    fn crashes_tenant(&self) -> bool {
        let Some(crashes) = &self.crashes else { return false };
        let before = crashes.load(Ordering::Relaxed);
        let Some(after_ms) = TENANT_CRASHES_MS.get(before) else { return false };
        let is_due = self.spell.is_on() && self.spell.clock.elapsed_ms() >= self.spell.from_ms + after_ms;
        is_due && crashes.compare_exchange(before, before + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Probe for Poison {
    fn at(&self, point: ProbePoint, subject: &str) -> ProbeVerdict {
        let crashes = subject.contains(POISONED)
            && match point {
                ProbePoint::OrderDecide => true,
                ProbePoint::TenantRoute => self.crashes_tenant(),
                _ => false,
            };
        if crashes { ProbeVerdict::Crash } else { ProbeVerdict::Pass }
    }
}
