//! What the process counts, read from where it is counted: the console shows it.

use retailflow_engine::metric::{self, Metric};

/// What the console shows, and so all that [`Numbers`] has to hold.
pub const SHOWN: [&Metric; 17] = [
    &metric::IN_FLIGHT,
    &metric::IN_FLIGHT_MAX,
    &metric::LIVE_ORDERS,
    &metric::LIVE_ORDERS_MAX,
    &metric::EFFECTS_BACKLOG,
    &metric::EFFECTS_BACKLOG_MAX,
    &metric::PARKED,
    &metric::PARKED_COMMANDS,
    &metric::DURABILITY,
    &metric::MEMORY,
    &metric::RESTARTS,
    &metric::PROBE_FAILURES,
    &metric::BUILD,
    &metric::COMMANDS,
    &metric::REFUSED,
    &metric::SAGAS,
    &metric::BREAKER_OPEN,
];

/// One series of a metric, as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricValue {
    /// The metric's name, of `engine::metric`.
    pub name: String,
    /// The names and values of its labels.
    pub labels: Vec<(String, String)>,
    /// The value of a counter or gauge.
    pub value: f64,
}

/// Counters and gauges of the process at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers(pub Vec<MetricValue>);

impl Numbers {
    /// A metric, all its series together; nothing when there is none.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.0.iter().filter(|one| one.name == name).map(|one| one.value).reduce(|a, b| a + b)
    }

    /// A metric by one of its labels, in the order in which the labels' values are met.
    #[must_use]
    pub fn by(&self, name: &str, label: &str) -> Vec<(&str, f64)> {
        let mut found: Vec<(&str, f64)> = Vec::new();
        for one in self.0.iter().filter(|one| one.name == name) {
            let Some((_, of)) = one.labels.iter().find(|(name, _)| name == label) else { continue };
            match found.iter_mut().find(|(known, _)| known == of) {
                Some((_, sum)) => *sum += one.value,
                None => found.push((of, one.value)),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_added() {
        let one = |name: &str, labels: &[(&str, &str)], value| MetricValue {
            name: name.to_owned(),
            labels: labels.iter().map(|(name, of)| ((*name).to_owned(), (*of).to_owned())).collect(),
            value,
        };
        let numbers = Numbers(vec![
            one("a", &[], 1.0),
            one("a_max", &[], 9.0),
            one("b", &[("x", "1"), ("y", "p\"}q")], 2.0),
            one("b", &[("x", "2"), ("y", "p\"}q")], 3.5),
            one("b", &[("x", "1")], 1.0),
        ]);
        assert_eq!((numbers.sum("a"), numbers.sum("b"), numbers.sum("c")), (Some(1.0), Some(6.5), None));
        assert_eq!(numbers.by("b", "x"), [("1", 3.0), ("2", 3.5)]);
        assert_eq!(numbers.by("b", "y"), [("p\"}q", 5.5)]);
    }
}
