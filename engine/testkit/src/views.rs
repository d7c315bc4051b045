//! The suite of [`Views`] over a log.

use std::sync::Arc;

use super::Subject;
use super::random_orders::{OrderAction, RandomOrders, TENANTS, read_log};
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::ports::{EventLog, OrderCounts, OrderQuery, ViewError, Views};
use retailflow_engine::wire::order::{Attention, OrderStatus};
use retailflow_engine::wire::order_list::OrderSummary;

/// A log and the lists that are made of it.
pub struct LogWithViews {
    /// Where commits go.
    pub log: Arc<dyn EventLog>,
    /// What shows them.
    pub views: Arc<dyn Views>,
}

/// Runs every check.
pub async fn suite<S: Subject<Port = LogWithViews>>(subject: &mut S) {
    an_empty_log_has_empty_lists(subject).await;
    what_was_acknowledged_is_listed_once_reached(subject).await;
    an_order_moves_between_the_lists(subject).await;
    pages_and_counts_are_what_the_log_says(subject).await;
    paging_shows_once_what_stood_so_all_along(subject).await;
    a_foreign_token_is_told(subject).await;
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// All orders of a tenant.
#[must_use]
pub fn all_of(name: &str) -> OrderQuery {
    OrderQuery { tenant: tenant(name), status: None, attention: None, after: None, limit: 1_000 }
}

/// Waits until all that was acknowledged is in the lists.
pub async fn caught_up(views: &dyn Views) {
    views.reached(&views.written()).await.unwrap();
}

/// All pages of a question.
pub async fn pages(views: &dyn Views, query: &OrderQuery) -> Vec<OrderSummary> {
    let mut query = query.clone();
    let mut orders = Vec::new();
    loop {
        let page = views.list(query.clone()).await.unwrap();
        assert!(page.orders.len() <= query.limit, "no more than were asked for");
        assert!(
            page.next.is_none() || page.orders.len() == query.limit,
            "a page with more behind it is full"
        );
        orders.extend(page.orders);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return orders,
        }
    }
}

/// Compares all lists and counts with what the log says.
pub async fn assert_agrees(port: &LogWithViews, limits: &[usize]) {
    caught_up(&*port.views).await;
    let expected = read_log(&*port.log).await.orders;
    let mut all = OrderCounts::default();
    for name in TENANTS.iter().chain(&["nobody"]) {
        let mut counts = OrderCounts::default();
        let own: Vec<&OrderSummary> =
            expected.iter().filter(|order| order.head.tenant.as_str() == *name).collect();
        for order in &own {
            for counts in [&mut counts, &mut all] {
                counts.by_status[order.head.status as usize] += 1;
                counts.by_attention[order.head.attention as usize] += 1;
            }
        }
        assert_eq!(port.views.counts(Some(&tenant(name))).unwrap(), counts, "of {name}");
        let statuses = OrderStatus::ALL.iter().copied().map(Some).chain([None]);
        for status in statuses {
            for attention in Attention::ALL.iter().copied().map(Some).chain([None]) {
                let asked = |order: &&&OrderSummary| {
                    status.is_none_or(|status| status == order.head.status)
                        && attention.is_none_or(|attention| attention == order.head.attention)
                };
                let asked: Vec<OrderSummary> =
                    own.iter().filter(asked).map(|order| (*order).clone()).collect();
                for limit in limits {
                    let query = OrderQuery { status, attention, limit: *limit, ..all_of(name) };
                    assert_eq!(pages(&*port.views, &query).await, asked, "{query:?}");
                }
            }
        }
    }
    assert_eq!(port.views.counts(None).unwrap(), all, "of all tenants");
}

/// The beginning: nothing is there, and everything is reached.
pub async fn an_empty_log_has_empty_lists<S: Subject<Port = LogWithViews>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    for _ in 0..2 {
        let position = port.views.position();
        port.views.reached(&position).await.unwrap();
        assert_agrees(&port, &[1, 10]).await;
        port = subject.reopen(port).await;
    }
}

/// "[`Views::reached`] MUST come to its end once all that was acknowledged before [`Views::written`] was called is in
/// the lists": after it, what was answered is seen; a page's own position is reached at once.
pub async fn what_was_acknowledged_is_listed_once_reached<S: Subject<Port = LogWithViews>>(subject: &mut S) {
    let port = subject.fresh().await;
    let mut random = RandomOrders::begin(&*port.log, 1).await;
    for (number, order) in random.names(30).iter().enumerate() {
        random.append(&*port.log, &[(order, OrderAction::Place)]).await;
        caught_up(&*port.views).await;
        let page = port.views.list(all_of(order.tenant.as_str())).await.unwrap();
        assert_eq!(page.orders.last().map(|order| &order.head.order), Some(&order.order));
        port.views.reached(&page.position).await.unwrap();
        assert_eq!(port.views.counts(None).unwrap().by_status[0], number as u64 + 1);
    }
}

