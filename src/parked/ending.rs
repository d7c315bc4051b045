//! How the parking of an order is to end, and what is said of it.

use retailflow_actors::ReleaseCounts;
use retailflow_engine::ids::OrderRef;
use retailflow_server::exit::Failure;
use serde_json::json;

use crate::cli::Output;
use crate::cli::place::AdminPlaceArgs;
use crate::order::name::NameArgs;

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

pub(crate) fn operator(name: &str) -> Result<String, String> {
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
    pub(crate) const fn plan(self) -> &'static str {
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

/// What says that it is not done without `--yes`.
pub(crate) fn not_meant(order: &OrderRef, count: u64, way: Way) -> Failure {
    let plan = way.plan();
    Failure::refused(format!(
        "{count} commands that wait behind {order} would be {plan}: repeat with --yes to do it, or with --dry-run to \
         see what would be done"
    ))
}

/// What was done, for people or programs.
pub(crate) fn render_release(order: &OrderRef, released: &ReleaseCounts, way: Way, output: Output) -> String {
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
