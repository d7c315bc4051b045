//! The queue behind an order's mark.

use std::collections::{HashMap, VecDeque};

use retailflow_engine::ids::CommandKey;
use retailflow_engine::keys::Hash;
use tokio::sync::oneshot;

use crate::work::Work;

/// What is known of an order's mark.
pub(super) enum Mark {
    /// It may be durable or not, and says this.
    Unsure(String),
    /// It is being written under this number.
    Writing(String, u64),
    Durable,
}

/// The end of an order's parking, as far as it has come: nothing is queued meanwhile, but waits.
pub(super) enum ReleasePhase {
    /// A release reads the queue's end; notified when nothing is on its way into the queue any more.
    QueueHeld(Option<oneshot::Sender<()>>),
    /// The mark is being taken away under this number.
    RemovingMark(u64, Box<str>, oneshot::Sender<Result<bool, String>>),
}

pub(super) struct Queue {
    pub(super) mark: Mark,
    pub(super) queued: u64,
    /// Commands queued since this actor started, the same one not twice, and the number under which one is still being
    /// written. Bounded by the queue's limit.
    pub(super) ids: HashMap<CommandKey, (Hash, Option<u64>)>,
    /// Commands on their way into the queue, by the number of the write, each with all who wait for it.
    pub(super) writing: HashMap<u64, Vec<Work>>,
    /// Commands that wait for the mark, or for the end of a release. Bounded as an order's queue.
    pub(super) waiting: VecDeque<Work>,
    pub(super) ending: Option<ReleasePhase>,
}

impl Queue {
    pub(super) fn new(mark: Mark, queued: u64) -> Self {
        let (ids, writing, waiting) = Default::default();
        Self { mark, queued, ids, writing, waiting, ending: None }
    }
}

/// An order's mark that was removed.
pub(crate) struct ReleasedMark {
    pub(crate) operator: Box<str>,
    /// What came meanwhile: the order's now.
    pub(crate) waiting: Vec<Work>,
    pub(crate) reply: oneshot::Sender<Result<bool, String>>,
}
