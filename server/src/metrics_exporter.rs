//! Where metrics go: one recorder, with the names, kinds and buckets of `engine::metric`.

use std::sync::Arc;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use retailflow_actors::NodeHandle;
use retailflow_engine::metric::{self, Kind, Metric};
use retailflow_engine::wire::Durability;
use retailflow_gateway::Numbers;

use crate::exit::{ExitStatus, Failure, OrExit};
use crate::read_back::{ReadBack, ReadableRecorder};

/// The recorder of this process.
#[derive(Clone)]
pub struct MetricsExporter {
    exporter: PrometheusHandle,
    read_back: ReadBack,
}

impl MetricsExporter {
    /// Installs the recorder. Series that were made before it are lost: call it first.
    ///
    /// # Errors
    /// When there is one already.
    pub fn start() -> Result<Self, Failure> {
        let failed = || "cannot start the metrics";
        let mut builder = PrometheusBuilder::new();
        for metric in metric::ALL {
            if let Kind::Histogram(buckets) = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder =
                    builder.set_buckets_for_metric(name, buckets).or_exit(ExitStatus::Unreachable, failed)?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let read_back = ReadBack::default();
        let recorder = ReadableRecorder { exporter: recorder, read_back: read_back.clone() };
        metrics::set_global_recorder(recorder)
            .map_err(|error| Failure::unreachable(format!("cannot start the metrics: {error}")))?;
        for metric in metric::ALL {
            match metric.kind {
                Kind::Counter => describe_counter!(metric.name, metric.help),
                Kind::Gauge => describe_gauge!(metric.name, metric.help),
                Kind::Histogram(_) => describe_histogram!(metric.name, metric.help),
            }
        }
        // A series that begins with its first count hides just that one from whoever looks at rates.
        let plain =
            metric::ALL.iter().filter(|one| matches!(one.kind, Kind::Counter) && one.labels.is_empty());
        plain.for_each(|one| counter!(one.name).absolute(0));
        gauge!(metric::BUILD.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self { exporter: handle, read_back })
    }

    /// Shows how durable records are; what was shown before is not so any more.
    pub fn durability(&self, now: Durability, before: Option<Durability>) {
        for (durability, value) in before.map(|before| (before, 0.0)).into_iter().chain([(now, 1.0)]) {
            let (class, replicas) = (class(durability), durability.replicas.to_string());
            gauge!(metric::DURABILITY.name, "class" => class, "replicas" => replicas).set(value);
        }
    }

    /// Gives all metrics as Prometheus reads them.
    pub fn renderer(&self, node: NodeHandle) -> Arc<dyn Fn() -> String + Send + Sync> {
        let handle = self.exporter.clone();
        Arc::new(move || {
            node.publish_gauges();
            handle.render()
        })
    }

    /// Gives the counters and gauges that the console shows.
    pub fn numbers(&self, node: NodeHandle) -> Arc<dyn Fn() -> Numbers + Send + Sync> {
        let read_back = self.read_back.clone();
        Arc::new(move || {
            node.publish_gauges();
            read_back.numbers()
        })
    }

    /// Takes gathered samples into their buckets; without it they would gather for ever.
    pub fn upkeep(&self) {
        self.exporter.run_upkeep();
    }
}

/// The name on the wire.
pub fn class(durability: Durability) -> String {
    serde_json::to_value(durability.class)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Sets a gauge without labels.
pub fn set(metric: &Metric, value: f64) {
    gauge!(metric.name).set(value);
}

/// Sets a gauge with one label.
pub fn set_of(metric: &Metric, label: &'static str, value: f64) {
    if let [name] = metric.labels {
        gauge!(metric.name, *name => label).set(value);
    }
}
