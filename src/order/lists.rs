//! Lists of orders, read page by page: a server's, or made of a data directory that no process has open.

use std::path::Path;
use std::time::Duration;

use retailflow_config::Config;
use retailflow_disk::projection::{Projection, ProjectionOptions};
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{OrderPage, OrderQuery, ViewError, Views};
use retailflow_engine::wire::Code;
use retailflow_engine::wire::order::{Attention, OrderStatus};
use retailflow_engine::wire::order_list::{OrderList, OrderListSchema};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::place::Place;
use crate::client::{Client, say};
use retailflow_server::app::{self, Make, Store};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::words::number;

/// Between two looks how far the lists are.
const LOOK: Duration = Duration::from_secs(1);
/// Between two tries while they are not open.
const RETRY_DELAY: Duration = Duration::from_millis(20);
/// Lists that read nothing more for so long will not be there.
const STANDSTILL_MAX: Duration = Duration::from_secs(60);
/// What a token of a server is made of.
const TOKEN: fn(u8) -> bool = |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');

/// Which orders of a tenant.
#[derive(clap::Args, Debug)]
pub(crate) struct FilterArgs {
    /// The tenant they belong to
    #[arg(value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    /// Only orders that stand so: open, completed, canceling, canceled
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub(crate) status: Option<OrderStatus>,
    /// Only orders that ask for this: none, held, stalled, parked
    #[arg(long, value_name = "ATTENTION", value_parser = attention)]
    pub(crate) attention: Option<Attention>,
}

impl FilterArgs {
    /// The question for a page.
    pub(crate) fn query(&self, after: Option<String>, limit: usize) -> OrderQuery {
        let Self { tenant, status, attention } = self;
        OrderQuery { tenant: tenant.clone(), status: *status, attention: *attention, after, limit }
    }
}

fn status(text: &str) -> Result<OrderStatus, String> {
    word(text, OrderStatus::ALL, OrderStatus::as_str)
}

fn attention(text: &str) -> Result<Attention, String> {
    word(text, Attention::ALL, Attention::as_str)
}

fn word<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let known = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| format!("expected one of {}", known()))
}

/// Where lists are read.
pub(crate) enum Lists {
    /// A server keeps them.
    Server(Client),
    /// They are made here.
    Made(Box<MadeLists>),
}

/// Lists of a data directory, up to its end.
pub(crate) struct MadeLists {
    runtime: Runtime,
    projection: std::sync::Arc<Projection>,
    store: Option<Store>,
}

impl Lists {
    /// # Errors
    /// A [`Failure`] where the lists cannot be made.
    pub(crate) fn open(place: Place, config: &Config) -> Result<Self, Failure> {
        match place {
            Place::Server(client) => Ok(Self::Server(client)),
            Place::Data(data) => MadeLists::open(&data, config).map(|made| Self::Made(Box::new(made))),
        }
    }

    /// A page, as a server gives it, in its words where one gave it.
    ///
    /// # Errors
    /// A [`Failure`]: refused with `not_kept_here` by nodes of a cluster.
    pub(crate) fn page(&self, query: OrderQuery) -> Result<(OrderList, String), Failure> {
        match self {
            Self::Server(client) => from_server(client, &query),
            Self::Made(made) => {
                let page = made.runtime.block_on(made.projection.list(query)).map_err(of_view)?;
                let OrderPage { orders, next, position } = page;
                let page = OrderList { schema: OrderListSchema, orders, position, next };
                let text = serde_json::to_string(&page);
                let text = text.or_exit(ExitStatus::Unreachable, || "cannot show it")?;
                Ok((page, text))
            }
        }
    }
}

fn from_server(client: &Client, query: &OrderQuery) -> Result<(OrderList, String), Failure> {
    let mut path = format!("/v1/tenants/{}/orders?limit={}", query.tenant, query.limit);
    if let Some(status) = query.status {
        path += &format!("&status={}", status.as_str());
    }
    if let Some(attention) = query.attention {
        path += &format!("&attention={}", attention.as_str());
    }
    if let Some(after) = &query.after {
        if after.is_empty() || !after.bytes().all(TOKEN) {
            return Err(Failure::usage("--after: give it as the `next` of an earlier page had it"));
        }
        path += &format!("&after={after}");
    }
    let answer = client.get(&path)?;
    if answer.status == 200 {
        return Ok((answer.read()?, answer.body));
    }
    if answer.code() == Code::NotKeptHere.as_str() {
        let what = "read single orders with `retailflow order show`, or follow `retailflow events`";
        return Err(Failure::refused(format!("{}; {what}", answer.why())));
    }
    Err(answer.refusal())
}

fn of_view(error: ViewError) -> Failure {
    match error {
        ViewError::BadToken(why) => Failure::usage(format!("--after: {why}")),
        other => Failure::finding(other.to_string()),
    }
}

impl MadeLists {
    fn open(data: &Path, config: &Config) -> Result<Self, Failure> {
        let store = app::open(data, config, Make::Never)?;
        let runtime = app::runtime()?;
        let projection = Projection::start(store.log.clone(), data, ProjectionOptions::default());
        let projection = projection.or_exit(ExitStatus::Unreachable, || "cannot start a thread")?;
        let made = Self { runtime, projection, store: Some(store) };
        made.runtime.block_on(made.catch_up())?;
        Ok(made)
    }

    /// Waits until the lists have read all of the log, for as long as they read on.
    async fn catch_up(&self) -> Result<(), Failure> {
        let end = self.projection.written();
        let (mut read_bytes, mut since) = (None, Instant::now());
        loop {
            let waited = timeout(LOOK, self.projection.reached(&end)).await;
            match waited {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error @ ViewError::BadToken(_))) => return Err(of_view(error)),
                // They are opened first, and their disk may be well again.
                Ok(Err(error)) if since.elapsed() >= STANDSTILL_MAX => return Err(of_view(error)),
                Ok(Err(_)) => {
                    sleep(RETRY_DELAY).await;
                    continue;
                }
                Err(_) if since.elapsed() < STANDSTILL_MAX => {}
                Err(_) => {
                    let text = "the lists of orders cannot be made: nothing is read any more";
                    return Err(Failure::finding(text));
                }
            }
            let progress = self.projection.progress();
            if read_bytes.replace(progress.read_bytes) != Some(progress.read_bytes) {
                since = Instant::now();
                let (read, all) = (number(progress.read_bytes), number(progress.log_bytes));
                say(format!("the lists are made of the log: {read} of {all} bytes are read"));
            }
        }
    }
}

impl Drop for MadeLists {
    fn drop(&mut self) {
        self.projection.close();
        if let Some(store) = self.store.take() {
            store.close();
        }
    }
}
