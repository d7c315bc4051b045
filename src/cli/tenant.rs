//! `retailflow tenant`: who may have orders here.

use clap::ValueEnum;
use retailflow_cluster::nats::{NatsTenants, TenantsOptions};
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{TenantSetting, TenantStatus, Tenants};

use crate::app::{self, Make};
use crate::cli::log_args::{LogArgs, LogPlace};
use crate::cli::{Context, Output, print};
use crate::exit::{ExitStatus, Failure, OrExit};
use crate::many::{self, CLOSE_MAX};

const SET_EXAMPLES: &str = "\
Examples:
  Make a tenant known (needed where `tenants.unknown` is \"refuse\"):
    retailflow tenant set shop --data data
  Refuse its commands for now; those that are published meanwhile become dead letters (`retailflow dlq redrive`):
    retailflow tenant set shop --status suspended --data data
  On a cluster; all nodes see it within about a second:
    retailflow tenant set shop --status suspended --nats nats://127.0.0.1:4222";

/// The commands under `tenant`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// List all tenants
    List(LogArgs),
    /// Show one tenant
    Show {
        /// Which
        #[arg(value_parser = TenantId::parse)]
        tenant: TenantId,
        #[command(flatten)]
        place: LogArgs,
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
    pub(crate) place: LogArgs,
}

/// A tenant's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusArg {
    /// Commands are taken
    Active,
    /// Commands are refused; published ones become dead letters, to be published again
    Suspended,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    let place = match &args {
        Args::List(place) | Args::Show { place, .. } => place.open(&mut config)?,
        Args::Set(set) => set.place.open(&mut config)?,
    };
    let shown = match place {
        LogPlace::Data(data) => {
            let make = if matches!(args, Args::Set(_)) { Make::IfMissing } else { Make::Never };
            let store = app::open(&data, &config, make)?;
            let done = app::runtime()?.block_on(perform(&args, store.log.as_ref()));
            store.close();
            done?
        }
        LogPlace::Cluster => app::runtime()?.block_on(async {
            let (connections, _) = many::log(&config).await?;
            let tenants = NatsTenants::open(&connections, &TenantsOptions::default()).await;
            let tenants = tenants.or_exit(ExitStatus::Unreachable, || "cannot read the tenants")?;
            let done = perform(&args, &tenants).await;
            tenants.close(CLOSE_MAX).await;
            connections.close(CLOSE_MAX).await;
            done
        })?,
    };
    print(&self::shown(&shown, context.output))
}

/// The tenants that are to be shown.
async fn perform(args: &Args, tenants: &dyn Tenants) -> Result<Vec<TenantSetting>, Failure> {
    match args {
        Args::List(_) => Ok(tenants.list()),
        Args::Show { tenant, .. } => match tenants.get(tenant) {
            Some(setting) => Ok(vec![setting]),
            None => Err(Failure::finding(format!(
                "there is no tenant {tenant}; `retailflow tenant set` makes one"
            ))),
        },
        Args::Set(set) => {
            let setting = set.apply(tenants.get(&set.tenant));
            let put = tenants.put(setting.clone()).await;
            put.or_exit(ExitStatus::Unreachable, || format!("cannot set tenant {}", set.tenant))?;
            Ok(vec![setting])
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
