//! Where entries of a book go.

use std::sync::{Mutex, PoisonError};

use super::entry::BookEntry;
use super::totals::BookTotals;
use retailflow_engine::ports::StoreError;

/// Where participants write their books.
///
/// - `append` MUST keep all entries or none, in this order, and survive what the participant is to survive.
/// - It is called under the participant's lock: it MUST be quick, and MUST NOT call the participant.
pub trait Journal: Send + Sync {
    /// Writes entries down; they belong to one role.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was written.
    fn append(&self, entries: &[BookEntry]) -> Result<(), StoreError>;
}

/// Books in memory: totals, and the entries where they are wanted.
#[derive(Default)]
pub struct MemoryJournal(Mutex<(BookTotals, Option<Vec<BookEntry>>)>);

impl MemoryJournal {
    /// Keeps totals only.
    #[must_use]
    pub fn of_totals() -> Self {
        Self::default()
    }

    /// Keeps totals and all entries. For tests: nothing bounds it.
    #[must_use]
    pub fn of_entries() -> Self {
        Self(Mutex::new((BookTotals::default(), Some(Vec::new()))))
    }

    /// What it adds up to.
    #[must_use]
    pub fn totals(&self) -> BookTotals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The entries, oldest first; empty where only totals are kept.
    #[must_use]
    pub fn entries(&self) -> Vec<BookEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone().unwrap_or_default()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, entries: &[BookEntry]) -> Result<(), StoreError> {
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (totals, kept) = &mut *books;
        entries.iter().for_each(|entry| totals.take(entry));
        if let Some(kept) = kept {
            kept.extend_from_slice(entries);
        }
        Ok(())
    }
}
