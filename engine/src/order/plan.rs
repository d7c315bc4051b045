//! What an order's way was planned to be, where that is another than most orders have.

use crate::wire::flow_rules::FlowRules;

/// The plan of one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The tenant's flow when the order was placed.
    pub flow: FlowRules,
}
