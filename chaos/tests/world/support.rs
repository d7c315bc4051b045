//! What the suites of worlds share.

use std::ops::Range;

use retailflow_chaos::Report;

/// The seeds of the normal test run.
pub(crate) const SEEDS: Range<u64> = 0..300;

/// Panics with all that is needed to see why, and to run it again.
pub(crate) fn must_hold(report: &Report) {
    assert!(report.violations.is_empty(), "{}", report.explain(60));
}
