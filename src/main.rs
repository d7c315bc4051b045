//! RetailFlow.
fn main() {}
