//! Seeded commands, and what must become of each.

use serde_json::Value;

use crate::support::world::place;

/// A command and the code of its outcome, now and always.
pub(crate) struct Expected {
    pub(crate) command: Value,
    pub(crate) code: &'static str,
    /// It has an outcome before it in the same file.
    pub(crate) repeats: bool,
}

/// Mostly new orders; second places of old ones, the same command again, and the same id with other content.
pub(crate) fn generate(seed: u64, count: usize) -> Vec<Expected> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut made: Vec<Expected> = Vec::new();
    let mut orders = 0;
    while made.len() < count {
        // Half of the repetitions are of what came just before: both may be in flight together.
        let reach = if rng.bool() { 8 } else { made.len() };
        let back = (!made.is_empty()).then(|| made.len() - 1 - rng.usize(..reach.min(made.len())));
        let next = match (rng.u8(..100), back) {
            (0..=7, Some(at)) => second_place(&made[at], made.len()),
            (8..=15, Some(at)) => again(&made[at]),
            (16..=21, Some(at)) => other_content(&made[at], made.len()),
            _ => {
                orders += 1;
                let amount = rng.u64(1..100_000);
                let command = place(&format!("o{orders}"), &format!("c-{orders}"), amount);
                Expected { command, code: "applied", repeats: false }
            }
        };
        made.push(next);
    }
    made
}

fn second_place(of: &Expected, at: usize) -> Expected {
    let order = of.command["subject"].as_str().unwrap();
    Expected { command: place(order, &format!("second-{at}"), 7), code: "order_exists", repeats: false }
}

fn again(of: &Expected) -> Expected {
    Expected { command: of.command.clone(), code: of.code, repeats: of.code != "id_reused" }
}

fn other_content(of: &Expected, at: usize) -> Expected {
    let mut command = of.command.clone();
    command["data"]["customer"] = format!("other-{at}").into();
    Expected { command, code: "id_reused", repeats: false }
}
