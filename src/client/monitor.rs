//! Asking a NATS server at its monitoring address. Blocks.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

/// For one server to answer.
const MONITOR_MAX: Duration = Duration::from_secs(3);
/// Largest answer that is read, in bytes.
const ANSWER_MAX_BYTES: u64 = 4 << 20;

/// What a server says at `path` of its monitoring address.
pub(crate) fn ask(monitor: &str, path: &str) -> Result<Value, String> {
    let config = Agent::config_builder().timeout_global(Some(MONITOR_MAX)).proxy(None).build();
    let agent = Agent::new_with_config(config);
    let url = format!("{}{path}", monitor.trim_end_matches('/'));
    let mut answer = agent.get(&url).call().map_err(|error| error.to_string())?;
    let text = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_string();
    serde_json::from_str(&text.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}
