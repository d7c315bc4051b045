//! The [`Views`] port.

use std::sync::Arc;

use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::invariant::Ledger;
use retailflow_engine::ports::{
    LogPosition, OrderCounts, OrderPage, OrderQuery, PortFuture, ViewError, Views,
};
use retailflow_engine::wire::order_list::OrderSummary;

use super::Projection;
use super::buckets::InLists;
use super::lists::summary;
use super::shared::{Shared, ViewsPhase, ViewsProgress};

/// Orders on a page, at most: what is asked for beyond comes on the next one.
const PAGE_MAX: usize = 1_000;

fn bad_token(why: String) -> ViewError {
    ViewError::BadToken(why)
}

impl Shared {
    fn usable(&self) -> Result<(), ViewError> {
        if self.progress.borrow().phase == ViewsPhase::Following {
            return Ok(());
        }
        self.views_progress().why_not.map_or(Ok(()), Err)
    }

    /// Blocks.
    fn page(&self, query: &OrderQuery) -> Result<OrderPage, ViewError> {
        let after = query.after.as_deref().map(|token| self.place(token)).transpose().map_err(bad_token)?;
        let after = after.map_or(0, |cursor| cursor.position);
        let limit = query.limit.clamp(1, PAGE_MAX);
        self.usable()?;
        // Both are held until all is read: so the page is of one position.
        let shelf = self.shelf.read();
        let lists = self.lists.read();
        let Some(shelf) = shelf.as_ref() else {
            return Err(ViewError::Unavailable("the lists are not open".into()));
        };
        let mut page = lists.page(query, after, limit + 1);
        let asked = InLists::asked(query.status, query.attention);
        let mut taken = 0;
        let read = shelf.rows(&query.tenant, asked, after, |(place, order, tracked)| {
            if !lists.hides(&order)
                && let Some(summary) = summary(&order, &tracked)
            {
                page.push((place, summary));
                taken += 1;
            }
            taken <= limit
        });
        read.map_err(|error| ViewError::Unavailable(error.to_string()))?;
        let position = self.token(lists.position);
        drop(lists);
        page.sort_unstable_by_key(|(place, _)| *place);
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|(place, _)| self.token(*place));
        let orders: Vec<OrderSummary> = page.into_iter().map(|(_, summary)| summary).collect();
        Ok(OrderPage { orders, next, position })
    }
}

impl Projection {
    /// How far the lists are.
    #[must_use]
    pub fn progress(&self) -> ViewsProgress {
        self.shared.views_progress()
    }

    /// One order as the lists show it; `None` when it is not in memory, or not placed.
    #[must_use]
    pub fn summary_of(&self, order: &OrderRef) -> Option<OrderSummary> {
        self.shared.lists.read().get(order).and_then(|tracked| summary(order, tracked))
    }

    /// The books at a cut: the last group that is in them, and the commands recorded and parked up to it, by tenant.
    ///
    /// # Errors
    /// [`ViewError::Unavailable`].
    pub fn ledger(&self) -> Result<(LogPosition, Ledger), ViewError> {
        self.shared.usable()?;
        let lists = self.shared.lists.read();
        Ok((LogPosition(lists.position), lists.ledger()))
    }
}

impl Views for Projection {
    fn list(&self, query: OrderQuery) -> PortFuture<'_, Result<OrderPage, ViewError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let Ok(permit) = Arc::clone(&shared.pages).acquire_owned().await else {
                return Err(ViewError::Unavailable("it is closed".into()));
            };
            let read = move || {
                // Held until it is done, also when nobody waits for the page any more: the disk is still at it.
                let _permit = permit;
                shared.page(&query)
            };
            let page = tokio::task::spawn_blocking(read).await;
            // A panic of sled over damage, or a runtime that is going down.
            page.unwrap_or_else(|error| Err(ViewError::Unavailable(error.to_string())))
        })
    }

    fn counts(&self, tenant: Option<&TenantId>) -> Result<OrderCounts, ViewError> {
        self.shared.usable()?;
        Ok(self.shared.lists.read().counts(tenant))
    }

    fn position(&self) -> String {
        self.shared.token(self.shared.progress.borrow().position)
    }

    fn written(&self) -> String {
        self.shared.token(self.shared.log.tail().last())
    }

    fn reached<'a>(&'a self, position: &'a str) -> PortFuture<'a, Result<(), ViewError>> {
        Box::pin(async move {
            let wanted = self.shared.place(position).map_err(bad_token)?.position;
            if wanted > self.shared.log.tail().last() {
                return Err(bad_token("the log does not go so far".into()));
            }
            let mut progress = self.shared.progress.subscribe();
            let there = progress.wait_for(|now| now.position >= wanted || now.trouble().is_some()).await;
            let trouble = there.map_or_else(|_| Some("it is closed".into()), |now| now.trouble());
            trouble.map_or(Ok(()), |why| Err(ViewError::Unavailable(why)))
        })
    }
}
