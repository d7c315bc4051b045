//! A column of a file.

/// One column that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Which cell, from 0.
    pub(crate) index: usize,
    /// Its name.
    pub(crate) name: String,
}
