//! What is wrong with a row.

/// What is wrong, and in which column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The column's name; none where it is the row as a whole.
    pub(crate) column: Option<String>,
    /// What is wrong, and what is expected.
    pub(crate) reason: String,
}

impl Fault {
    /// A fault of the row as a whole.
    pub(crate) fn of_row(reason: impl Into<String>) -> Self {
        Self { column: None, reason: reason.into() }
    }

    /// A fault in a column.
    pub(crate) fn in_column(name: &str, reason: impl Into<String>) -> Self {
        Self { column: Some(name.to_owned()), reason: reason.into() }
    }
}
