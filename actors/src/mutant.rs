//! Mistakes made on purpose, so that the chaos suites can prove that they find them.
//!
//! There are none without the feature `mutants`, which only those suites turn on: every question ([`crate::world::Settings::is`]) is then a
//! constant "no".

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub, reason = "exported with the feature"))]
pub enum Mutant {
    /// An order answers when it has decided, and not when the record is durable.
    AnswersTentative,
    /// A committer takes "nobody knows" for "not written" and goes on with another group.
    GivesUpUnknown,
    /// An order that lost a race decides again on the state it had.
    KeepsStateAfterConflict,
    /// An order takes every id that has left its memory for a new one.
    ForgetsOldIds,
    /// The intake floor moves when a command is read, and not when it is decided.
    FloorRunsAhead,
    /// A step in doubt counts as not done, and what was done before it is undone.
    CompensatesUnsettled,
    /// A call whose outcome is unknown counts as failed, and the step is tried under the next generation.
    RaisesAfterUnknown,
    /// Effects begin when they are decided, and not when the record is durable.
    EffectBeforeCommit,
    /// An outcome in an order's mailbox is forgotten: the order may leave memory with it.
    ForgetsOutcomes,
    /// A call passes its breaker and takes a place on the node before it waits for one at its participant.
    WidePlacesFirst,
    /// A participant that contradicts itself is asked again at once.
    AsksContradictedAtOnce,
    /// A caller's permits are held until its command is answered, however long its partition's log is silent.
    PermitsUntilAnswered,
    /// What is parked is written, and park marks are read, by the tenant itself, which does nothing else meanwhile.
    TenantAwaitsItsLog,
    /// All orders of the node are rebuilt under the same few permits, those too that need no read.
    ReadPermitsOfTheNode,
    /// A partition that was set apart forgets in which epoch it was ours, and what was acknowledged.
    ForgetsEpochWithItsActor,
    /// Each one who wants to know whether the partition is still ours has a fence of its own written.
    AFenceForEach,
    /// A parked command whose number is taken is acknowledged as if it had been written.
    AcknowledgesTakenNumbers,
    /// Nobody's published commands are read before those that one tenant fills the window with.
    WindowWithoutShares,
}
