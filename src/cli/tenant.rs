//! `retailflow tenant`: who may have orders here.

use clap::ValueEnum;
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{TenantSetting, TenantStatus, Tenants};

use crate::app::{self, Make};
use crate::cli::data::DataArgs;
use crate::cli::{Context, Output, print};
use crate::exit::{ExitStatus, Failure, OrExit};

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
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let config = &context.config.config;
    match args {
        Args::List(data) => {
            let store = app::open(&data.data, config, Make::Never)?;
            let tenants = Tenants::list(store.log.as_ref());
            store.close();
            print(&shown(&tenants, context.output))
        }
        Args::Show { tenant, data } => {
            let store = app::open(&data.data, config, Make::Never)?;
            let found = Tenants::get(store.log.as_ref(), &tenant);
            store.close();
            match found {
                Some(setting) => print(&shown(&[setting], context.output)),
                None => Err(Failure::finding(format!(
                    "there is no tenant {tenant}; `retailflow tenant set` makes one"
                ))),
            }
        }
        Args::Set(set) => {
            let store = app::open(&set.data.data, config, Make::IfMissing)?;
            let setting = set.apply(Tenants::get(store.log.as_ref(), &set.tenant));
            let put = app::runtime()?.block_on(Tenants::put(store.log.as_ref(), setting.clone()));
            store.close();
            put.or_exit(ExitStatus::Unreachable, || format!("cannot set tenant {}", set.tenant))?;
            print(&shown(&[setting], context.output))
        }
    }
}

impl SetArgs {
    fn apply(&self, before: Option<TenantSetting>) -> TenantSetting {
        let new =
            TenantSetting { tenant: self.tenant.clone(), status: TenantStatus::Active, in_flight_max: None };
        let mut setting = before.unwrap_or(new);
        match self.status {
            Some(StatusArg::Active) => setting.status = TenantStatus::Active,
            Some(StatusArg::Suspended) => setting.status = TenantStatus::Suspended,
            None => {}
        }
        if self.in_flight_default {
            setting.in_flight_max = None;
        }
        setting.in_flight_max = self.in_flight_max.or(setting.in_flight_max);
        setting
    }
}

fn shown(tenants: &[TenantSetting], output: Output) -> String {
    let status = |setting: &TenantSetting| match setting.status {
        TenantStatus::Active => "active",
        TenantStatus::Suspended => "suspended",
    };
    match output {
        Output::Json => {
            let list: Vec<_> = tenants
                .iter()
                .map(|setting| {
                    serde_json::json!({
                        "tenant": setting.tenant.as_str(),
                        "status": status(setting),
                        "in_flight_max": setting.in_flight_max,
                    })
                })
                .collect();
            format!("{:#}\n", serde_json::Value::from(list))
        }
        Output::Table => tenants
            .iter()
            .map(|setting| {
                let max = setting.in_flight_max.map_or_else(|| "default".to_owned(), |max| max.to_string());
                format!("{:<24} {:<10} in flight at most: {max}\n", setting.tenant.as_str(), status(setting))
            })
            .collect(),
    }
}
