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
use crate::cli::place::Place;
use crate::cli::{Context, Output, print};
use crate::parked::at;
use crate::parked::ending::{EndArgs, Way, not_meant, render_release};
use crate::parked::found::{line, not_parked, parked_one};
use retailflow_server::app::{self, Make, Store};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Ends an order's parking.
pub(crate) fn end(args: &EndArgs, way: Way, context: &Context) -> Result<(), Failure> {
    let order = args.name.full();
    let config = &context.config.config;
    let data = match args.place.open()? {
        Place::Data(data) => data,
        Place::Server(client) => return at::end(&client, args, way, context.output),
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
        Ok(render_release(&order, &released, way, context.output))
    });
    drop(runtime);
    store.close();
    print(&ended?)
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
