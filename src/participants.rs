//! `retailflow participants`: stock, payments and shipping for all nodes of a cluster.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::wire::CommandEvent;
use retailflow_nats::{AskClient, EdgeConnection, RemoteParticipants};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::cluster_args::ClusterArgs;
use crate::cli::data::DataArgs;
use crate::cli::kind::KindArg;
use crate::cli::{Context, print};
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::participants::{self, sync_of};
use retailflow_server::serve::cluster::nats_options;
use retailflow_server::signals;

/// Reports that are asked for at the same time.
const ASKED_MAX: usize = 64;
/// How long a report is sent again; afterwards its step is looked at when it is due.
const REPORT_FOR: Duration = Duration::from_secs(300);
/// For one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Example:
  retailflow participants --nats nats://127.0.0.1:4222 --data participants --kind flaky --seed 7

They stand in for real ones, in demos and tests. Their books are kept in DIR/participants.";

/// The arguments of `participants`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    data: DataArgs,
    /// What they are like
    #[arg(long, value_enum, default_value = "perfect")]
    kind: KindArg,
    /// What the faults of flaky ones are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Answer before the books are on disk: faster, and after a power cut they may be behind the log
    #[arg(long)]
    participants_unsynced: bool,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    args.cluster.apply_with_nats(&mut config)?;
    app::no_links(&args.data.data)?;
    app::runtime()?.block_on(async {
        let (mut stopped, _stop) = signals::listen()?;
        let nats = nats_options(&config, "retailflow participants");
        let connect = |purpose| EdgeConnection::open(&nats, purpose);
        let failed = || "cannot connect to NATS";
        let asked = connect("asked").await.or_exit(ExitStatus::Unreachable, failed)?;
        let asks = connect("reports").await.or_exit(ExitStatus::Unreachable, failed)?;
        let (running, reports) = participants::open(
            &args.data.data,
            args.kind.into(),
            args.seed,
            sync_of(args.participants_unsynced),
        )?;
        let serving = RemoteParticipants::open(asked, running.participants()).await;
        let serving = serving.or_exit(ExitStatus::Unreachable, failed)?;
        print("the participants are there\n")?;
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = report(AskClient::new(asks), reports) => {}
        }
        serving.close().await;
        running.close().await;
        Ok(())
    })
}

/// Brings reports to their orders, until there are no more senders.
async fn report(client: AskClient, mut reports: mpsc::Receiver<CommandEvent>) {
    let client = Arc::new(client);
    let mut asked = JoinSet::new();
    while let Some(event) = reports.recv().await {
        while asked.len() >= ASKED_MAX {
            drop(asked.join_next().await);
        }
        asked.spawn(one(client.clone(), event));
    }
}

async fn one(client: Arc<AskClient>, event: CommandEvent) {
    let tried = async {
        loop {
            match client.ask(&event, ANSWER_MAX).await {
                Ok(outcome) if !outcome.code.retry_helps() => return outcome.code,
                Ok(_) | Err(_) => tokio::time::sleep(RETRY_INTERVAL).await,
            }
        }
    };
    match tokio::time::timeout(REPORT_FOR, tried).await {
        Ok(code) => tracing::debug!(order = %event.order, %code, "report taken in"),
        Err(_) => {
            tracing::warn!(event = "report_dropped", order = %event.order, "a report was given up; its step is looked at when it is due")
        }
    }
}
