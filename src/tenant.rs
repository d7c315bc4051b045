//! `retailflow tenant`: who may have orders here.

mod flow;

use std::num::NonZeroU32;

use clap::ValueEnum;
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::Tenants;
use retailflow_engine::wire::Code;
use retailflow_engine::wire::admin::{TenantChange, TenantList, TenantState, TenantView};
use retailflow_engine::wire::payment_rules::{
    OnDecline, PAYMENT_WAIT_MAX_MS, PaymentRules, PaymentRulesChange, RefundOrder,
};
use retailflow_engine::wire::return_rules::{RefundRule, ReturnRulesChange};
use retailflow_nats::{NatsTenants, TenantsOptions};

use crate::cli::log_args::{LogArgs, LogPlace};
use crate::cli::{Context, Output, print};
use crate::client::{Answer, Client};
use crate::cluster_report::{self, CLOSE_MAX};
use crate::order::operate::operator;
use retailflow_server::app::{self, Make};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

const SET_EXAMPLES: &str = "\
Examples:
  Make a tenant known (needed where `tenants.unknown` is \"refuse\"), in a data directory that no server has open:
    retailflow tenant set shop --data data
  At a server that runs; in force at once:
    retailflow tenant set shop --in-flight-max 100 --admin http://127.0.0.1:8081 --operator ann
  Returns of orders placed from now on pay back shipping too, with the order's last unit:
    retailflow tenant set shop --returns-shipping with_last_unit --data data
  Orders placed from now on are paid before a shipment is booked, and begin with their payment:
    retailflow tenant set shop --flow-capture before_booking --flow-begins-with authorize --data data
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
    #[arg(long, value_name = "N", conflicts_with = "in_flight_default", value_parser = in_flight_max)]
    pub(crate) in_flight_max: Option<NonZeroU32>,
    /// Take that limit from the configuration again (`admission.tenant_in_flight_max`)
    #[arg(long)]
    pub(crate) in_flight_default: bool,
    /// When returns pay back the shipping of an order placed from now on (`never` until it is set)
    #[arg(long, value_name = "RULE")]
    pub(crate) returns_shipping: Option<RuleArg>,
    /// The same of tax that stands beside the lines
    #[arg(long, value_name = "RULE")]
    pub(crate) returns_tax: Option<RuleArg>,
    /// The same of fees
    #[arg(long, value_name = "RULE")]
    pub(crate) returns_fee: Option<RuleArg>,
    /// Which payment money goes back to first, of an order placed from now on (`reverse` until it is set: the last one)
    #[arg(long, value_name = "ORDER")]
    pub(crate) refund_order: Option<RefundOrderArg>,
    /// What a declined payment does (`cancel` until it is set)
    #[arg(long, value_name = "RULE")]
    pub(crate) on_decline: Option<OnDeclineArg>,
    /// How long an order waits for another means of payment, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=PAYMENT_WAIT_MAX_MS))]
    pub(crate) payment_wait_ms: Option<u64>,
    #[command(flatten)]
    pub(crate) flow: flow::FlowArgs,
    /// Who does it; a server writes it to its log
    #[arg(long, value_name = "NAME", env = "RETAILFLOW_OPERATOR", default_value = "operator")]
    pub(crate) operator: String,
    #[command(flatten)]
    pub(crate) place: LogArgs,
}

fn in_flight_max(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("a whole number from 1 to {} is expected", u32::MAX))
}

/// Which payment money goes back to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RefundOrderArg {
    /// The last payment first
    #[value(name = "reverse")]
    Reverse,
    /// All payments, by what each holds
    #[value(name = "pro_rata")]
    ProRata,
}

impl From<RefundOrderArg> for RefundOrder {
    fn from(order: RefundOrderArg) -> Self {
        match order {
            RefundOrderArg::Reverse => Self::Reverse,
            RefundOrderArg::ProRata => Self::ProRata,
        }
    }
}

/// What a declined payment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDeclineArg {
    /// The order turns back
    Cancel,
    /// It waits for another means of payment
    Wait,
}

impl From<OnDeclineArg> for OnDecline {
    fn from(rule: OnDeclineArg) -> Self {
        match rule {
            OnDeclineArg::Cancel => Self::Cancel,
            OnDeclineArg::Wait => Self::Wait,
        }
    }
}

/// A tenant's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusArg {
    /// Commands are taken
    Active,
    /// Commands are refused; published ones become dead letters, to be published again
    Suspended,
}

/// When a part of an order beside its lines is paid back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum RuleArg {
    /// The shop keeps it
    Never,
    /// Whole, with the order's last unit
    WithLastUnit,
    /// Each unit brings its share
    ProRata,
}

impl From<RuleArg> for RefundRule {
    fn from(rule: RuleArg) -> Self {
        match rule {
            RuleArg::Never => Self::Never,
            RuleArg::WithLastUnit => Self::WithLastUnit,
            RuleArg::ProRata => Self::ProRata,
        }
    }
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    let place = match &args {
        Args::List(place) | Args::Show { place, .. } => place.open(&mut config)?,
        Args::Set(set) => set.place.open(&mut config)?,
    };
    let found = match place {
        LogPlace::Data(data) => {
            let make = if matches!(args, Args::Set(_)) { Make::IfMissing } else { Make::Never };
            let store = app::open(&data, &config, make)?;
            let done = app::runtime()?.block_on(perform(&args, store.log.as_ref()));
            store.close();
            done?
        }
        LogPlace::Server(client) => ask(&args, &client)?,
        LogPlace::Cluster => app::runtime()?.block_on(async {
            let (connections, _) = cluster_report::log(&config).await?;
            let tenants = NatsTenants::open(&connections, &TenantsOptions::default()).await;
            let tenants = tenants.or_exit(ExitStatus::Unreachable, || "cannot read the tenants")?;
            let done = perform(&args, &tenants).await;
            tenants.close(CLOSE_MAX).await;
            connections.close(CLOSE_MAX).await;
            done
        })?,
    };
    print(&shown(&found, context.output))
}