/// Placed, held, done, taken back, parked, released, canceled: each time it is in the lists where it belongs, and in no
/// other, at once and after reopening.
pub async fn an_order_moves_between_the_lists<S: Subject<Port = LogWithViews>>(subject: &mut S) {
    use OrderAction::*;
    let ways: [&[OrderAction]; 4] = [
        &[
            Place, Place, Done, Done, Park, Park, Release, Done, Done, Return, Done, Done, Return, Park,
            Release,
        ],
        &[Place, Done, Unknown, Deadline, Done, Cancel, Done, Done, Done, Cancel, Return],
        &[Place, Refused, Done, Done, Done, Place, Deadline, Deadline, Deadline, Deadline],
        &[
            Park, Release, Park, Cancel, Release, Place, Park, Release, Done, Done, Done, Done, Park,
            Release, Park,
        ],
    ];
    let mut port = subject.fresh().await;
    let mut random = RandomOrders::begin(&*port.log, 2).await;
    let orders = random.names(ways.len());
    for step in 0..ways.iter().map(|way| way.len()).max().unwrap() {
        let actions: Vec<(&OrderRef, OrderAction)> = orders
            .iter()
            .zip(ways)
            .filter_map(|(order, way)| way.get(step).map(|action| (order, *action)))
            .collect();
        random.append(&*port.log, &actions).await;
        assert_agrees(&port, &[100]).await;
        if step % 4 == 3 {
            port = subject.reopen(port).await;
            assert_agrees(&port, &[100]).await;
        }
    }
}

/// "Counts MUST agree with the lists", and both with the log, whatever happens to the orders; tenants do not meet.
pub async fn pages_and_counts_are_what_the_log_says<S: Subject<Port = LogWithViews>>(subject: &mut S) {
    for seed in 0..4 {
        let mut port = subject.fresh().await;
        let mut random = RandomOrders::begin(&*port.log, 100 + seed).await;
        let orders = random.names(40);
        for _ in 0..5 {
            random.append_random(&*port.log, &orders, 25).await;
            assert_agrees(&port, &[1, 7, 1_000]).await;
            port = subject.reopen(port).await;
            assert_agrees(&port, &[3]).await;
        }
    }
}

/// "Paging with `next` MUST show every order that stood so all along, and none twice", while others come and go.
pub async fn paging_shows_once_what_stood_so_all_along<S: Subject<Port = LogWithViews>>(subject: &mut S) {
    let port = subject.fresh().await;
    let mut random = RandomOrders::begin(&*port.log, 3).await;
    let orders = random.names(120);
    let (early, late) = orders.split_at(80);
    random
        .append(&*port.log, &early.iter().map(|order| (order, OrderAction::Place)).collect::<Vec<_>>())
        .await;
    caught_up(&*port.views).await;
    // Every third order is done for while the list of open ones is read; others are placed.
    let stays = |number: usize| !number.is_multiple_of(3);
    let mut shown: Vec<OrderSummary> = Vec::new();
    let mut query = OrderQuery { status: Some(OrderStatus::Open), limit: 4, ..all_of(TENANTS[0]) };
    for step in 0.. {
        let page = port.views.list(query.clone()).await.unwrap();
        shown.extend(page.orders);
        let Some(next) = page.next else { break };
        query.after = Some(next);
        let goes =
            early.iter().enumerate().filter(|(number, _)| !stays(*number) && number / 3 % 8 == step % 8);
        let mut actions: Vec<(&OrderRef, OrderAction)> =
            goes.map(|(_, order)| (order, OrderAction::Done)).collect();
        actions.extend(late.get(step).map(|order| (order, OrderAction::Place)));
        random.append(&*port.log, &actions).await;
        if step % 2 == 0 {
            caught_up(&*port.views).await;
        }
    }
    let ids: std::collections::BTreeSet<_> = shown.iter().map(|order| &order.head.order).collect();
    assert_eq!(ids.len(), shown.len(), "none twice");
    let own =
        early.iter().enumerate().filter(|(number, order)| stays(*number) && order.tenant == query.tenant);
    for (number, order) in own {
        assert!(ids.contains(&order.order), "order {number} stood so all along");
    }
}

/// "The caller's position or place is not one of ours, or of another log" is told, and nothing waits for it.
pub async fn a_foreign_token_is_told<S: Subject<Port = LogWithViews>>(subject: &mut S) {
    let port = subject.fresh().await;
    let mut random = RandomOrders::begin(&*port.log, 4).await;
    random.append(&*port.log, &[(&random.names(1)[0].clone(), OrderAction::Place)]).await;
    caught_up(&*port.views).await;
    let foreign = Cursor { log_id: [0xee; 16], position: 1, index: 0 }.to_token().unwrap();
    for token in ["", "x", &foreign] {
        let reached = port.views.reached(token).await;
        assert!(matches!(reached, Err(ViewError::BadToken(_))), "{token:?}: {reached:?}");
        let query = OrderQuery { after: Some(token.into()), ..all_of(TENANTS[0]) };
        let page = port.views.list(query).await;
        assert!(matches!(page, Err(ViewError::BadToken(_))), "{token:?}: {page:?}");
    }
}
