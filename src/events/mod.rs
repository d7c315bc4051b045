//! Public events out of a log, one after another, for whoever reads them.
//!
//! Invariant: each event that the log holds is given at least once, in the log's order, with the same id each time; a
//! reader that keeps the token of the last one it took in gets exactly the rest.
//!
//! What an event says follows from all records of its order so far. So a relay always reads from the log's beginning,
//! and gives only what comes after its token ([`relay`]); what the orders have become on the way it keeps in bounded
//! memory and, beyond that, in a file ([`states`]).

pub(crate) mod cursor;
pub(crate) mod relay;
mod spill;
mod states;
