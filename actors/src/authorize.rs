//! Who may send a command: reserved names are the engine's own; the tenant must be known, or is created by its first recorded command.

use std::time::Duration;

use retailflow_config::UnknownTenant;
use retailflow_engine::order::{Actor as CommandActor, Command};
use retailflow_engine::ports::{TenantSetting, TenantStatus};
use retailflow_engine::wire::{Code, CommandEvent, Outcome};

use crate::newcomers::{Newcomer, default_setting};
use crate::node::NodeHandle;

impl NodeHandle {
    /// As the ask door, for the node's own commands: under names that are the engine's alone. It is decided and goes to the log and
    /// back as any other, and is neither recorded nor counted as anybody's.
    pub async fn probe(&self, command: CommandEvent, deadline: Duration) -> Outcome {
        let command = Command::from_event(command, CommandActor::Tenant);
        let (order, key) = (command.order.clone(), command.key.clone());
        match tokio::time::timeout(deadline, self.submit_and_wait(command)).await {
            Ok(outcome) => outcome,
            Err(_) => self.refuse_named(&order, &key, Code::OutcomeUnknown),
        }
    }

    /// Refuses what only the node itself may send: `probe` is what the service-level indicator is measured with, and a
    /// command under the engine's or the operators' source could take the id of one of theirs.
    pub(crate) fn refuse_reserved(&self, command: &Command) -> Option<Box<Outcome>> {
        let source = &command.key.source;
        let strange = source.is_operators() && command.actor == CommandActor::Tenant;
        if !(command.order.tenant.is_reserved() || source.is_engines() || strange) {
            return None;
        }
        let outcome = self.refuse(command, Code::ReservedName);
        self.shared.orders.metrics.count_refused(Code::ReservedName);
        Some(Box::new(outcome))
    }

    /// The setting of the command's tenant. One that is not known is made with its first recorded command, if that is how
    /// unknown ones are treated.
    pub(crate) fn tenant(
        &self,
        command: &Command,
    ) -> Result<(TenantSetting, Option<Newcomer>), Box<Outcome>> {
        let ports = &self.shared.orders.ports;
        if command.actor == CommandActor::Tenant && command.data.kind().is_operator() {
            return Err(Box::new(self.refuse(command, Code::OperatorOnly)));
        }
        let tenant = &command.order.tenant;
        let known = |setting: TenantSetting| match setting.status {
            TenantStatus::Active => Ok((setting, None)),
            TenantStatus::Suspended => Err(Box::new(self.refuse(command, Code::TenantDisabled))),
        };
        if tenant.is_reserved() {
            // The node's own tenant counts against no limit; other users of the name were refused before.
            return Ok((default_setting(tenant), None));
        }
        if let Some(setting) = ports.tenants.get(tenant) {
            return known(setting);
        }
        if self.shared.orders.settings.config.tenants.unknown == UnknownTenant::Refuse {
            return Err(Box::new(self.refuse(command, Code::UnknownTenant)));
        }
        match self.shared.newcomers.admit(tenant) {
            Some(newcomer) => Ok((default_setting(tenant), Some(newcomer))),
            None => Err(Box::new(self.refuse(command, Code::TenantLimit))),
        }
    }
}
