//! Made-up commands: a mixed load that is the same for the same seed.
//!
//! - What is written is what `run` takes: each command has passed the contract's own checks.
//! - The same settings give the same bytes, with every build: figures and failing seeds are written down by them.
//! - Memory does not grow with the number of orders: an order is made again, from its number, for each of its commands.

mod extra;
mod order;
mod payment;
mod reorder;
mod returns;
mod rng;
mod schedule;
mod shares;
mod summary;
#[cfg(test)]
mod tests;

use std::io::Write;

use anyhow::Context as _;
use retailflow_engine::ids::{CommandId, CommandKey, OrderId, OrderRef, Source, TenantId};
use retailflow_engine::wire::command::CancelData;
use retailflow_engine::wire::validate::validate;
use retailflow_engine::wire::{CommandData, CommandEvent};

pub use shares::Shares;
pub use summary::Summary;

use extra::Extra;
use order::Market;
use payment::PaymentFate;
use reorder::Reorder;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use returns::Returns;
use rng::{Rng, Stream};
use schedule::{Form, Planned, Schedule, What};

/// Who makes the commands.
const SOURCE: &str = "/generate";
/// Widest window in which lines change places.
pub const REORDER_MAX: u32 = 1_000;
const DAY_MS: u64 = 86_400_000;

/// What to make.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose orders they are.
    pub tenant: TenantId,
    /// How many.
    pub orders: u64,
    /// Which ones.
    pub seed: u64,
    /// What becomes of them.
    pub shares: Shares,
    /// How many lines a line may move, at most [`REORDER_MAX`].
    pub reorder: u32,
}

/// Writes the commands, each as a line of JSON.
///
/// # Errors
/// Writing fails.
pub fn run(settings: &Settings, mut out: impl Write) -> Result<Summary, Failure> {
    let maker = Maker::new(settings).or_exit(ExitStatus::Refused, || "cannot make up commands")?;
    let mut summary = Summary::default();
    for planned in lines(settings) {
        let (event, too_much) = maker
            .make(planned)
            .or_exit(ExitStatus::Refused, || format!("cannot make a command of order {}", planned.order))?;
        summary.add(planned, too_much, &event);
        let mut json = event.to_json();
        json.push(b'\n');
        out.write_all(&json).map_err(Failure::output)?;
    }
    out.flush().map_err(Failure::output)?;
    summary.end();
    Ok(summary)
}

fn lines(settings: &Settings) -> Reorder<Schedule> {
    let schedule = Schedule::new(settings.seed, settings.orders, settings.shares);
    Reorder::new(schedule, settings.reorder.min(REORDER_MAX) as usize, settings.seed)
}

/// Makes commands from the numbers of their orders.
struct Maker<'a> {
    settings: &'a Settings,
    market: Market,
    source: Source,
}

impl<'a> Maker<'a> {
    fn new(settings: &'a Settings) -> anyhow::Result<Self> {
        Ok(Self { settings, market: Market::new()?, source: Source::parse(SOURCE)? })
    }

    /// The command, and whether it asks for more than there is.
    fn make(&self, planned: Planned) -> anyhow::Result<(CommandEvent, bool)> {
        let (seed, order) = (self.settings.seed, planned.order);
        let name = format!("g{seed}-{order}");
        let order_ref = OrderRef {
            tenant: self.settings.tenant.clone(),
            order: OrderId::parse(&name).context("an order's id")?,
        };
        let mut too_much = false;
        let (data, after_ms) = match planned.what {
            What::Place => {
                let mut place = order::place(&self.market, seed, order)?;
                let shares = self.settings.shares;
                let (fate, rng) =
                    (payment::fate(seed, order, shares), &mut Rng::new(seed, order, Stream::Split));
                payment::apply(fate, &mut place)?;
                if fate == PaymentFate::Taken && rng.chance(shares.split_permille) {
                    extra::split(rng, &mut place)?;
                }
                let rng = &mut Rng::new(seed, order, Stream::Parts);
                if rng.chance(shares.parts_permille) {
                    extra::in_parts(rng, order, &mut place);
                }
                if planned.form == Form::Reused {
                    place.customer.push_str("-other");
                }
                (CommandData::Place(place), 0)
            }
            What::Cancel | What::EarlyCancel => (CommandData::Cancel(cancel(seed, order)), 60_000),
            What::FirstReturn | What::SecondReturn => {
                let Returns { first, second } =
                    returns::of(&order::place(&self.market, seed, order)?, seed, order)?;
                let (data, after_ms) = match planned.what {
                    What::FirstReturn => (first, DAY_MS),
                    // Nothing is left, or the first one asked for too much: the same again, and in vain.
                    _ => (second.unwrap_or((first.0, true)), 2 * DAY_MS),
                };
                too_much = data.1;
                (CommandData::Return(data.0), after_ms)
            }
            What::Report => (CommandData::Report(payment::report(&order_ref)), DAY_MS),
            What::Pay => (extra::pay(&order::place(&self.market, seed, order)?)?, 120_000),
            What::Extra(what) => {
                let place = order::place(&self.market, seed, order)?;
                let rng = &mut Rng::new(seed, order, Stream::Said);
                match what {
                    Extra::Refund => (extra::refund(rng, &place)?, DAY_MS),
                    Extra::Hold => (extra::hold(rng, order, false), 1_000),
                    Extra::Amend => (extra::amend(rng, &place)?, 30_000),
                    Extra::CancelUnits => (extra::cancel_units(&place), 30_000),
                    Extra::Record => (extra::record(rng, order, &place)?, 3 * DAY_MS),
                    Extra::Exchange => (extra::exchange(rng, &place)?, 2 * DAY_MS),
                }
            }
            What::ReleaseHold => {
                (extra::hold(&mut Rng::new(seed, order, Stream::Said), order, true), 1_800_000)
            }
        };
        validate(&data).map_err(|error| anyhow::Error::msg(error.message))?;
        let key = CommandKey { source: self.source.clone(), id: id(&name, planned.what)? };
        let mut event = CommandEvent::new(order_ref, key, data);
        event.time = Some(order::made_at(order).plus_ms(after_ms));
        Ok((event, too_much))
    }
}

fn id(name: &str, what: What) -> anyhow::Result<CommandId> {
    let what = match what {
        What::Place => "place",
        What::Cancel | What::EarlyCancel => "cancel",
        What::FirstReturn => "return-1",
        What::SecondReturn => "return-2",
        What::Report => "report",
        What::Pay => "pay",
        What::Extra(Extra::Refund) => "refund",
        What::Extra(Extra::Hold) => "hold",
        What::Extra(Extra::Amend) => "amend",
        What::Extra(Extra::CancelUnits) => "cancel-units",
        What::Extra(Extra::Record) => "record",
        What::Extra(Extra::Exchange) => "exchange",
        What::ReleaseHold => "release",
    };
    CommandId::parse(&format!("{name}-{what}")).context("a command's id")
}

fn cancel(seed: u64, order: u64) -> CancelData {
    let reasons = ["changed my mind", "ordered twice", "too slow", "found it cheaper"];
    let reason = Rng::new(seed, order, Stream::Cancel).one_of(reasons).to_owned();
    CancelData { reason, lines: Vec::new(), expected_version: None }
}
