//! Books of participants: the other side of the ledger, as lines and as sums. The engine never reads them while it decides; they are
//! compared with the log.

mod entry;
mod journal;
mod text;
mod totals;
mod why;

pub use entry::{BookEntry, BookKind, BookLine, key_of, reference};
pub use journal::{Journal, MemoryJournal};
pub use text::BookError;
pub use totals::{BookTotals, MoneyTotals, Sides, Violation};
pub use why::Why;
