//! What the log of a crowd must show: what was acknowledged, who wrote, and what refusals cost.

use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ids::CommandKey;
use retailflow_engine::wire::{Code, decode_command};

use super::callers::REFUSALS;
use super::cast::{FIRST, HEIR};
use super::judge::{Felt, Judged, Verdict};
use super::plan::Sickness;

/// Fences without a record that refusals of published commands may cost: one answers all that wait for one.
const REFUSALS_FENCES_MAX: usize = REFUSALS as usize / 4;

/// The command that a control record parks.
pub(super) fn parked_key(bytes: &[u8]) -> Option<CommandKey> {
    match Control::decode(bytes) {
        Ok(Control::ParkedCommand { body, .. }) => decode_command(&body).ok().map(|event| event.key),
        _ => None,
    }
}

/// Judges the log.
pub(super) fn judge(judged: &Judged<'_>, verdict: &mut Verdict) {
    for asked in judged.asked.iter().filter(|asked| asked.code == Some(Code::Parked)) {
        if !judged.queued.contains(&asked.key) {
            let text = format!("{} {} was acknowledged as parked, and waits nowhere", asked.order, asked.key);
            verdict.found(Felt::Lost, text);
        }
    }
    match judged.plan.sickness {
        Sickness::Replaced(partition) => {
            let mut has_heir = false;
            for group in judged.groups {
                let Ok(fence) = Fence::decode(&group.fence) else { continue };
                if fence.partition != partition {
                    continue;
                }
                has_heir |= fence.node == HEIR;
                if has_heir && fence.node == FIRST {
                    let text = format!("in epoch {} {FIRST} writes partition {partition} again", fence.epoch);
                    return verdict.found(Felt::Ousted, text);
                }
            }
            if !has_heir {
                verdict.found(Felt::Lost, format!("{HEIR} never wrote partition {partition}"));
            }
        }
        Sickness::Refusals(_) => {
            let fences = judged.groups.iter().filter(|group| group.entries.is_empty()).count();
            if fences > REFUSALS_FENCES_MAX {
                verdict.found(Felt::Cost, format!("{fences} fences for {REFUSALS} refusals"));
            }
        }
        _ => {}
    }
}
