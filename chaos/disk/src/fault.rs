//! What shall go wrong, and when.

/// Operations at which a fault can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Bytes are read.
    Read,
    /// Bytes are written to the cache.
    Write,
    /// A file is synced (`fsync`, `fdatasync`, or a write through `O_DSYNC`).
    Sync,
    /// A folder's names are synced.
    SyncFolder,
}

/// What happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It fails with EIO. Of the pages that a sync had to write so many in a hundred are on the disk; all are clean, and
    /// still in the cache. A folder's names that could not be synced are still to be synced.
    Fail {
        /// Of 100 pages, how many get written.
        written_percent: u32,
    },
    /// A sync says that all is durable; its last sector is not.
    LoseLastSector,
    /// A sync says that all is durable, and does nothing: what a test that looks for losses must see.
    Lie,
    /// The power goes before anything is done.
    PowerOff,
    /// It is done, and then the power goes; whoever asked for it is not told.
    PowerOffAfter,
}

/// A fault, and when it strikes.
#[derive(Debug, Clone)]
pub struct Fault {
    /// At which operation.
    pub at: Operation,
    /// A part of the path, from the root of the disk, as in `/log/`. Empty for every path.
    pub path: String,
    /// How many such operations pass first.
    pub passes: u64,
    /// How many are struck then; afterwards all is well.
    pub strikes: u64,
    /// What happens.
    pub effect: Effect,
}

/// Faults in wait.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Fault>,
    pub(crate) struck: u64,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.armed.push(fault);
    }

    pub(crate) fn disarm(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.armed.is_empty()
    }

    /// The effect of the first fault that strikes this operation.
    pub(crate) fn strike(&mut self, at: Operation, path: &str) -> Option<Effect> {
        let mut effect = None;
        for fault in self.armed.iter_mut().filter(|fault| fault.at == at && path.contains(&fault.path)) {
            if fault.passes > 0 {
                fault.passes -= 1;
            } else if effect.is_none() {
                fault.strikes = fault.strikes.saturating_sub(1);
                effect = Some(fault.effect);
                self.struck += 1;
            }
        }
        self.armed.retain(|fault| fault.strikes > 0);
        effect
    }
}
