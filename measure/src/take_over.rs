//! A partition with many orders, some of them on their way, that comes to another node.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream;
use parking_lot::Mutex;
use retailflow_actors::{Node, NodeHandle, Settings};
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::{
    KeyStanding, Participant, Participants, PortFuture, Settlement, StepAnswer, StepRequest,
};
use retailflow_engine::wire::{Durability, Status, decode_command};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::load::command_json;
use retailflow_server::participants::instant::Instant as AtOnce;
use retailflow_server::serve::cluster::cluster_deps::ClusterDeps;

/// The partition that has all orders.
const HERE: PartitionId = PartitionId(0);
const IN_FLIGHT: usize = 512;
/// For each thing that is waited for.
const AT_MOST: Duration = Duration::from_secs(120);

/// How soon a partition's open orders are driven by its next owner, in milliseconds after that began to take it over.
#[derive(Debug, Clone, Serialize)]
pub struct TakenOver {
    /// Orders of the partition.
    pub orders: u64,
    /// Of these, such as are not at their end.
    pub open: u64,
    /// Until the partition was fenced, in milliseconds.
    pub fence_ms: u64,
    /// Until the first open order's step was asked for, in milliseconds.
    pub first_asked_ms: u64,
    /// Until half of them were, in milliseconds.
    pub half_asked_ms: u64,
    /// Until all were, in milliseconds.
    pub all_asked_ms: u64,
    /// Until all were at their end, in milliseconds.
    pub all_completed_ms: u64,
    /// After the fence the outcome of a new order was there, at the latest.
    pub new_order_ms: u64,
}

/// Notes when it is first asked about each order; answers or not.
struct Carrier {
    answers: bool,
    asked: Mutex<(BTreeSet<OrderRef>, Vec<Instant>)>,
    count: watch::Sender<usize>,
    at_once: Arc<AtOnce>,
}

impl Carrier {
    fn new(answers: bool) -> Arc<Self> {
        let (asked, at_once) = (Mutex::default(), Arc::default());
        Arc::new(Self { answers, asked, count: watch::Sender::new(0), at_once })
    }

    fn participants(self: &Arc<Self>) -> Participants {
        Participants { shipping: self.clone(), ..self.at_once.participants() }
    }

    fn note(&self, order: &OrderRef) {
        let mut asked = self.asked.lock();
        if asked.0.insert(order.clone()) {
            asked.1.push(Instant::now());
            self.count.send_replace(asked.1.len());
        }
    }

    async fn asked(&self, count: u64) -> anyhow::Result<Vec<Instant>> {
        let mut all = self.count.subscribe();
        let reached = all.wait_for(|all| *all as u64 >= count);
        tokio::time::timeout(AT_MOST, reached).await.context("the orders are not driven")??;
        Ok(self.asked.lock().1.clone())
    }

    fn answer<'a, T: Send + 'a>(&self, at_once: PortFuture<'a, T>) -> PortFuture<'a, T> {
        match self.answers {
            true => at_once,
            false => Box::pin(std::future::pending()),
        }
    }
}

impl Participant for Carrier {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        self.note(&request.order);
        self.answer(self.at_once.perform(request))
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        self.note(&request.order);
        self.answer(self.at_once.query(request))
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        self.answer(self.at_once.settle(request))
    }
}

async fn started(deps: &ClusterDeps, participants: Participants) -> anyhow::Result<NodeHandle> {
    let settings = Settings::new(deps.config.clone(), "bench");
    Ok(Node::start(settings, deps.ports(participants, Durability::MEMORY.into())).await?)
}

/// Numbers of orders that belong to the partition.
fn numbers(partitions: u16) -> anyhow::Result<impl Iterator<Item = u64>> {
    let tenant = TenantId::parse("bench")?;
    Ok((0..).filter(move |number: &u64| {
        OrderId::parse(&number.to_string())
            .is_ok_and(|order| partition_of(&OrderRef { tenant: tenant.clone(), order }, partitions) == HERE)
    }))
}

async fn place(node: &NodeHandle, number: u64) -> anyhow::Result<()> {
    loop {
        let command = decode_command(command_json(number, number).as_bytes())?;
        let outcome = node.ask(Command::from_event(command, Actor::Tenant)).await;
        match outcome.retry_after_ms.filter(|_| outcome.code.retry_helps()) {
            Some(wait_ms) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
            None => {
                anyhow::ensure!(outcome.status == Status::Applied, "not placed: {outcome:?}");
                return Ok(());
            }
        }
    }
}

async fn place_all(node: &NodeHandle, numbers: impl Iterator<Item = u64>) -> anyhow::Result<()> {
    let mut placing = stream::iter(numbers).map(|number| place(node, number)).buffer_unordered(IN_FLIGHT);
    while let Some(placed) = placing.next().await {
        placed?;
    }
    Ok(())
}

/// Fills a partition with `orders`, of which `open` wait for shipping; kills the node that runs it, and lets another one, which remembers
/// nothing, take over.
pub async fn measure(
    first: &ClusterDeps,
    next: &ClusterDeps,
    orders: u64,
    open: u64,
) -> anyhow::Result<TakenOver> {
    let mut numbers = numbers(first.config.cluster.partitions)?;
    let done = orders.saturating_sub(open);
    let node = started(first, Arc::<AtOnce>::default().participants()).await?;
    place_all(&node, numbers.by_ref().take(done as usize)).await?;
    tokio::time::timeout(AT_MOST, node.wait_orders_ended(done))
        .await
        .context("orders do not come to their end")?;
    node.stop(AT_MOST).await;

    let waits = Carrier::new(false);
    let node = started(first, waits.participants()).await?;
    place_all(&node, numbers.by_ref().take(open as usize)).await?;
    waits.asked(open).await?;
    node.kill().await;

    let carrier = Carrier::new(true);
    let begun = Instant::now();
    let node = started(next, carrier.participants()).await?;
    let fence_ms = begun.elapsed().as_millis() as u64;
    let new = numbers.next().context("no number")?;
    let (placed, asked) = tokio::join!(
        async {
            place(&node, new).await?;
            anyhow::Ok(begun.elapsed().as_millis() as u64)
        },
        carrier.asked(open)
    );
    let (new_order_ms, asked) = (placed?, asked?);
    let after_ms = |at: usize| asked.get(at).map_or(0, |at| at.duration_since(begun).as_millis() as u64);
    tokio::time::timeout(AT_MOST, node.wait_orders_ended(open))
        .await
        .context("orders do not come to their end")?;
    let taken_over = TakenOver {
        orders,
        open,
        fence_ms,
        first_asked_ms: after_ms(0),
        half_asked_ms: after_ms(open as usize / 2),
        all_asked_ms: after_ms((open as usize).saturating_sub(1)),
        all_completed_ms: begun.elapsed().as_millis() as u64,
        new_order_ms,
    };
    node.stop(AT_MOST).await;
    Ok(taken_over)
}
