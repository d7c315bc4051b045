//! What shops do beside an order's own way: holds, facts, and what returns say. What they do stands in `holds`, `facts` and
//! `return_terms`.

use std::sync::Arc;

use crate::ids::TimestampMs;
use crate::wire::command::FactKind;

/// A hold that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its name in the order.
    pub name: Arc<str>,
    /// The operator who put it; `None`: the tenant's systems.
    pub operator: Option<Arc<str>>,
    /// Why.
    pub reason: Arc<str>,
    /// Since when.
    pub since: TimestampMs,
    /// Until when somebody means to have looked.
    pub until: Option<TimestampMs>,
    /// That time is over, and people were told so.
    pub overdue: Option<Arc<str>>,
}

/// What happened outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What.
    pub kind: FactKind,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// What it is called where it happened.
    pub reference: Arc<str>,
    /// Which payment it is about, where one is.
    pub payment_id: Option<Arc<str>>,
    /// Which line it is about, where one is.
    pub line_id: Option<Arc<str>>,
    /// When it happened, where that was said.
    pub happened: Option<TimestampMs>,
    /// When it was recorded.
    pub recorded: TimestampMs,
    /// Why, for people.
    pub reason: Option<Arc<str>>,
}

/// Of units of a line that come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineTerms {
    /// Which line.
    pub line_id: Arc<str>,
    /// How many units.
    pub quantity: u64,
    /// Are they taken back into stock?
    pub restock: bool,
    /// In which condition they came, where that was said.
    pub condition: Option<Arc<str>>,
}

/// What a return says beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTerms {
    /// Which return.
    pub return_id: Arc<str>,
    /// What the shop keeps of what would be paid back, in minor units.
    pub fee_minor: i64,
    /// Line by line, as the return has them.
    pub lines: Arc<[LineTerms]>,
}

impl ReturnTerms {
    /// Are units of this line taken back into stock?
    #[must_use]
    pub fn restocks(&self, line_id: &str) -> bool {
        self.lines.iter().all(|line| *line.line_id != *line_id || line.restock)
    }
}
