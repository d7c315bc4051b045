//! The partitions that a node runs: whether each can be written, is really run, and has what it acknowledged.

use std::time::Duration;

use retailflow_actors::{NodeHandle, PartitionFault};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::wire::Code;

use super::Watch;
use super::parts::{HealthIssue, Part};

/// A log that has owed an answer for so long is told of: a change of leaders takes less.
const LOG_SILENT_MAX: Duration = Duration::from_secs(3);
/// Partitions named in one sentence.
const NAMED_MAX: usize = 16;

/// A partition that is ill, and for how long.
type Ill = (PartitionId, PartitionFault, Duration);

/// Looks at all of them; `take_over` is how long a take-over may take.
pub(in crate::serve) fn partitions(node: &NodeHandle, take_over: Duration) -> Watch {
    let node = node.clone();
    Box::new(move || issues_of(&node.partition_faults(), node.owned_partitions().len(), take_over))
}

/// `named` in words: `partitions 1, 2` or `all 4 partitions`.
pub(in crate::serve) fn named(partitions: &[PartitionId], held: usize) -> String {
    if partitions.len() == held && held > 1 {
        return format!("all {held} partitions");
    }
    let first: Vec<String> = partitions.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = match partitions.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("partition{} {}{more}", if partitions.len() == 1 { "" } else { "s" }, first.join(", "))
}

/// Whether nothing of it is acknowledged now; leaders that change are none.
fn cannot_be_written((_, fault, since): &Ill) -> bool {
    match fault {
        PartitionFault::LogRefuses(Code::StorageFull | Code::OutOfFiles) | PartitionFault::Stopped => true,
        _ => *since > LOG_SILENT_MAX,
    }
}

