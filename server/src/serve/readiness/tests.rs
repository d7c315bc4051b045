use std::time::Duration;

use super::parts::silence;
use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_disk_is_told_of_only_while_it_is_silent_for_long() {
    assert_eq!(silence(None), None);
    assert_eq!(silence(Some(ms(2_000))), None);
    let told = silence(Some(ms(2_345))).unwrap();
    assert_eq!((told.text.as_str(), told.bars), ("the log's disk has not answered for 2345 ms", true));
}

#[test]
fn what_bars_is_a_reason_and_the_rest_a_note() {
    let (_never, failed) = watch::channel(None);
    let ill: Watch = Box::new(|| {
        vec![
            HealthIssue::bars(Part::Session, "no session"),
            HealthIssue::note(Part::Participants, "payments are away"),
        ]
    });
    let state = State::new(failed, vec![ill]);
    state.set(Phase::Serving);
    assert_eq!(
        (state.not_ready(), state.notes()),
        (vec!["no session".into()], vec!["payments are away".into()])
    );
    state.show();
    assert_eq!(state.seen.lock().keys().copied().collect::<Vec<_>>(), [Part::Session, Part::Participants]);
}
