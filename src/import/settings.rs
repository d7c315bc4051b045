//! What is imported.

use retailflow_engine::ids::TenantId;
use retailflow_engine::money::Currency;

use super::number::{AmountPer, Numbers};
use super::order_id::OrderIds;
use super::preset::Preset;
use super::records::Dialect;
use super::totals::TotalRules;
use super::when::Times;

/// The names of the columns that the command line gives. What a preset knows need not be given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// The order's id.
    pub(crate) order: Option<String>,
    /// Who ordered.
    pub(crate) customer: Option<String>,
    /// How many units.
    pub(crate) quantity: Option<String>,
    /// What they cost.
    pub(crate) amount: Option<String>,
    /// What was ordered.
    pub(crate) sku: Option<String>,
    /// When.
    pub(crate) time: Option<String>,
    /// In which currency.
    pub(crate) currency: Option<String>,
}

/// What to import, and how.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What the file is called, for messages.
    pub(crate) file: String,
    /// Whose orders they are.
    pub(crate) tenant: TenantId,
    /// Whose export it is.
    pub(crate) preset: Option<Preset>,
    /// How cells are set apart.
    pub(crate) dialect: Dialect,
    /// The names of the columns.
    pub(crate) names: Names,
    /// How numbers are written.
    pub(crate) numbers: Numbers,
    /// What an amount is the price of; none: as the preset says, or of the row.
    pub(crate) per: Option<AmountPer>,
    /// The currency of all amounts, if the caller says it.
    pub(crate) currency: Option<Currency>,
    /// What is ordered, where no column says so.
    pub(crate) sku: String,
    /// How the names of orders become ids.
    pub(crate) ids: OrderIds,
    /// How times are written.
    pub(crate) times: Times,
    /// How an order adds up.
    pub(crate) totals: TotalRules,
    /// Write no commands.
    pub(crate) dry_run: bool,
}
