//! Seeded histories with flushes, merges, crashes and restarts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    block::{Rank, rank_time},
    merge::MergedRows,
    *,
};

const ORDERS: u64 = 400;

fn run(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut model = Model::default();
    let mut index = Index::open(folder.path(), options(rng.usize(20..200)), LOG).unwrap().0;
    for _ in 0..250 {
        match rng.u8(..100) {
            0..80 => {
                let frame = draw_frame(&mut rng, model.position() + 1, ORDERS);
                model.push(frame);
                if rng.bool() {
                    index.wait_for_room().unwrap();
                }
                feed(&index, model.frames.last().unwrap(), model.position()).unwrap();
            }
            80..90 => {
                let until = rng.i64(-60..60);
                let limit = rng.usize(..60);
                let after = rng.bool().then(|| (rng.i64(-60..until.max(-59)), key(rng.u64(..ORDERS))));
                assert_eq!(index.deadlines(until, after, limit).unwrap(), model.due(until, after, limit));
                let prefix = [b'a' + rng.u8(..4)];
                let after = rng.bool().then(|| [prefix[0], rng.u8(..4)]);
                let after = after.as_ref().map(|after| &after[..]);
                let of_prefix = model.controls.iter().filter(|(key, _)| key.starts_with(&prefix));
                let later = of_prefix.filter(|(key, _)| after.is_none_or(|after| &key[..] > after));
                let expected: Vec<_> =
                    later.take(2).map(|(key, value)| (key.clone(), value.clone())).collect();
                assert_eq!(index.list_controls(&prefix, after, 2).unwrap(), expected);
            }
            90..94 => index.flush_blocking().unwrap(),
            94..97 => model.check(&index, (0..8).map(|_| rng.u64(..ORDERS + 10))).unwrap(),
            clean => {
                if clean == 99 {
                    index.close().unwrap();
                }
                drop(index);
                let opened = Index::open(folder.path(), options(rng.usize(20..200)), LOG).unwrap();
                index = opened.0;
                let stored = opened.1.position;
                assert_eq!(opened.1, if stored == 0 { Cursor::default() } else { cursor(stored) });
                assert!(clean != 99 || stored == model.position());
                let then = model.at(stored);
                assert_eq!(index.meta(), then.meta);
                for (frame, position) in model.frames.iter().zip(1..).skip(usize::try_from(stored).unwrap()) {
                    feed(&index, frame, position).unwrap();
                }
            }
        }
    }
    model.check(&index, 0..ORDERS + 20).unwrap();
    index.flush_blocking().unwrap();
    model.check(&index, 0..ORDERS + 20).unwrap();
    assert_eq!(stored_dues(&index), model.dues);
    assert!(index.stats().runs < 16, "{:?}", index.stats());
}

/// The deadlines on disk alone, without the second look at each order that would forgive a wrong merge.
fn stored_dues(index: &Index) -> BTreeSet<(i64, OrderKey)> {
    let runs = Arc::clone(&index.shared.state.read().runs);
    let mut rows = MergedRows::new(&runs.dues, Rank::default()).unwrap();
    let mut stored = BTreeSet::new();
    while let Some(row) = rows.next().unwrap() {
        let (time, key) = row.newest.rank;
        if !row.newest.is_dead_due() {
            stored.insert((rank_time(time), key));
        }
    }
    stored
}

#[test]
fn any_history_reads_as_the_model_says() {
    (0..12).for_each(run);
}

#[test]
fn merges_through_all_tiers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(1_000), LOG).unwrap().0;
    let mut model = Model::default();
    for position in 1..=400_u64 {
        let updates = (0..100).map(|n: u64| {
            let order = (position * 73 + n * 131) % 30_000;
            let deadline =
                (!order.is_multiple_of(3)).then(|| (order * 31 % 977 + position % 2).cast_signed());
            OrderUpdate { key: key(order), place: place(position, deadline) }
        });
        model.push(Frame { updates: updates.collect(), ..Frame::default() });
        index.wait_for_room().unwrap();
        feed(&index, model.frames.last().unwrap(), position).unwrap();
    }
    index.flush_blocking().unwrap();
    assert!(index.stats().merges >= 4, "{:?}", index.stats());
    model.check(&index, (0..30_050).step_by(7)).unwrap();
    assert_eq!(stored_dues(&index), model.dues);
    index.close().unwrap();
    let (index, stored) = Index::open(folder.path(), options(1_000), LOG).unwrap();
    assert_eq!(stored, cursor(400));
    model.check(&index, (0..30_050).step_by(5)).unwrap();
}

#[test]
fn readers_see_whole_answers_while_runs_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), options(150), LOG).unwrap().0;
    let orders = 200;
    let applied = AtomicU64::new(1);
    let last = 600;
    let frame = |position: u64| {
        let moved =
            |n| OrderUpdate { key: key(n), place: place(position, Some((position * 7 % 90).cast_signed())) };
        let third = (0..orders).filter(|n| position == 1 || n % 3 == position % 3);
        Frame { updates: third.map(moved).collect(), ..Frame::default() }
    };
    feed(&index, &frame(1), 1).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for position in 2..=last {
                feed(&index, &frame(position), position).unwrap();
                applied.store(position, Ordering::Release);
            }
        });
        let mut rng = fastrand::Rng::with_seed(5);
        while applied.load(Ordering::Acquire) < last {
            // Every order has a deadline at any moment, so a listing names each of them, once; and none as it was
            // three frames before, for that has been superseded.
            let before = applied.load(Ordering::Acquire);
            let due = index.deadlines(i64::MAX, None, usize::MAX).unwrap();
            let listed: BTreeSet<_> = due.iter().map(|(_, key, _)| *key).collect();
            assert_eq!((due.len(), listed.len()), (200, 200));
            assert!(due.iter().all(|(_, _, position)| position + 3 > before || before < 4), "{before}");
            let stands = index.lookup_blocking(&key(rng.u64(..orders))).unwrap().unwrap();
            assert!(stands.position + 3 > before || before < 4);
        }
    });
}
