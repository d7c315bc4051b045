//! One span a command, from the door to its outcome, as part of the caller's trace.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{CommandDoor, EndParkingError, PortFuture};
use retailflow_engine::wire::admin::ReleaseReport;
use retailflow_engine::wire::{CommandEvent, Outcome, Trace};
use tracing::Instrument as _;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::telemetry::otlp::COMMANDS;

/// The node's door, with a span around each command. The actors add to it when the command is decided and durable.
pub(super) struct Traced(pub(super) Arc<dyn CommandDoor>);

impl CommandDoor for Traced {
    fn refuses(&self, tenant: &TenantId) -> Option<Outcome> {
        self.0.refuses(tenant)
    }

    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        let span = tracing::info_span!(
            target: COMMANDS,
            "command",
            otel.kind = "server",
            tenant = %command.order.tenant,
            command = command.kind().verb(),
            code = Empty,
            replayed = Empty,
        );
        if let Some(parent) = parent(&command.trace) {
            // A span that is not sampled has no place for a parent, and needs none.
            drop(span.set_parent(parent));
        }
        let told = span.clone();
        let asked = self.0.ask(command, actor, deadline);
        Box::pin(
            async move {
                let outcome = asked.await;
                told.record("code", outcome.code.as_str());
                told.record("replayed", outcome.replayed);
                outcome
            }
            .instrument(span),
        )
    }

    /// Without a span: it is no command that is carried out.
    fn dry_run(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        self.0.dry_run(command, actor, deadline)
    }

    fn end_parking<'a>(
        &'a self,
        order: &'a OrderRef,
        operator: &'a str,
        discard: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>> {
        self.0.end_parking(order, operator, discard)
    }
}

fn parent(trace: &Trace) -> Option<opentelemetry::Context> {
    let mut headers = HashMap::new();
    headers.insert("traceparent".to_owned(), trace.traceparent.clone()?);
    if let Some(state) = &trace.tracestate {
        headers.insert("tracestate".to_owned(), state.clone());
    }
    Some(TraceContextPropagator::new().extract(&headers))
}
