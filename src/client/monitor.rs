//! Asking a NATS server at its monitoring address, and a node how it is. Blocks.

use std::time::Duration;

use retailflow_engine::wire::admin::Health;
use serde_json::Value;
use ureq::Agent;

/// For one server to answer.
const MONITOR_MAX: Duration = Duration::from_secs(3);
/// For a node to answer.
const NODE_MAX: Duration = Duration::from_secs(5);
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

/// What a node says of itself.
pub(crate) struct NodeTold {
    pub(crate) said: Health,
    /// It was asked where operators are.
    pub(crate) is_operators: bool,
}

/// How the node whose operators' address this is says that it is.
pub(crate) fn node(address: &str) -> Result<NodeTold, String> {
    if !address.starts_with("http://") {
        return Err("an address such as http://127.0.0.1:8081 is expected".into());
    }
    let config = Agent::config_builder().timeout_global(Some(NODE_MAX)).proxy(None);
    let agent: Agent = config.http_status_as_error(false).build().new_agent();
    let mut answer = agent.get(format!("{address}/readyz")).call().map_err(|error| error.to_string())?;
    let text = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_string();
    let text = text.map_err(|error| error.to_string())?;
    let said = serde_json::from_str(&text).map_err(|_| "what answers there is no node".to_owned())?;
    // Tenants' doors know no such path.
    let operators = agent.get(format!("{address}/console")).call().map_err(|error| error.to_string())?;
    Ok(NodeTold { said, is_operators: operators.status().as_u16() != 404 })
}
