//! Load on an embedded node: commands as JSON, through the ask door, each waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use retailflow_actors::NodeHandle;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::wire::{Status, decode_command};
use tokio::time::Instant;

use super::report::Measured;

/// How often the quiet caller sends.
const QUIET_EVERY: Duration = Duration::from_millis(5);

/// How commands come.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many callers, each sending its next command when it has the outcome of the last.
    Closed {
        /// How many at a time.
        in_flight: u64,
    },
    /// So many a second, whatever becomes of them; latency counts from when a command was due.
    Open {
        /// How many a second.
        per_second: u64,
        /// How many at a time, at most.
        in_flight_max: u64,
    },
}

/// What the commands are for.
#[derive(Clone, Copy, Debug)]
pub enum Orders {
    /// Each for a new order, numbered from here.
    New {
        /// The number of the first.
        from: u64,
    },
    /// All for one order: the first places it, the others are rejected and recorded.
    Hot,
}

/// Sends `commands` and waits for each outcome.
pub async fn drive(
    node: &NodeHandle,
    name: &str,
    pace: Pace,
    orders: Orders,
    commands: u64,
    answered: &Arc<AtomicU64>,
) -> anyhow::Result<Measured> {
    let next = Arc::new(AtomicU64::new(0));
    let (callers, interval) = match pace {
        Pace::Closed { in_flight } => (in_flight, None),
        Pace::Open { per_second, in_flight_max } => (in_flight_max, Some(1e9 / per_second.max(1) as f64)),
    };
    let begun = Instant::now();
    let tasks = (0..callers.min(commands)).map(|_| {
        let (node, next, answered) = (node.clone(), next.clone(), answered.clone());
        let caller = async move {
            let mut latency_us = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= commands {
                    return Ok(latency_us);
                }
                let due = match interval {
                    None => Instant::now(),
                    Some(nanos) => {
                        let due = begun + Duration::from_nanos((number as f64 * nanos) as u64);
                        tokio::time::sleep_until(due).await;
                        due
                    }
                };
                place(&node, orders, number).await?;
                answered.fetch_add(1, Ordering::Relaxed);
                latency_us.saturating_record(due.elapsed().as_micros() as u64);
            }
        };
        tokio::spawn(caller)
    });
    let mut all = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
    for latency_us in try_join_all(tasks).await.context("a caller failed")? {
        let latency_us: Histogram<u64> = latency_us.map_err(|error: anyhow::Error| error)?;
        all.add(latency_us)?;
    }
    Ok(Measured::new(name, commands, begun.elapsed(), &all))
}

