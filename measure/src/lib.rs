//! RetailFlow: what `retailflow bench` is made of: a load generator, the raw limits beside it, what one sick part costs the others, and
//! their reports. Nothing here runs in production.

pub mod cluster;
pub mod isolation;
pub mod load;
pub mod machine;
pub mod raw;
pub mod raw_limit;
pub mod report;
pub mod take_over;
