//! Sizes of a projection.

/// Sizes of a [`Projection`](super::Projection).
#[derive(Debug, Clone)]
pub struct ProjectionOptions {
    /// Page cache of sled, in bytes.
    pub cache_bytes: u64,
    /// Orders changed since the last writing at which the next one begins. Twice as many wait at most; then the log is
    /// followed no further until they are written.
    pub flush_orders: usize,
    /// With anything new at all, it is written about so often, in milliseconds.
    pub flush_interval_ms: u64,
    /// Groups of the log taken in at once, in bytes.
    pub read_bytes: usize,
    /// The latest events in memory, at most so many.
    pub ring_events_max: usize,
    /// The latest events in memory, at most so many bytes of them.
    pub ring_bytes_max: usize,
    /// After the last reader has gone, events are made for so long, in milliseconds.
    pub ring_linger_ms: u64,
    /// Orders whose whole state is in memory while somebody listens; a few KiB each.
    pub ring_states_max: usize,
    /// Readers of old events that read at one time; further ones wait for their turn. So many of them keep their orders'
    /// states until their next turn.
    pub catching_up_max: usize,
    /// Orders whose whole state each of them has in memory.
    pub catching_up_states_max: usize,
    /// After a failure it is tried again in so many milliseconds.
    pub retry_ms: u64,
}

impl Default for ProjectionOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            flush_orders: 16_384,
            flush_interval_ms: 1_000,
            read_bytes: 1 << 20,
            ring_events_max: 65_536,
            ring_bytes_max: 64 << 20,
            ring_linger_ms: 30_000,
            ring_states_max: 10_000,
            catching_up_max: 4,
            catching_up_states_max: 2_000,
            retry_ms: 1_000,
        }
    }
}
