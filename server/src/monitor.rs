//! Asking a NATS server at its monitoring address, and a node how it is. Blocks.

use std::time::Duration;

use retailflow_engine::wire::admin::Health;
use serde_json::Value;

use crate::http::Asker;

/// For one server to answer.
const MONITOR_MAX: Duration = Duration::from_secs(3);
/// For a node to answer.
const NODE_MAX: Duration = Duration::from_secs(5);

/// What a server says at `path` of its monitoring address.
///
/// # Errors
/// In words: it does not answer, or not so.
pub fn ask(monitor: &str, path: &str) -> Result<Value, String> {
    let (status, text) = Asker::new(MONITOR_MAX).get(&format!("{}{path}", monitor.trim_end_matches('/')))?;
    match status {
        200 => serde_json::from_str(&text).map_err(|error| error.to_string()),
        _ => Err(format!("http status: {status}")),
    }
}

/// What a node says of itself.
pub struct NodeTold {
    /// Its own words.
    pub said: Health,
    /// It was asked where operators are.
    pub is_operators: bool,
}

/// How the node whose operators' address this is says that it is.
///
/// # Errors
/// In words: nobody answers, or no node.
pub fn node(address: &str) -> Result<NodeTold, String> {
    if !address.starts_with("http://") {
        return Err("an address such as http://127.0.0.1:8081 is expected".into());
    }
    let asker = Asker::new(NODE_MAX);
    let (_, text) = asker.get(&format!("{address}/readyz"))?;
    let said = serde_json::from_str(&text).map_err(|_| "what answers there is no node".to_owned())?;
    // Tenants' doors know no such path.
    let (status, _) = asker.get(&format!("{address}/console"))?;
    Ok(NodeTold { said, is_operators: status != 404 })
}
