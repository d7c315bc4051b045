//! Who may write: epochs, followers, and the same group twice.

use super::super::Subject;
use super::{HOME, Log, picture, read};
use crate::author::{Author, Writer, orders_in};
use retailflow_engine::ports::CommitError;

/// "MUST refuse with `Fenced` a group whose epoch is lower than that of the partition's last fence", even if it
/// follows in all else; the answer names the epoch found. Fenced comes before any conflict.
pub async fn a_lower_epoch_is_fenced<S: Subject<Port = Log>>(subject: &mut S) {
    let mut log = subject.fresh().await;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    let mut writer = Writer::open(&*log, HOME, 5).await;
    writer.append(&*log, vec![author.clone().write(1)], vec![]).await;
    for _ in 0..2 {
        let before = picture(&*log).await;
        for epoch in [0, 4] {
            let lower = Writer { epoch, ..writer.clone() };
            let follows = lower.group(vec![], vec![]);
            assert_eq!(log.commit(follows).await, Err(CommitError::Fenced { epoch: 5 }));
            let in_conflict_too = lower.group(vec![author.clone().write(1)], vec![]);
            assert_eq!(log.commit(in_conflict_too).await, Err(CommitError::Fenced { epoch: 5 }));
        }
        assert_eq!(picture(&*log).await, before, "a fenced group leaves no trace");
        log = subject.reopen(log).await;
    }
    author.write(1);
    writer.append(&*log, vec![author.write(1)], vec![]).await;
}

/// The same line, as it happens: an owner that wakes up after a take-over is refused whatever it sends, its last
/// acknowledged group again and the one it was about to send.
pub async fn a_zombie_is_fenced_whatever_it_sends<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    let mut zombie = Writer::open(&*log, HOME, 1).await;
    let (acknowledged, _) = zombie.append(&*log, vec![author.write(1)], vec![]).await;
    let in_flight = zombie.group(vec![author.clone().write(1)], vec![]);
    let mut owner = Writer::open(&*log, HOME, 2).await;
    owner.append(&*log, vec![], vec![]).await;
    owner.append(&*log, vec![author.write(1)], vec![]).await;
    let log = subject.reopen(log).await;
    let before = picture(&*log).await;
    for group in [acknowledged, in_flight, zombie.group(vec![], vec![])] {
        assert_eq!(log.commit(group).await, Err(CommitError::Fenced { epoch: 2 }));
    }
    assert_eq!(picture(&*log).await, before);
    assert_eq!(read(&*log, &order, 0).await.len(), 2);
}

/// Within its epoch a group must follow the last one: neither an older number with other content, nor the right
/// number after another group. Both are final for their sender, and write nothing.
pub async fn a_group_of_the_same_epoch_must_follow<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let beginning = writer.clone();
    writer.append(&*log, vec![], vec![]).await;
    let after_first = writer.clone();
    writer.append(&*log, vec![], vec![]).await;
    let before = picture(&*log).await;
    for older in [&beginning, &after_first] {
        let group = older.group(vec![Author::new(&order).write(1)], vec![]);
        assert_eq!(log.commit(group).await, Err(CommitError::Fenced { epoch: 1 }));
    }
    let mut other = writer.group(vec![Author::new(&order).write(1)], vec![]);
    other.fence.previous = [0xab; 32];
    let answer = log.commit(other).await;
    let refused = matches!(answer, Err(CommitError::Fenced { .. } | CommitError::LogRegressed(_)));
    assert!(refused, "the right number after another group: {answer:?}");
    assert_eq!(picture(&*log).await, before);
    writer.append(&*log, vec![Author::new(&order).write(1)], vec![]).await;
}

/// "MUST answer `Ok` to a group identical to the partition's last one, and write nothing": the place is the same one,
/// before and after reopening, although its records no longer fit.
pub async fn the_same_group_again_is_ok_and_writes_nothing<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    writer.append(&*log, vec![author.write(1)], vec![]).await;
    let queued = crate::author::control(&super::parked_command(&order, 1));
    let park = crate::author::control(&super::park(&order, "why"));
    let (group, commit) = writer.append(&*log, vec![author.write(2)], vec![park, queued]).await;
    let before = picture(&*log).await;
    for _ in 0..2 {
        assert_eq!(log.commit(group.clone()).await, Ok(commit), "the identical group again");
    }
    assert_eq!(picture(&*log).await, before, "nothing is written twice");
    let log = subject.reopen(log).await;
    assert_eq!(log.commit(group).await, Ok(commit), "the identical group after reopening");
    assert_eq!(picture(&*log).await, before);
    assert_eq!(read(&*log, &order, 0).await.len(), 2);
    writer.append(&*log, vec![author.write(1)], vec![]).await;
}

/// "MUST answer `LogRegressed` when the group follows one that the log does not have": in a partition that has
/// groups and in one that has none.
pub async fn a_group_after_a_missing_one_is_log_regressed<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let before = picture(&*log).await;
    let mut lost = writer.clone();
    lost.acknowledged(&writer.group(vec![], vec![]));
    let answer = log.commit(lost.group(vec![], vec![])).await;
    assert!(matches!(answer, Err(CommitError::LogRegressed(_))), "in an empty partition: {answer:?}");
    assert_eq!(picture(&*log).await, before);

    writer.append(&*log, vec![], vec![]).await;
    let before = picture(&*log).await;
    let mut lost = writer.clone();
    lost.acknowledged(&lost.group(vec![], vec![]));
    let answer = log.commit(lost.group(vec![], vec![])).await;
    assert!(matches!(answer, Err(CommitError::LogRegressed(_))), "after group 1: {answer:?}");
    assert_eq!(picture(&*log).await, before);
    writer.append(&*log, vec![], vec![]).await;
}
