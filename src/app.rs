//! The composition root: which adapters the engine runs on.
