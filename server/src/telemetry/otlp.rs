//! Spans of commands to an OpenTelemetry collector, over OTLP in HTTP.
//!
//! Only spans of [`COMMANDS`] go there, and they carry names of tenants and types, ids of traces and codes: no order's
//! content. The exporter's own thread sends them in batches from a bounded queue; what does not fit is dropped.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use retailflow_config::Telemetry;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::exit::{ExitStatus, Failure, OrExit};
use crate::http::Asker;

/// The target of spans and events of commands.
pub const COMMANDS: &str = "retailflow::command";
/// A collector that does not take a batch in this time does not get it.
const EXPORT_MAX: Duration = Duration::from_secs(5);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer that exports; `None` where no endpoint is configured.
///
/// # Errors
/// When the endpoint is no URL.
pub(super) fn layer<S>(config: &Telemetry) -> Result<Option<impl Layer<S> + use<S>>, Failure>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if config.otlp_endpoint == "off" {
        return Ok(None);
    }
    let url = format!("{}/v1/traces", config.otlp_endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let exporter = exporter.with_endpoint(&url).with_timeout(EXPORT_MAX);
    let exporter = exporter.with_http_client(Asker::new(EXPORT_MAX)).build();
    let exporter =
        exporter.or_exit(ExitStatus::Usage, || format!("telemetry.otlp_endpoint: cannot use {url}"))?;
    let share = config.otlp_sample_permille as f64 / 1000.0;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        // Who sends a trace decides for it.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
        .with_resource(Resource::builder().with_service_name("retailflow").build())
        .build();
    let tracer = provider.tracer("retailflow");
    drop(PROVIDER.set(provider));
    let ours = filter_fn(|meta| meta.target() == COMMANDS);
    Ok(Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours)))
}

/// Are spans exported?
pub fn is_on() -> bool {
    PROVIDER.get().is_some()
}

/// Sends what waits, at the end of the process, for at most so long.
pub fn end(at_most: Duration) {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(at_most.min(EXPORT_MAX))
    {
        tracing::warn!(%error, "not all spans reached the collector");
    }
}
