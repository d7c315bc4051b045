//! RetailFlow's engine.
pub mod codec;
pub mod ids;
pub mod keys;
pub mod ports;
pub mod money;
pub mod wire;
