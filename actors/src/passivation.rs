//! Passivation: how an order leaves memory, and how it comes back.

mod hydrate;
mod residents;

pub(crate) use self::hydrate::{HydrateError, Located, find, hydrate, recall};
pub(crate) use self::residents::{Age, Evict, Leaving, Residents};
