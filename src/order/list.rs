//! `retailflow order list` and `search`: many orders of a tenant, as the lists have them.

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::money::Currency;
use retailflow_engine::wire::command::Step;
use retailflow_engine::wire::order::Attention;
use retailflow_engine::wire::order_list::OrderSummary;
use retailflow_engine::wire::time::{format_time, parse_time};
use serde_json::json;

use crate::cli::place::PlaceArgs;
use crate::cli::{Context, Output, print};
use crate::client::say;
use crate::order::lists::{FilterArgs, Lists};
use crate::order::operate::step;
use retailflow_server::exit::Failure;
use retailflow_server::words::{count, number, one_line};

/// Orders on a page that is only read to be searched: as many as a server gives.
const PAGE_MAX: usize = 1_000;

/// The arguments of `order list`.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    /// Only what comes after this place: the `next` of the page before, of the same question
    #[arg(long, value_name = "TOKEN")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// The arguments of `order search`.
#[derive(clap::Args, Debug)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only orders whose id begins so
    #[arg(long, value_name = "PREFIX")]
    pub(crate) order: Option<String>,
    /// Only orders that are at this step
    #[arg(long, value_name = "STEP", value_parser = step)]
    pub(crate) step: Option<Step>,
    /// Only orders that ask for attention, for a reason that has this in it; upper and lower case are the same
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Only orders in this currency
    #[arg(long, value_name = "CODE", value_parser = Currency::parse)]
    pub(crate) currency: Option<Currency>,
    /// Only orders that cost at least so much, in minor units
    #[arg(long, value_name = "MINOR", allow_negative_numbers = true)]
    pub(crate) total_min: Option<i64>,
    /// Only orders that cost at most so much, in minor units
    #[arg(long, value_name = "MINOR", allow_negative_numbers = true)]
    pub(crate) total_max: Option<i64>,
    /// Only orders that were recorded at this time or later, such as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) created_from: Option<TimestampMs>,
    /// Only orders that were recorded before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) created_before: Option<TimestampMs>,
    /// Only orders that changed last at this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) updated_from: Option<TimestampMs>,
    /// Only orders that changed last before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) updated_before: Option<TimestampMs>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) limit: u16,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

fn time(text: &str) -> Result<TimestampMs, String> {
    parse_time(text).map_err(|why| why.to_string())
}

/// Runs `order list`.
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let lists = Lists::open(args.place.open()?, &context.config.config)?;
    let (page, text) = lists.page(args.filter.query(args.after.clone(), args.limit.into()))?;
    if context.output == Output::Json {
        return print(&format!("{text}\n"));
    }
    print(&page.orders.iter().map(line).collect::<String>())?;
    if let Some(next) = page.next {
        say(format!("there are more: --after {next}"));
    }
    Ok(())
}

/// Runs `order search`: reads the lists from their beginning until enough is found.
pub(crate) fn search(args: &SearchArgs, context: &Context) -> Result<(), Failure> {
    let lists = Lists::open(args.place.open()?, &context.config.config)?;
    let limit = usize::from(args.limit);
    let (mut found, mut looked_at, mut after, mut more) = (Vec::new(), 0_u64, None, false);
    loop {
        let (page, _) = lists.page(args.filter.query(after.take(), PAGE_MAX))?;
        for order in page.orders {
            looked_at += 1;
            if args.wants(&order) {
                more = found.len() == limit;
                if more {
                    break;
                }
                found.push(order);
            }
        }
        match page.next.filter(|_| !more) {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if context.output == Output::Json {
        print(&format!("{:#}\n", json!({ "orders": found, "looked_at": looked_at, "more": more })))?;
    } else {
        print(&found.iter().map(line).collect::<String>())?;
    }
    if more {
        say(format!("there are more: narrow the search, or give a --limit above {}", number(limit)));
    }
    if found.is_empty() {
        let looked_at = count(looked_at, "order");
        let text = format!("none of {looked_at} of {} is like that", args.filter.tenant);
        return Err(Failure::finding(text));
    }
    Ok(())
}

impl SearchArgs {
    fn wants(&self, order: &OrderSummary) -> bool {
        let OrderSummary { head, currency, total_minor, created_at, updated_at } = order;
        let within = |at: &TimestampMs, from: &Option<TimestampMs>, before: &Option<TimestampMs>| {
            from.is_none_or(|from| *at >= from) && before.is_none_or(|before| *at < before)
        };
        let says = |text: &String| {
            let reason = head.attention_reason.as_deref().unwrap_or_default();
            head.attention != Attention::None && reason.to_lowercase().contains(&text.to_lowercase())
        };
        self.order.as_ref().is_none_or(|prefix| head.order.as_str().starts_with(prefix))
            && self.step.is_none_or(|step| head.step == Some(step))
            && self.reason.as_ref().is_none_or(says)
            && self.currency.is_none_or(|wanted| *currency == wanted)
            && self.total_min.is_none_or(|min| total_minor.minor() >= min)
            && self.total_max.is_none_or(|max| total_minor.minor() <= max)
            && within(created_at, &self.created_from, &self.created_before)
            && within(updated_at, &self.updated_from, &self.updated_before)
    }
}

/// One order in a list.
fn line(order: &OrderSummary) -> String {
    let head = &order.head;
    let step = head.step.map_or("-", Step::as_str);
    let total = format!("{} {}", order.total_minor.to_major(order.currency), order.currency.code());
    let attention = match (head.attention, &head.attention_reason) {
        (Attention::None, _) => String::new(),
        (attention, Some(why)) => format!("  {}: {}", attention.as_str(), one_line(why)),
        (attention, None) => format!("  {}", attention.as_str()),
    };
    format!(
        "{:<24} {:<10} {step:<16} v{:<5} {total:>16}  {}{attention}\n",
        head.order.as_str(),
        head.status.as_str(),
        head.version,
        format_time(order.updated_at),
    )
}
