//! Reading a whole open log through the invariants' checker, for the report of a run.
