//! Memory that this process has.

use std::fs;

/// Memory that this process has, in MB; 0 where the system does not say.
pub fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Memory that this process has, in bytes; `None` where the system does not say.
pub fn resident_bytes() -> Option<u64> {
    Some(resident_mb()).filter(|mb| *mb > 0).map(|mb| mb << 20)
}
