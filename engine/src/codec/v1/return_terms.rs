//! What a return says beside its units and money, of version 1: frozen.

use serde::{Deserialize, Serialize};

/// What a return says beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnTermsV1 {
    /// Which return.
    pub return_id: String,
    /// What the shop keeps, in minor units.
    pub fee_minor: i64,
    /// Line by line.
    pub lines: Vec<TermLineV1>,
}

/// Of units of a line that come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermLineV1 {
    /// Which line.
    pub line_id: String,
    /// How many units.
    pub quantity: u64,
    /// Are they taken back into stock?
    pub restock: bool,
    /// In which condition they came, where that was said.
    pub condition: Option<String>,
}
