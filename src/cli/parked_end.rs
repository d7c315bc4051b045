//! `retailflow parked release` and `retailflow parked discard`: what waits behind a parked order is decided or rejected,
//! and the order's mark is taken away.
//!
//! A node is started for it that drives nothing: the order's steps go on with the next node.

use std::time::Duration;

use retailflow_actors::{ReleaseCounts, ReleaseError, Settings};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::wire::admin::WaitingCommand;
use serde_json::json;

use crate::absent;
use crate::cli::order::NameArgs;
use crate::cli::parked::{line, not_parked, parked_one};
use crate::cli::place::{AdminPlaceArgs, Place};
use crate::cli::{Context, Output, parked_at, print};
use retailflow_server::app::{self, Make, Store};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Which order, and whether to do it.
#[derive(clap::Args, Debug)]
pub(crate) struct EndArgs {
    #[command(flatten)]
    pub(crate) name: NameArgs,
    #[command(flatten)]
    pub(crate) place: AdminPlaceArgs,
    /// Tell what would be done and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it: what is decided stays decided
    #[arg(long)]
    pub(crate) yes: bool,
    /// Who does it, for the record
    #[arg(long, value_name = "NAME", default_value = "operator", value_parser = operator)]
    pub(crate) operator: String,
}

pub(super) fn operator(name: &str) -> Result<String, String> {
    let fits = !name.is_empty() && name.len() <= 100 && !name.contains(char::is_control);
    fits.then(|| name.to_owned()).ok_or_else(|| "a name has 1 to 100 bytes, and no control characters".into())
}

/// What becomes of the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They are decided.
    Release,
    /// They are rejected.
    Discard,
}

impl Way {
    /// What becomes of those that wait and of their order, for people.
    pub(super) const fn plan(self) -> &'static str {
        match self {
            Self::Release => "decided in order, and the order let go on",
            Self::Discard => "rejected as discarded, and the order let go on without them",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Release => "released",
            Self::Discard => "released, what waited is discarded",
        }
    }
}

/// Ends an order's parking.
pub(super) fn end(args: &EndArgs, way: Way, context: &Context) -> Result<(), Failure> {
    let order = args.name.full();
    let config = &context.config.config;
    let data = match args.place.open()? {
        Place::Data(data) => data,
        Place::Server(client) => return parked_at::end(&client, args, way, context.output),
    };
    let store = app::open(&data, config, Make::Never)?;
    let runtime = app::runtime()?;
    let ended = runtime.block_on(async {
        let found = parked_one(store.log.as_ref(), &order).await;
        let found =
            found.or_exit(ExitStatus::Finding, || format!("cannot read what waits behind {order}"))?;
        let Some((_, waiting)) = found else { return Err(not_parked(&order)) };
        if args.dry_run {
            return Ok(plan(&order, &waiting, way, context.output));
        }
        if !args.yes {
            return Err(not_meant(&order, waiting.len() as u64, way));
        }
        let settings = Settings { drives_effects: false, ..Settings::new(config.clone(), "embedded") };
        let released = drive(&store, settings, &order, &args.operator, way).await?;
        Ok(told(&order, &released, way, context.output))
    });
    drop(runtime);
    store.close();
    print(&ended?)
}

/// What says that it is not done without `--yes`.
pub(super) fn not_meant(order: &OrderRef, count: u64, way: Way) -> Failure {
    let plan = way.plan();
    Failure::refused(format!(
        "{count} commands that wait behind {order} would be {plan}: repeat with --yes to do it, or with --dry-run to \
         see what would be done"
    ))
}

async fn drive(
    store: &Store,
    settings: Settings,
    order: &OrderRef,
    operator: &str,
    way: Way,
) -> Result<ReleaseCounts, Failure> {
    let deadline = Duration::from_millis(settings.config.node.stop_deadline_ms);
    let node = store.node(settings, absent::participants()).await?;
    let ended = match way {
        Way::Release => node.release_parked(order, operator).await,
        Way::Discard => node.discard_parked(order, operator).await,
    };
    node.stop(deadline).await;
    ended.map_err(|error| {
        let code = match &error {
            ReleaseError::UnderWay => ExitStatus::Refused,
            ReleaseError::Unavailable(_) | ReleaseError::Lost => ExitStatus::Unreachable,
            _ => ExitStatus::Finding,
        };
        Failure::new(code, anyhow::Error::new(error).context(format!("order {order}")))
    })
}

fn plan(order: &OrderRef, waiting: &[WaitingCommand], way: Way, output: Output) -> String {
    match output {
        Output::Json => {
            let shown = json!({
                "tenant": order.tenant.as_str(),
                "order": order.order.as_str(),
                "dry_run": true,
                "waiting": waiting.len(),
                "commands": waiting,
            });
            format!("{shown:#}\n")
        }
        Output::Table => {
            let mut text = format!("order {order}: {} commands would be {}\n", waiting.len(), way.plan());
            text.extend(waiting.iter().map(line));
            text
        }
    }
}

/// What was done, for people or programs.
pub(super) fn told(order: &OrderRef, released: &ReleaseCounts, way: Way, output: Output) -> String {
    let ReleaseCounts { commands, applied, rejected, replayed, dead_lettered } = *released;
    match output {
        Output::Json => {
            let shown = json!({
                "tenant": order.tenant.as_str(),
                "order": order.order.as_str(),
                "dry_run": false,
                "commands": commands,
                "applied": applied,
                "rejected": rejected,
                "replayed": replayed,
                "dead_lettered": dead_lettered,
            });
            format!("{shown:#}\n")
        }
        Output::Table => format!(
            "order {order} is {}: of {commands} commands {applied} applied, {rejected} rejected, {replayed} decided \
             before, {dead_lettered} dead-lettered\n",
            way.done()
        ),
    }
}
