//! A recorder that can be read: what the console shows is read from where it is counted, not from the text for Prometheus.
//!
//! Each series of `retailflow_gateway::SHOWN` has an atomic of its own beside the exporter's: counting takes no lock, and there
//! are no more of them than the exporter has.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use retailflow_gateway::{MetricValue, Numbers, SHOWN};

/// The series that can be read.
#[derive(Clone, Default)]
pub(crate) struct ReadBack(Arc<Mutex<BTreeMap<Key, Value>>>);

/// A counter's number, or a gauge's as the bits of its float.
#[derive(Clone)]
enum Value {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
}

impl ReadBack {
    /// All series as they stand.
    pub(crate) fn numbers(&self) -> Numbers {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = series.iter().map(|(key, value)| MetricValue {
            name: key.name().to_owned(),
            labels: key.labels().map(|one| (one.key().to_owned(), one.value().to_owned())).collect(),
            value: match value {
                Value::Counter(count) => count.load(Ordering::Relaxed) as f64,
                Value::Gauge(bits) => f64::from_bits(bits.load(Ordering::Relaxed)),
            },
        });
        Numbers(values.collect())
    }

    /// The value of a series that is shown, made when it is asked for first.
    fn value(&self, key: &Key, new: fn(Arc<AtomicU64>) -> Value) -> Option<Value> {
        SHOWN.iter().find(|shown| shown.name == key.name())?;
        let mut series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(series.entry(key.clone()).or_insert_with(|| new(Arc::default())).clone())
    }
}

/// The exporter's recorder, with [`ReadBack`] beside it.
pub(crate) struct ReadableRecorder<R> {
    pub(crate) exporter: R,
    pub(crate) read_back: ReadBack,
}

impl<R: Recorder> Recorder for ReadableRecorder<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let exported = self.exporter.register_counter(key, metadata);
        match self.read_back.value(key, Value::Counter) {
            Some(Value::Counter(own)) => Counter::from_arc(Arc::new(CountedTwice { exported, own })),
            Some(Value::Gauge(_)) | None => exported,
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let exported = self.exporter.register_gauge(key, metadata);
        match self.read_back.value(key, Value::Gauge) {
            Some(Value::Gauge(own)) => Gauge::from_arc(Arc::new(SetTwice { exported, own })),
            Some(Value::Counter(_)) | None => exported,
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.exporter.register_histogram(key, metadata)
    }
}

struct CountedTwice {
    exported: Counter,
    own: Arc<AtomicU64>,
}

impl CounterFn for CountedTwice {
    fn increment(&self, value: u64) {
        self.exported.increment(value);
        self.own.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.exported.absolute(value);
        self.own.fetch_max(value, Ordering::Relaxed);
    }
}

struct SetTwice {
    exported: Gauge,
    own: Arc<AtomicU64>,
}

impl SetTwice {
    fn add(&self, value: f64) {
        let added = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always gives a value.
        let _ = self.own.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
    }
}

impl GaugeFn for SetTwice {
    fn increment(&self, value: f64) {
        self.exported.increment(value);
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.exported.decrement(value);
        self.add(-value);
    }

    fn set(&self, value: f64) {
        self.exported.set(value);
        self.own.store(value.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, with_local_recorder};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use retailflow_engine::metric;

    use super::*;

    /// The console and `/metrics` must not say different things.
    #[test]
    fn what_is_read_is_what_is_exported() {
        let exporter = PrometheusBuilder::new().build_recorder();
        let (handle, read_back) = (exporter.handle(), ReadBack::default());
        let recorder = ReadableRecorder { exporter, read_back: read_back.clone() };
        with_local_recorder(&recorder, || {
            for (tenant, count) in [("shop", 2), ("flood", 5)] {
                let labels = [("tenant", tenant), ("type", "place"), ("status", "applied")];
                counter!(metric::COMMANDS.name, &labels).increment(count);
            }
            counter!(metric::COMMANDS.name, "tenant" => "shop", "type" => "place", "status" => "rejected")
                .increment(1);
            counter!(metric::RESTARTS.name).absolute(7);
            counter!(metric::RESTARTS.name).absolute(6);
            gauge!(metric::IN_FLIGHT.name).set(3.5);
            gauge!(metric::IN_FLIGHT.name).increment(1.0);
            gauge!(metric::IN_FLIGHT.name).decrement(0.5);
            counter!(metric::PARTITIONS_FENCED.name).increment(1);
        });
        let numbers = read_back.numbers();
        assert_eq!(numbers.by(metric::COMMANDS.name, "status"), [("applied", 7.0), ("rejected", 1.0)]);
        assert_eq!(numbers.sum(metric::RESTARTS.name), Some(7.0));
        assert_eq!(numbers.sum(metric::IN_FLIGHT.name), Some(4.0));
        assert_eq!(numbers.sum(metric::PARTITIONS_FENCED.name), None, "the console does not show it");
        let text = handle.render();
        let series = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let exported: f64 = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        let read: f64 = numbers.0.iter().map(|one| one.value).sum();
        assert_eq!(read + 1.0, exported, "{text}");
    }
}
