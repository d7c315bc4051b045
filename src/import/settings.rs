//! What is imported.

use retailflow_engine::ids::TenantId;

use super::columns::Names;
use super::row::Rules;

/// What to import, and how.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What the file is called, for messages.
    pub(crate) file: String,
    /// Whose orders they are.
    pub(crate) tenant: TenantId,
    /// The names of the columns.
    pub(crate) names: Names,
    /// How cells are read.
    pub(crate) rules: Rules,
}
