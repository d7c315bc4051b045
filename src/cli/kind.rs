//! How participants are named on the command line.

use clap::ValueEnum;
use retailflow_server::participants::Kind;

/// What the participants are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// They do everything at once, and have stock enough
    Perfect,
    /// They fail, decline, lose answers, answer late, take their time
    Flaky,
    /// Those that `retailflow participants` runs for all nodes of a cluster
    Shared,
    /// They do everything at once and keep no books: for measurements
    #[value(hide = true)]
    Instant,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Perfect => Self::Perfect,
            KindArg::Flaky => Self::Flaky,
            KindArg::Shared => Self::Shared,
            KindArg::Instant => Self::Instant,
        }
    }
}
