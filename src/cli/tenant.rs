//! `retailflow tenant`: who may have orders here.
#![allow(dead_code)]

use clap::ValueEnum;
use retailflow_engine::ids::TenantId;

use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::Failure;

const SET_EXAMPLES: &str = "\
Examples:
  Make a tenant known (needed where `tenants.unknown` is \"refuse\"):
    retailflow tenant set shop --data data
  Take no commands of it for now; nothing is lost:
    retailflow tenant set shop --status suspended --data data";

/// The commands under `tenant`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// List all tenants
    List(DataArgs),
    /// Show one tenant
    Show {
        /// Which
        #[arg(value_parser = TenantId::parse)]
        tenant: TenantId,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Create a tenant, or change what is set for it; what is not named stays as it is
    #[command(after_help = SET_EXAMPLES)]
    Set(SetArgs),
}

/// What can be set.
#[derive(clap::Args, Debug)]
pub(crate) struct SetArgs {
    /// Which
    #[arg(value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    /// Whether its commands are taken
    #[arg(long)]
    pub(crate) status: Option<StatusArg>,
    /// How many of its commands may be in flight on a node
    #[arg(long, value_name = "N", conflicts_with = "in_flight_default", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) in_flight_max: Option<u32>,
    /// Take that limit from the configuration again (`admission.tenant_in_flight_max`)
    #[arg(long)]
    pub(crate) in_flight_default: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// A tenant's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusArg {
    /// Commands are taken
    Active,
    /// Commands are refused; nothing is lost
    Suspended,
}

/// Runs the command.
pub(crate) fn exec(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::refused("`retailflow tenant` is not built yet"))
}
