//! The other side of the ledger: the commands as they came, against what the log says of them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use retailflow_disk::inbox::FileInbox;
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::CommandInbox;
use retailflow_engine::wire::limits::BODY_MAX_BYTES;
use retailflow_engine::wire::{CommandType, decode_command};
use retailflow_invariants::LogChecker;
use serde::Serialize;

use crate::run::verb::identity;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Missing commands that are named.
const NAMED_MAX: usize = 20;

/// What a file of commands and a log say of each other.
#[derive(Default, Serialize)]
pub(crate) struct Books {
    /// Readable place commands at or below the intake floor of their partition.
    pub(crate) placed: u64,
    /// Those of them that are neither recorded nor waiting behind a park mark.
    pub(crate) missing: u64,
    /// The first of these.
    pub(crate) named: Vec<String>,
}

impl Books {
    /// Reads the commands again, and adds those of orders that the checker's pass covers. Only places count: another command may have been refused to its sender, and leaves no
    /// trace then. A place of a tenant that has no orders may have been, too.
    pub(crate) fn add(&mut self, commands: &Path, checker: &LogChecker) -> Result<(), Failure> {
        let what = || format!("cannot read {}", commands.display());
        let mut lines = BufReader::new(File::open(commands).or_exit(ExitStatus::Usage, what)?);
        let inbox = FileInbox::new(&identity(commands), std::io::empty(), 1).id();
        let ledger = checker.result().ledger;
        let mut text = Vec::new();
        for position in 1.. {
            text.clear();
            let limit = BODY_MAX_BYTES as u64 + 2;
            if (&mut lines).take(limit).read_until(b'\n', &mut text).or_exit(ExitStatus::Unreachable, what)?
                == 0
            {
                break;
            }
            if !text.ends_with(b"\n") {
                // Too long for a command, or the last one: the rest of it is no command of its own.
                lines.skip_until(b'\n').or_exit(ExitStatus::Unreachable, what)?;
            }
            let Ok(event) = decode_command(text.trim_ascii_end()) else { continue };
            let partition = partition_of(&event.order, checker.partitions());
            let floors = checker.floors(partition).iter();
            let floor = floors.filter(|floor| floor.inbox == inbox).map(|floor| floor.position).max();
            let counted = checker.covers(&event.order)
                && event.kind() == CommandType::Place
                && ledger.contains_key(&event.order.tenant);
            if !counted || floor.is_none_or(|floor| position > floor) {
                continue;
            }
            self.placed += 1;
            if !checker.knows(&event.order, &event.key) {
                self.missing += 1;
                if self.named.len() < NAMED_MAX {
                    self.named.push(format!("line {position}: order {}, command {}", event.order, event.key));
                }
            }
        }
        Ok(())
    }
}
