//! What is known of the effects that run.

mod backlog;

pub(crate) use self::backlog::Backlog;
