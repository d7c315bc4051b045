//! Tenants that come into being by their first command: by the first *recorded* one.
//!
//! Callers choose names, and a refusal leaves nothing behind: no tenant of a misspelt name, and none of a stranger who
//! tries names until there is no room for real ones. The tenant is durable before its first outcome is given. Should the
//! process die between the two, the caller has no answer, and the same command, sent again, makes the tenant.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use retailflow_engine::ids::{CommandKey, OrderRef, TenantId};
use retailflow_engine::ports::{TenantSetting, Tenants};
use retailflow_engine::wire::{Code, Outcome, Status};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outcome::refusal;

/// The setting of a tenant that nobody set.
pub(crate) fn default_setting(tenant: &TenantId) -> TenantSetting {
    TenantSetting::new(tenant.clone())
}

/// Who is about to become a tenant.
pub(crate) struct Newcomers {
    tenants: Arc<dyn Tenants>,
    created_max: usize,
    retry_after_ms: u64,
    /// Names that are no tenants', and how many of their commands are under way. Each of these holds a permit.
    pending: Mutex<HashMap<TenantId, usize>>,
    creating: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Newcomers {
    pub(crate) fn new(tenants: Arc<dyn Tenants>, created_max: usize, retry_after_ms: u64) -> Arc<Self> {
        Arc::new(Self {
            tenants,
            created_max,
            retry_after_ms,
            pending: Mutex::default(),
            creating: tokio::sync::Mutex::new(()),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        })
    }

    /// A command of a name that is no tenant's comes in; `None` when there is no room for one more tenant.
    pub(crate) fn admit(self: &Arc<Self>, tenant: &TenantId) -> Option<Newcomer> {
        let known = self.tenants.count();
        let mut pending = self.pending.lock();
        if !pending.contains_key(tenant) && known.saturating_add(pending.len()) >= self.created_max {
            return None;
        }
        *pending.entry(tenant.clone()).or_default() += 1;
        drop(pending);
        Some(Newcomer { newcomers: self.clone(), tenant: tenant.clone() })
    }
    /// Waits for tenants that are being made.
    pub(crate) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends at once.
    pub(crate) fn kill(&self) {
        self.closing.cancel();
    }

    async fn create(&self, tenant: &TenantId) -> Result<(), String> {
        let _one_at_a_time = self.creating.lock().await;
        if self.tenants.get(tenant).is_some() {
            return Ok(());
        }
        self.tenants.put(default_setting(tenant)).await.map_err(|error| error.to_string())
    }
}

/// A command of a name that is no tenant's yet.
pub(crate) struct Newcomer {
    newcomers: Arc<Newcomers>,
    tenant: TenantId,
}

impl Newcomer {
    /// Makes the tenant if the outcome is recorded, and then gives the outcome. When the tenant cannot be stored, nobody
    /// knows for now: the same command again is given its outcome, and makes the tenant.
    pub(crate) fn answer(self, outcome: Outcome, reply: oneshot::Sender<Outcome>) {
        if outcome.status == Status::Refused {
            drop(reply.send(outcome));
            return;
        }
        let newcomers = self.newcomers.clone();
        let closing = newcomers.closing.clone();
        newcomers.tasks.clone().spawn(async move {
            let created = tokio::select! {
                biased;
                () = closing.cancelled() => return,
                created = newcomers.create(&self.tenant) => created,
            };
            let outcome = match (created, &outcome.order, &outcome.source, &outcome.command_id) {
                (Ok(()), ..) => outcome,
                (Err(why), Some(order), Some(source), Some(id)) => {
                    tracing::warn!(event = "tenant_not_stored", %why, "a new tenant cannot be stored");
                    let order = OrderRef { tenant: self.tenant.clone(), order: order.clone() };
                    let key = CommandKey { source: source.clone(), id: id.clone() };
                    let code = Code::OutcomeUnknown;
                    refusal(&order, &key, code, code.meaning(), newcomers.retry_after_ms)
                }
                (Err(_), ..) => return,
            };
            drop(reply.send(outcome));
        });
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let mut pending = self.newcomers.pending.lock();
        if let Some(commands) = pending.get_mut(&self.tenant) {
            *commands -= 1;
            if *commands == 0 {
                pending.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use retailflow_config::Config;
    use retailflow_engine::ids::{CommandId, Source};
    use retailflow_engine::order::{Actor, Command};
    use retailflow_engine::ports::{CommandDoor, EventLog as _};
    use retailflow_engine::wire::command::{CancelData, ResumeData};
    use retailflow_engine::wire::{CommandData, CommandEvent, content_hash};
    use retailflow_testkit::author::{order, place};

    use super::*;
    use crate::batch_node::BatchNode;
    use crate::node::Admission;

    fn names(batch: &BatchNode) -> Vec<String> {
        batch.node.ports().tenants.list().iter().map(|setting| setting.tenant.to_string()).collect()
    }

    fn event(command: Command) -> CommandEvent {
        CommandEvent::new(command.order, command.key, (*command.data).clone())
    }

    fn with(tenant: &str, data: CommandData) -> CommandEvent {
        let command = place(&order(tenant, "o-1"), "c-1");
        event(Command { content_hash: content_hash(&data), data: Arc::new(data), ..command })
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_makes_no_tenant() {
        let batch = BatchNode::start(None).await;
        let time = Duration::from_secs(5);
        let cancel = with(
            "a",
            CommandData::Cancel(CancelData {
                reason: "no".into(),
                lines: Vec::new(),
                expected_version: None,
            }),
        );
        let refused = CommandDoor::ask(&batch.node, cancel, Actor::Tenant, time).await;
        assert_eq!(refused.code, Code::OrderNotFound);
        let verb = with("b", CommandData::Resume(ResumeData::default()));
        for actor in [Actor::Tenant, Actor::Operator("ann".into())] {
            assert_eq!(
                CommandDoor::ask(&batch.node, verb.clone(), actor, time).await.status,
                Status::Refused
            );
        }
        let late =
            CommandDoor::ask(&batch.node, event(place(&order("c", "o"), "p")), Actor::Tenant, Duration::ZERO);
        assert_eq!(late.await.code, Code::OutcomeUnknown);
        assert_eq!(names(&batch), Vec::<String>::new());
        // The first recorded outcome finds its tenant there.
        let placed = batch.node.ask(place(&order("d", "o"), "p")).await;
        assert_eq!((placed.code, names(&batch)), (Code::Applied, vec!["d".to_owned()]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_recorded_makes_its_tenant_though_its_caller_has_gone() {
        let batch = BatchNode::start(None).await;
        let answer = batch.node.send(place(&order("shop", "o"), "p"), Admission::FailFast).await.unwrap();
        // Once the order has decided, the caller goes.
        while batch.log.read_order(&order("shop", "o"), 0).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(answer);
        let made = async {
            while names(&batch).is_empty() {
                tokio::time::advance(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), made).await.expect("the tenant is made");
    }

    #[tokio::test(start_paused = true)]
    async fn only_tenants_take_room_from_tenants() {
        let mut config = Config::default();
        config.tenants.created_max = 2;
        let batch = BatchNode::with(config).await;
        for number in 0..50 {
            let cancel = CommandData::Cancel(CancelData {
                reason: "no".into(),
                lines: Vec::new(),
                expected_version: None,
            });
            let event = with(&format!("x{number}"), cancel);
            let refused = CommandDoor::ask(&batch.node, event, Actor::Tenant, Duration::from_secs(5)).await;
            assert_eq!(refused.code, Code::OrderNotFound);
        }
        for tenant in ["a", "b"] {
            assert_eq!(batch.node.ask(place(&order(tenant, "o"), "p")).await.code, Code::Applied);
        }
        assert_eq!(batch.node.ask(place(&order("c", "o"), "p")).await.code, Code::TenantLimit);
        assert_eq!(batch.node.ask(place(&order("a", "o-2"), "p")).await.code, Code::Applied);
        assert_eq!(names(&batch), ["a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_engines_names_are_nobody_elses() {
        let batch = BatchNode::start(None).await;
        let of = |tenant: &str, source: &str| {
            let key =
                CommandKey { source: Source::parse(source).unwrap(), id: CommandId::parse("p").unwrap() };
            event(Command { key, ..place(&order(tenant, "o-1"), "p") })
        };
        let time = Duration::from_secs(5);
        for (tenant, source) in [
            ("probe", "/shop"),
            ("probe", "/retailflow/probe"),
            ("shop", "/retailflow/probe"),
            ("shop", "urn:retailflow:engine"),
            ("shop", "/http/admin"),
        ] {
            let outcome = CommandDoor::ask(&batch.node, of(tenant, source), Actor::Tenant, time).await;
            assert_eq!(outcome.code, Code::ReservedName, "{tenant} {source}");
        }
        let operator = Actor::Operator("ann".into());
        for (tenant, source) in [("probe", "/http/admin"), ("shop", "urn:retailflow:engine")] {
            let outcome = CommandDoor::ask(&batch.node, of(tenant, source), operator.clone(), time).await;
            assert_eq!(outcome.code, Code::ReservedName, "{tenant} {source}");
        }
        assert_eq!(names(&batch), Vec::<String>::new());
        let probed = batch.node.probe(of("probe", "/retailflow/probe"), time).await;
        assert_eq!(probed.code, Code::Applied);
        for source in ["/http", "/http/administrators", "/retailflower", "urn:retailflow"] {
            let order = of(&format!("s{}", source.len()), source);
            assert_eq!(
                CommandDoor::ask(&batch.node, order, Actor::Tenant, time).await.code,
                Code::Applied,
                "{source}"
            );
        }
    }
}
