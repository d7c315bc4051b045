//! `retailflow dlq`: dead letters, which belong to no order. Sending them again and closing them is in `end`.

use serde_json::Value;

use crate::cli::log_args::{LogArgs, LogPlace};
use crate::cli::{Context, Output, print};
use crate::client::say;
use crate::cluster_report::table::table;
use crate::cluster_report::{self, CLOSE_MAX};
use crate::dlq::at;
use crate::dlq::end::{self, EndArgs, Way};
use crate::dlq::letters::{self, Found, Seen, Wanted, absent, read_letters};
use retailflow_server::app::{self, Make};
use retailflow_server::exit::Failure;

const REDRIVE_EXAMPLES: &str = "\
Examples:
  retailflow dlq redrive 17 18 --nats nats://127.0.0.1:4222 --yes --operator ann
  retailflow dlq redrive --all --tenant shop --nats nats://127.0.0.1:4222 --dry-run

A letter is published again as it came: do it when the cause is gone (a tenant that was suspended, an order that had not been
placed yet). It stays, and beside it stands who sent it again, when, and where to. If it is refused once more, there is another
letter. A command that was decided meanwhile has the same outcome again. What is no command, or was kept in part only, cannot be
redriven: send what its caller meant, then discard the letter.

On one node (--data, --admin) letters are looked at only, for there is no stream of commands to publish them to: take the
command from `retailflow dlq show POSITION`, and send it.";

/// The commands under `dlq`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// List dead letters: where each came from, and why it belongs to no order
    #[command(after_help = "Examples:
  retailflow dlq list --data data
  retailflow dlq list --admin http://127.0.0.1:8081 --tenant -
  retailflow dlq list --nats nats://127.0.0.1:4222 --tenant shop

When there are more than --limit, standard error says so, and where to go on.")]
    List(ListArgs),
    /// Show one dead letter, what it says, and what was done with it
    #[command(after_help = "Example:\n  retailflow dlq show 17 --nats nats://127.0.0.1:4222 -o json")]
    Show(ShowArgs),
    /// Publish dead letters again, as commands
    #[command(after_help = REDRIVE_EXAMPLES)]
    Redrive(EndArgs),
    /// Say that dead letters are nobody's concern any more; they stay, and are listed with --all
    #[command(
        after_help = "Example:\n  retailflow dlq discard 17 --nats nats://127.0.0.1:4222 --yes --operator ann"
    )]
    Discard(EndArgs),
}

/// Which letters, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Only those of this tenant; `-` for those of none
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Also those that were redriven or discarded
    #[arg(long)]
    all: bool,
    /// Only those behind this position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    place: LogArgs,
}

/// Which letter, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// The letter's position, as `list` shows it
    position: u64,
    #[command(flatten)]
    place: LogArgs,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    match args {
        Args::List(args) => list(&args, context),
        Args::Show(args) => show(&args, context),
        Args::Redrive(args) => end::exec(&args, Way::Redrive, context),
        Args::Discard(args) => end::exec(&args, Way::Discard, context),
    }
}

fn list(args: &ListArgs, context: Context) -> Result<(), Failure> {
    let wanted = Wanted {
        tenant: args.tenant.as_deref(),
        all: args.all,
        after: args.after,
        limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
    };
    let Found { letters, more_after } = find_letters(&args.place, context.config.config, &wanted)?;
    print(&match context.output {
        Output::Json => format!("{:#}\n", letters.iter().map(Seen::json).collect::<Value>()),
        Output::Table => {
            let rows: Vec<_> = letters.iter().map(Seen::row).collect();
            table(&["POSITION", "AT", "TENANT", "CODE", "BYTES", "DONE", "FROM", "WHY"], &rows)
        }
    })?;
    if let Some(after) = more_after {
        let count = letters.len();
        say(format!(
            "these are {count}, and there are more: go on with --after {after}, or give a greater --limit"
        ));
    }
    Ok(())
}

fn show(args: &ShowArgs, context: Context) -> Result<(), Failure> {
    let after = args.position.saturating_sub(1);
    let wanted = Wanted { tenant: None, all: true, after, limit: 1 };
    let found = find_letters(&args.place, context.config.config, &wanted)?;
    let seen = found.letters.into_iter().find(|seen| seen.stored.position == args.position);
    let seen = seen.ok_or_else(|| absent(args.position))?;
    print(&match context.output {
        Output::Json => format!("{:#}\n", seen.json()),
        Output::Table => seen.text(),
    })
}

fn find_letters(
    place: &LogArgs,
    mut config: retailflow_config::Config,
    wanted: &Wanted<'_>,
) -> Result<Found, Failure> {
    match place.open(&mut config)? {
        LogPlace::Data(data) => {
            let store = app::open(&data, &config, Make::Never)?;
            let read = app::runtime()?.block_on(read_letters(store.log.as_ref(), None, wanted));
            store.close();
            read
        }
        LogPlace::Server(client) => at::list(&client, wanted),
        LogPlace::Cluster => app::runtime()?.block_on(async {
            let (connections, _) = cluster_report::log(&config).await?;
            let read = letters::at(&connections, wanted).await;
            connections.close(CLOSE_MAX).await;
            read
        }),
    }
}