/// One caller with a tenant of its own, who sends one place at a time, every few milliseconds, while `load` runs: whatever
/// holds all tenants up for a moment shows in its slowest answer, however many others there are.
pub async fn quiet_caller<T>(
    node: &NodeHandle,
    name: &str,
    from: u64,
    load: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Measured)> {
    let ended = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let (caller, seen) = (node.clone(), ended.clone());
    let quiet = tokio::spawn(async move {
        let mut latency_us = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
        let mut every = tokio::time::interval(QUIET_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !seen.load(Ordering::Relaxed) {
            every.tick().await;
            let (order, sent) = (from + latency_us.len(), Instant::now());
            ask(&caller, &command_json_of("quiet", order, order)).await?;
            latency_us.saturating_record(sent.elapsed().as_micros() as u64);
        }
        anyhow::Ok(latency_us)
    });
    let done = load.await;
    ended.store(true, Ordering::Relaxed);
    let latency_us = quiet.await.context("the quiet caller failed")??;
    Ok((done?, Measured::new(name, latency_us.len(), begun.elapsed(), &latency_us)))
}

/// Places orders one after another, and waits for each to come to its end before the next.
pub async fn one_by_one(node: &NodeHandle, name: &str, from: u64, orders: u64) -> anyhow::Result<Measured> {
    let mut latency_us = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
    let ended_before = node.effect_counts().orders;
    let begun = Instant::now();
    for number in 0..orders {
        let placed = Instant::now();
        place(node, Orders::New { from }, number).await?;
        node.wait_orders_ended(ended_before + number + 1).await;
        latency_us.saturating_record(placed.elapsed().as_micros() as u64);
    }
    Ok(Measured::new(name, orders, begun.elapsed(), &latency_us))
}

/// Whole lives: `orders` placed by so many callers while earlier ones are on their way, until all are through. Latency is
/// that of the outcome of placing.
pub async fn whole_lives(
    node: &NodeHandle,
    name: &str,
    callers: u64,
    from: u64,
    orders: u64,
) -> anyhow::Result<LifecycleRun> {
    let ended_before = node.effect_counts().orders;
    let begun = Instant::now();
    let answered = Arc::new(AtomicU64::new(0));
    let watched = async {
        let mut most_open = 0;
        let mut most_open_first_half = 0;
        let mut placed_at_half = None;
        loop {
            // In this order, so that an order that ends between the two counts as open rather than as less than none.
            let ended = node.effect_counts().orders - ended_before;
            let open = answered.load(Ordering::Relaxed).saturating_sub(ended);
            most_open = most_open.max(open);
            if placed_at_half.is_none() {
                most_open_first_half = most_open;
            }
            if placed_at_half.is_none() && ended >= orders / 2 {
                placed_at_half = Some(begun.elapsed());
            }
            if ended >= orders {
                let half = placed_at_half.unwrap_or_else(|| begun.elapsed());
                return (most_open_first_half, most_open, half);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let pace = Pace::Closed { in_flight: callers };
    let placing = drive(node, name, pace, Orders::New { from }, orders, &answered);
    let (placed, (most_open_first_half, most_open, half)) = tokio::join!(placing, watched);
    let took = begun.elapsed();
    let mut measured = placed?;
    measured.seconds = took.as_secs_f64();
    measured.per_second = orders as f64 / took.as_secs_f64();
    let second_half = (took - half).as_secs_f64().max(1e-9);
    Ok(LifecycleRun {
        measured,
        most_open_first_half,
        most_open,
        second_half_per_second: (orders as f64 / 2.0) / second_half,
    })
}

/// What a run of whole lives came to.
pub struct LifecycleRun {
    /// The figures.
    pub measured: Measured,
    /// Orders placed and not at their end, at most, until half of them had ended: sampled every 20 ms.
    pub most_open_first_half: u64,
    /// The same over the whole run: a backlog that grows shows here.
    pub most_open: u64,
    /// The pace of the second half alone: falls behind the whole when a backlog grows.
    pub second_half_per_second: f64,
}

async fn place(node: &NodeHandle, orders: Orders, number: u64) -> anyhow::Result<()> {
    let order = match orders {
        Orders::New { from } => from + number,
        Orders::Hot => 0,
    };
    ask(node, &command_json(order, number)).await
}

async fn ask(node: &NodeHandle, json: &str) -> anyhow::Result<()> {
    let outcome = loop {
        let command = Command::from_event(decode_command(json.as_bytes())?, Actor::Tenant);
        let outcome = node.ask(command).await;
        match outcome.retry_after_ms {
            Some(wait_ms) if outcome.code.retry_helps() => {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
            _ => break outcome,
        }
    };
    anyhow::ensure!(
        matches!(outcome.status, Status::Applied | Status::Rejected) && !outcome.replayed,
        "a command was not decided: {outcome:?}"
    );
    Ok(())
}

/// A place of an order, as JSON.
pub fn command_json(order: u64, number: u64) -> String {
    command_json_of("bench", order, number)
}

fn command_json_of(tenant: &str, order: u64, number: u64) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"place-{number}","source":"/bench","type":"retailflow.order.place.v1","tenant":"{tenant}","subject":"{order}","data":{{"customer":"{:05}","currency":"USD","lines":[{{"line_id":"1","sku":"cd","quantity":{},"amount_minor":{}}}]}}}}"#,
        order % 23_570,
        1 + order % 5,
        100 + order % 5_000
    )
}