fn unknown(tenant: &TenantId) -> Failure {
    Failure::finding(format!("there is no tenant {tenant}; `retailflow tenant set` makes one"))
}

/// The tenants that are to be shown.
async fn perform(args: &Args, tenants: &dyn Tenants) -> Result<Vec<TenantView>, Failure> {
    match args {
        Args::List(_) => Ok(tenants.list().into_iter().map(TenantView::from).collect()),
        Args::Show { tenant, .. } => match tenants.get(tenant) {
            Some(setting) => Ok(vec![setting.into()]),
            None => Err(unknown(tenant)),
        },
        Args::Set(set) => {
            let setting = tenants.get_or_new(&set.tenant).with(set.change());
            let put = tenants.put(setting.clone()).await;
            put.or_exit(ExitStatus::Unreachable, || format!("cannot set tenant {}", set.tenant))?;
            Ok(vec![setting.into()])
        }
    }
}

/// The same from a server that runs.
fn ask(args: &Args, client: &Client) -> Result<Vec<TenantView>, Failure> {
    let one = |answer: Answer, tenant: &TenantId| match answer.status {
        200 => Ok(vec![answer.read()?]),
        _ if answer.code() == Code::UnknownTenant.as_str() => Err(unknown(tenant)),
        _ => Err(answer.refusal()),
    };
    let path = |tenant: &TenantId| format!("/v1/admin/tenants/{tenant}");
    match args {
        Args::List(_) => list(client),
        Args::Show { tenant, .. } => one(client.get(&path(tenant))?, tenant),
        Args::Set(set) => {
            let operator =
                operator(&set.operator).map_err(|why| Failure::usage(format!("--operator: {why}")))?;
            let body = serde_json::to_string(&set.change());
            let body = body.or_exit(ExitStatus::Usage, || "cannot write the change")?;
            one(client.patch(&path(&set.tenant), &body, &operator)?, &set.tenant)
        }
    }
}

fn list(client: &Client) -> Result<Vec<TenantView>, Failure> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("/v1/admin/tenants?limit=1000{after}"))?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let TenantList { tenants, next, .. } = answer.read()?;
        let empty = tenants.is_empty();
        all.extend(tenants);
        match next.filter(|_| !empty) {
            // Names need no other spelling in a query.
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

impl SetArgs {
    fn change(&self) -> TenantChange {
        let status = self.status.map(|status| match status {
            StatusArg::Active => TenantState::Active,
            StatusArg::Suspended => TenantState::Suspended,
        });
        let in_flight_max = match self.in_flight_default {
            true => Some(None),
            false => self.in_flight_max.map(Some),
        };
        let rule = |rule: Option<RuleArg>| rule.map(RefundRule::from);
        let rules = ReturnRulesChange {
            shipping: rule(self.returns_shipping),
            tax: rule(self.returns_tax),
            fee: rule(self.returns_fee),
        };
        let returns = (rules != ReturnRulesChange::default()).then_some(rules);
        let payments = PaymentRulesChange {
            refund_order: self.refund_order.map(RefundOrder::from),
            on_decline: self.on_decline.map(OnDecline::from),
            payment_wait_ms: self.payment_wait_ms,
        };
        let payments = (payments != PaymentRulesChange::default()).then_some(payments);
        TenantChange { status, in_flight_max, returns, payments, flow: self.flow.change() }
    }
}

fn shown(tenants: &[TenantView], output: Output) -> String {
    let status = |tenant: &TenantView| match tenant.status {
        TenantState::Active => "active",
        TenantState::Suspended => "suspended",
    };
    match output {
        Output::Json => {
            let list: Vec<_> = tenants
                .iter()
                .map(|tenant| {
                    serde_json::json!({
                        "tenant": tenant.tenant.as_str(),
                        "status": status(tenant),
                        "in_flight_max": tenant.in_flight_max,
                        "returns": tenant.returns,
                        "payments": tenant.payments,
                        "flow": tenant.flow,
                    })
                })
                .collect();
            format!("{:#}\n", serde_json::Value::from(list))
        }
        Output::Table => tenants
            .iter()
            .map(|tenant| {
                let max = tenant.in_flight_max.map_or_else(|| "default".to_owned(), |max| max.to_string());
                let rules = [
                    ("shipping", tenant.returns.shipping),
                    ("tax", tenant.returns.tax),
                    ("fee", tenant.returns.fee),
                ];
                let rules = rules.map(|(part, rule)| format!("{part} {}", rule.as_str())).join(", ");
                let (name, status) = (tenant.tenant.as_str(), status(tenant));
                let PaymentRules { refund_order, on_decline, payment_wait_ms } = tenant.payments;
                let wait = match on_decline {
                    OnDecline::Cancel => "cancels".to_owned(),
                    OnDecline::Wait => format!("waits {payment_wait_ms} ms"),
                };
                let (refund_order, flow) = (refund_order.as_str(), flow::shown(&tenant.flow));
                format!("{name:<24} {status:<10} in flight at most: {max}; returned: {rules}; refunds: {refund_order}; a decline {wait}; {flow}\n")
            })
            .collect(),
    }
}
