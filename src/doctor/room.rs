//! How full things are that can be full, by one measure.

use super::report::Report;
use crate::words::number;

/// From here on people have time to do something.
const NEARLY_PERCENT: u64 = 80;
/// From here on they have not.
const FULL_PERCENT: u64 = 95;

/// Says how much of `max` is used.
pub(super) fn report_fill(what: impl Into<String>, used: u64, max: u64, remedy: &str, report: &mut Report) {
    if max == 0 {
        return;
    }
    let percent = u128::from(used) * 100 / u128::from(max);
    let found = format!("{} of {} bytes, {percent} %", number(used), number(max));
    match percent {
        percent if percent >= u128::from(FULL_PERCENT) => report.problem(what, found, remedy),
        percent if percent >= u128::from(NEARLY_PERCENT) => report.warn(what, found, remedy),
        _ => report.ok(what, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn it_is_said_at_80_and_at_95_percent() {
        let level = |used| {
            let mut report = Report::default();
            report_fill("room", used, 1_000, "make some", &mut report);
            report.worst()
        };
        let levels = [0, 799, 800, 949, 950, 1_000].map(level);
        use Level::{Ok, Problem, Warning};
        assert_eq!(levels, [Ok, Ok, Warning, Warning, Problem, Problem]);
    }
}
