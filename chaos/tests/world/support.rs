//! What the suites of worlds share.

use std::ops::Range;

use retailflow_chaos::Report;

/// The seeds of the normal test run; `RETAILFLOW_SEEDS=from..to` chooses others.
pub(crate) fn seeds() -> Range<u64> {
    let chosen = std::env::var("RETAILFLOW_SEEDS").ok();
    let range = chosen.as_deref().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    range.unwrap_or(0..1000)
}

/// Panics with all that is needed to see why, and to run it again.
pub(crate) fn must_hold(report: &Report) {
    assert!(report.violations.is_empty(), "{}", report.explain(60));
}
