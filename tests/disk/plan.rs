//! What goes wrong in a round, and what may come of it.

use retailflow_chaos_disk::{Effect, Fault, Operation};

/// What goes wrong while the first load is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskFailure {
    /// A write-back of the log fails; then the disk is well again.
    LogSyncFails,
    /// The process is killed.
    Kill,
    /// The power goes, at some moment.
    Cut,
    /// The power goes the moment an answer has come.
    CutAtAnswer,
    /// The power goes at a sync of the log, before or after it is done.
    CutAtSync,
    /// A stop in good order; the power goes soon after.
    Stop,
    /// The disk is full; then there is room again.
    Full,
    /// Syncs of the log hang; then they go on.
    Hang,
    /// A write to the log fails.
    LogWriteFails,
    /// The names of the log's folder cannot be made durable; then the disk is well again.
    FolderSyncFails,
    /// The mark of what is durable cannot be written back; then the disk is well again.
    MarkSyncFails,
    /// Writes of the index and the views fail; then the disk is well again.
    IndexWriteFails,
    /// The disk lies about the last sector of a write to the log; the power goes at the next one. The mark of what was
    /// answered is written back in between: without it nothing on this disk could know (ADR 20).
    LastSectorLost,
    /// After a kill and a reboot, a sector of the log cannot be read.
    Unreadable,
}

impl DiskFailure {
    pub(super) const ALL: [Self; 14] = [
        Self::LogSyncFails,
        Self::Kill,
        Self::Cut,
        Self::FolderSyncFails,
        Self::CutAtAnswer,
        Self::CutAtSync,
        Self::Full,
        Self::LastSectorLost,
        Self::Stop,
        Self::Hang,
        Self::LogWriteFails,
        Self::MarkSyncFails,
        Self::IndexWriteFails,
        Self::Unreadable,
    ];

    /// Whether a start may be refused after it, with words that say why. Where the disk told the truth, or is well again,
    /// it may not.
    pub(super) fn may_refuse(self) -> bool {
        matches!(self, Self::LastSectorLost | Self::Unreadable)
    }

    /// Words for `serve`, beside the usual ones. Where a refusal is expected it shall be about the log, not about the
    /// books of the participants.
    pub(super) fn words(self) -> &'static [&'static str] {
        if self.may_refuse() { &["--intake-only"] } else { &[] }
    }

    /// The faults of the disk that it is made of.
    pub(super) fn faults(self, rng: &mut fastrand::Rng) -> Vec<Fault> {
        let fault = |at, path: &str, passes, strikes, effect| Fault {
            at,
            path: path.into(),
            passes,
            strikes,
            effect,
        };
        // Mostly nothing gets onto the disk, sometimes a part.
        let written_percent = [0, 0, 0, 50, 90][rng.usize(..5)];
        let fails = Effect::Fail { written_percent };
        let passes = rng.u64(..30);
        match self {
            Self::LogSyncFails => vec![fault(Operation::Sync, ".seg", passes, rng.u64(1..3), fails)],
            Self::CutAtSync => {
                let effect = if rng.bool() { Effect::PowerOff } else { Effect::PowerOffAfter };
                vec![fault(Operation::Sync, "/log/", passes, 1, effect)]
            }
            Self::LogWriteFails => vec![fault(Operation::Write, ".seg", passes, 1, fails)],
            Self::FolderSyncFails => vec![fault(Operation::SyncFolder, "/log", 0, 1, fails)],
            Self::MarkSyncFails => vec![fault(Operation::Sync, "/log/durable", 0, 1, fails)],
            Self::IndexWriteFails => {
                let strikes = rng.u64(1..20);
                let folders = ["/index/", "/views/"];
                folders.map(|folder| fault(Operation::Write, folder, passes % 5, strikes, fails)).into()
            }
            Self::LastSectorLost => {
                let lost = fault(Operation::Sync, ".seg", passes, 1, Effect::LoseLastSector);
                // The write whose answer it lets through is the last one.
                vec![lost, fault(Operation::Sync, ".seg", passes + 1, 1, Effect::PowerOff)]
            }
            Self::Kill
            | Self::Cut
            | Self::CutAtAnswer
            | Self::Stop
            | Self::Full
            | Self::Hang
            | Self::Unreadable => Vec::new(),
        }
    }
}