fn issues_of(ill: &[Ill], held: usize, take_over: Duration) -> Vec<HealthIssue> {
    let of = |is: &dyn Fn(&Ill) -> bool| {
        let found: Vec<&Ill> = ill.iter().filter(|one| is(one)).collect();
        let longest = found.iter().map(|(.., since)| *since).max()?;
        let partitions: Vec<PartitionId> = found.iter().map(|(partition, ..)| *partition).collect();
        Some((named(&partitions, held), longest))
    };
    // None of them can be written, whatever keeps each from it.
    let all_ill = ill.iter().filter(|one| cannot_be_written(one)).count() == held;
    let mut issues = Vec::new();
    if let Some((names, since)) = of(&|(_, fault, _)| *fault == PartitionFault::Stopped) {
        let text = format!("{names}: stopped, because the log lost acknowledged data");
        issues.push(HealthIssue::bars(Part::Regressed, text).since(since));
    }
    let late = |(_, fault, since): &Ill| *fault == PartitionFault::NotTakenOver && *since > take_over;
    if let Some((names, since)) = of(&late) {
        let text = format!(
            "{names}: to be run here and not taken over for {} s, so that nobody decides their commands",
            since.as_secs()
        );
        issues.push(HealthIssue::bars(Part::Ownership, text).since(since));
    }
    // One that cannot be taken over yet cannot be written either: it must not make the others' silence look like a part.
    let silent = |one: &Ill| {
        !matches!(
            one.1,
            PartitionFault::Stopped | PartitionFault::LogRefuses(Code::StorageFull | Code::OutOfFiles)
        ) && cannot_be_written(one)
    };
    let any_silent = ill.iter().any(|one| one.1 != PartitionFault::NotTakenOver && silent(one));
    if let Some((names, since)) = of(&silent).filter(|_| any_silent) {
        let text = format!(
            "{names}: the log has not answered for {} s: nothing of them is acknowledged until it does",
            since.as_secs()
        );
        issues.push(HealthIssue { bars: all_ill, ..HealthIssue::note(Part::Log, text) }.since(since));
    }
    if let Some((names, since)) =
        of(&|(_, fault, _)| matches!(fault, PartitionFault::LogRefuses(code) if *code != Code::Unavailable))
    {
        let files =
            ill.iter().any(|(_, fault, _)| matches!(fault, PartitionFault::LogRefuses(Code::OutOfFiles)));
        let (what, remedy) = match files {
            true => (
                "this process may open no further file, and commands are refused as `out_of_files`",
                "raise the limit of open files (`ulimit -n`), and start it again",
            ),
            false => (
                "there is no room for records, and commands are refused as `storage_full`",
                "make room where the log is (the disk of the data directory, or JetStream's store); it goes on by itself",
            ),
        };
        let issue =
            HealthIssue::note(Part::Room, format!("{names}: {what}")).with_remedy(remedy).since(since);
        issues.push(HealthIssue { bars: all_ill, ..issue });
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKE_OVER: Duration = Duration::from_secs(10);

    fn ill(partition: u16, fault: PartitionFault, seconds: u64) -> Ill {
        (PartitionId(partition), fault, Duration::from_secs(seconds))
    }

    fn bars(ill: &[Ill], held: usize) -> Vec<(Part, bool)> {
        issues_of(ill, held, TAKE_OVER).into_iter().map(|issue| (issue.part, issue.bars)).collect()
    }

    #[test]
    fn one_silent_partition_is_a_note_and_all_of_them_bar_the_node() {
        use PartitionFault::LogSilent;
        assert_eq!(bars(&[ill(0, LogSilent, 2)], 2), [], "leaders change");
        assert_eq!(bars(&[ill(0, LogSilent, 5)], 2), [(Part::Log, false)]);
        assert_eq!(bars(&[ill(0, LogSilent, 5), ill(1, LogSilent, 2)], 2), [(Part::Log, false)]);
        assert_eq!(bars(&[ill(0, LogSilent, 5), ill(1, LogSilent, 4)], 2), [(Part::Log, true)]);
        let arriving = ill(1, PartitionFault::NotTakenOver, 5);
        assert_eq!(bars(&[ill(0, LogSilent, 5), arriving], 2), [(Part::Log, true)]);
    }

    #[test]
    fn what_is_regressed_or_nobodys_bars_the_node_by_itself() {
        assert_eq!(bars(&[ill(3, PartitionFault::Stopped, 0)], 4), [(Part::Regressed, true)]);
        assert_eq!(bars(&[ill(3, PartitionFault::NotTakenOver, 9)], 4), []);
        assert_eq!(bars(&[ill(3, PartitionFault::NotTakenOver, 11)], 4), [(Part::Ownership, true)]);
    }

    #[test]
    fn a_log_without_room_is_named_with_what_to_do() {
        let full = PartitionFault::LogRefuses(Code::StorageFull);
        assert_eq!(bars(&[ill(0, full.clone(), 0)], 2), [(Part::Room, false)]);
        let all = issues_of(&[ill(0, full.clone(), 0), ill(1, full, 0)], 2, TAKE_OVER);
        assert!(all[0].bars && all[0].text.starts_with("all 2 partitions: "), "{all:?}");
        let files = issues_of(&[ill(0, PartitionFault::LogRefuses(Code::OutOfFiles), 0)], 1, TAKE_OVER);
        assert!(files[0].remedy.contains("ulimit -n"), "{files:?}");
    }

    #[test]
    fn partitions_that_cannot_be_written_for_different_reasons_bar_the_node_together() {
        let full = PartitionFault::LogRefuses(Code::StorageFull);
        let mixed = [ill(0, full.clone(), 0), ill(1, PartitionFault::LogSilent, 5)];
        assert_eq!(bars(&mixed, 2), [(Part::Log, true), (Part::Room, true)]);
        assert_eq!(bars(&mixed, 3), [(Part::Log, false), (Part::Room, false)]);
    }

    #[test]
    fn many_partitions_are_summed_up() {
        let many: Vec<PartitionId> = (0..20).map(PartitionId).collect();
        assert_eq!(named(&many[..1], 30), "partition 0");
        assert_eq!(named(&many, 20), "all 20 partitions");
        assert!(named(&many, 30).ends_with(", 15 and 4 more"), "{}", named(&many, 30));
    }
}
