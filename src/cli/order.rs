//! `retailflow order`: one order, as it stands and how it came to be.
#![allow(dead_code)]

use retailflow_engine::ids::{OrderId, OrderRef, TenantId};

use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::Failure;

/// The commands under `order`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Show an order as it stands
    #[command(after_help = "Example:\n  retailflow order show shop 1001 --data data")]
    Show(OrderArgs),
    /// Show every decision that was taken on an order, and what happened
    #[command(after_help = "Example:\n  retailflow order history shop 1001 --data data -o json")]
    History(OrderArgs),
}

/// Which order, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct OrderArgs {
    /// The tenant it belongs to
    #[arg(value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    /// Its id
    #[arg(value_parser = OrderId::parse)]
    pub(crate) order: OrderId,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

impl OrderArgs {
    /// The order's full name.
    pub(crate) fn name(&self) -> OrderRef {
        OrderRef { tenant: self.tenant.clone(), order: self.order.clone() }
    }
}

/// Runs the command.
pub(crate) fn exec(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::refused("`retailflow order` is not built yet"))
}
