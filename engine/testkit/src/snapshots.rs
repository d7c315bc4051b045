//! The suite of [`Snapshots`]. It is a cache: what is checked is that it never lies.

use std::sync::Arc;

use super::Subject;
use crate::author::{Author, order};
use retailflow_engine::order::Aggregate;
use retailflow_engine::ports::Snapshots;

/// The port under test.
pub type Port = Arc<dyn Snapshots>;

/// Runs every check.
pub async fn suite<S: Subject<Port = Port>>(subject: &mut S) {
    load_gives_an_earlier_save_or_nothing(subject).await;
    a_snapshot_is_never_another_orders(subject).await;
    a_flood_of_saves_is_survived(subject).await;
}

/// "`load` MUST return the bytes of some earlier `save` of that order, or nothing", before and after reopening.
pub async fn load_gives_an_earlier_save_or_nothing<S: Subject<Port = Port>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    let order = order("shop", "o-1");
    assert_eq!(port.load(&order).await, None, "nothing was saved");
    let mut author = Author::new(&order);
    let mut saved: Vec<Vec<u8>> = Vec::new();
    for round in 0..20 {
        author.write(1);
        saved.push(author.aggregate.to_snapshot([1; 16]).unwrap());
        port.save(&order, saved.last().unwrap().clone());
        if let Some(found) = port.load(&order).await {
            assert!(saved.contains(&found), "round {round}: these bytes were never saved");
            let state = Aggregate::from_snapshot(&order, [1; 16], &found).unwrap();
            assert!(state.revision <= author.aggregate.revision);
        }
        if round % 5 == 4 {
            port = subject.reopen(port).await;
            assert!(port.load(&order).await.is_none_or(|found| saved.contains(&found)), "after reopening");
        }
    }
}

/// The same line: "of that order". Names that differ only in where the tenant ends are different orders.
pub async fn a_snapshot_is_never_another_orders<S: Subject<Port = Port>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    let names = [("ab", "c"), ("a", "bc"), ("abc", "c"), ("ab", "C")];
    for (tenant, name) in names {
        port.save(&order(tenant, name), format!("{tenant}/{name}").into_bytes());
    }
    for _ in 0..2 {
        for (tenant, name) in names {
            if let Some(found) = port.load(&order(tenant, name)).await {
                assert_eq!(String::from_utf8(found).unwrap(), format!("{tenant}/{name}"));
            }
        }
        assert_eq!(port.load(&order("abc", "C")).await, None);
        port = subject.reopen(port).await;
    }
}

/// "`save` MUST NOT block the caller" and may lose: thousands of saves and a very large one are taken or dropped,
/// and the ones that are there are true.
pub async fn a_flood_of_saves_is_survived<S: Subject<Port = Port>>(subject: &mut S) {
    let port = subject.fresh().await;
    for round in 0..20u8 {
        for number in 0..200 {
            port.save(&order("shop", &format!("o-{number}")), vec![round; 64]);
        }
    }
    port.save(&order("shop", "large"), vec![9; 3 << 20]);
    for number in 0..200 {
        if let Some(found) = port.load(&order("shop", &format!("o-{number}"))).await {
            assert!(found.len() == 64 && found.iter().all(|byte| *byte == found[0] && *byte < 20));
        }
    }
    assert!(port.load(&order("shop", "large")).await.is_none_or(|found| found == vec![9; 3 << 20]));
}
