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
pub struct Names {
    /// The order's id.
    pub order: Option<String>,
    /// Who ordered.
    pub customer: Option<String>,
    /// How many units.
    pub quantity: Option<String>,
    /// What they cost.
    pub amount: Option<String>,
    /// What was ordered.
    pub sku: Option<String>,
    /// When.
    pub time: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
}

/// What to import, and how.
#[derive(Debug)]
pub struct Settings {
    /// What the file is called, for messages.
    pub file: String,
    /// Whose orders they are.
    pub tenant: TenantId,
    /// Whose export it is.
    pub preset: Option<Preset>,
    /// How cells are set apart.
    pub dialect: Dialect,
    /// The names of the columns.
    pub names: Names,
    /// How numbers are written.
    pub numbers: Numbers,
    /// What an amount is the price of; none: as the preset says, or of the row.
    pub per: Option<AmountPer>,
    /// The currency of all amounts, if the caller says it.
    pub currency: Option<Currency>,
    /// What is ordered, where no column says so.
    pub sku: String,
    /// How the names of orders become ids.
    pub ids: OrderIds,
    /// How times are written.
    pub times: Times,
    /// How an order adds up.
    pub totals: TotalRules,
    /// Write no commands.
    pub dry_run: bool,
}
