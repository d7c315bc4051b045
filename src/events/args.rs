//! What `events` is asked for.

use std::path::PathBuf;

use retailflow_engine::ids::TenantId;

use crate::cli::place::PlaceArgs;
use crate::events::cursor::Token;

const EXAMPLES: &str = "\
Examples:
  retailflow events --data data
  retailflow events --data data --follow --tenant shop
  retailflow events --data data --follow --cursor reader.cursor | my-reader
  retailflow events --server http://127.0.0.1:8080 --tenant shop --follow
  retailflow events --data data --positions | tail -1     # its \"position\" is for --after

Each line is a CloudEvent. An event has the same id each time that it is given: readers that remember ids take it in
once. A process that runs the log may go on meanwhile; what is given is on disk.

With a token the log is still read from its beginning, for what an event says follows from all of its order's records;
only what comes after the token is given. The latest 10,000 orders are kept in memory; each other one takes 60 bytes
of it and about 1 KiB of a nameless file in TMPDIR.

A server tells one tenant's events, with tokens that it alone can read. Without --follow they end when it has sent nothing for two seconds.

Exit codes: 1 the token's place is no longer in the log, 2 no token, 3 no log or server there, 4 the token of another
log.";

/// The arguments of `events`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Wait for more at the end, until SIGINT or SIGTERM
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only the events of this tenant
    #[arg(long, value_name = "TENANT", value_parser = TenantId::parse)]
    pub(crate) tenant: Option<TenantId>,
    /// Only what comes after this token, which is a "position" of `--positions`
    #[arg(long, value_name = "TOKEN", value_parser = Token::parse, allow_hyphen_values = true)]
    pub(crate) after: Option<Token>,
    /// A file that keeps the token: read at the start if it is there, written when events have been given
    #[arg(long, value_name = "FILE", conflicts_with = "after")]
    pub(crate) cursor: Option<PathBuf>,
    /// Give each event with its token, as {"position": "...", "event": {...}}
    #[arg(long)]
    pub(crate) positions: bool,
}
