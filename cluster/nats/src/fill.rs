//! How full what NATS stores in is: a stream, an account, a server.

use serde_json::Value;

/// Of a store this much is used: somebody should make room soon, or now.
const HIGH_PERCENT: u64 = 80;
const NEARLY_FULL_PERCENT: u64 = 95;
/// That is as much as may ever be used: what is left is for fences, events, and what callers publish (ADR 35).
const NO_ROOM_PERCENT: u64 = 97;

/// How full something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FillLevel {
    /// There is room.
    Fine,
    /// At 80 %.
    High,
    /// At 95 %.
    NearlyFull,
    /// At 97 %: no more may be used.
    NoRoom,
}

/// How much of a limit is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Of what: `stream RF_CMD`, `the account`, `server n1`.
    pub of: String,
    /// In bytes.
    pub used_bytes: u64,
    /// The limit, in bytes.
    pub max_bytes: u64,
}

impl Fill {
    /// Whether there is room.
    #[must_use]
    pub fn level(&self) -> FillLevel {
        match self.percent() {
            NO_ROOM_PERCENT.. => FillLevel::NoRoom,
            NEARLY_FULL_PERCENT.. => FillLevel::NearlyFull,
            HIGH_PERCENT.. => FillLevel::High,
            _ => FillLevel::Fine,
        }
    }

    /// How much of it is used, in whole percent.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let used = u128::from(self.used_bytes) * 100 / u128::from(self.max_bytes.max(1));
        u64::try_from(used).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Display for Fill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { of, used_bytes, max_bytes } = self;
        write!(f, "{of} is {} % full ({used_bytes} of {max_bytes} bytes)", self.percent())
    }
}

/// What an account may store on disk, if that has a limit.
pub(super) fn account_fill(info: &Value) -> Option<Fill> {
    let max_bytes = info["limits"]["max_storage"].as_i64().and_then(|max| u64::try_from(max).ok())?;
    let used_bytes = info["storage"].as_u64()?;
    (max_bytes > 0).then(|| Fill { of: "the account".into(), used_bytes, max_bytes })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_store_that_fills_is_told_at_80_and_at_95_percent() {
        let fill = |used_bytes| Fill { of: "the account".into(), used_bytes, max_bytes: 1_000 };
        let levels = [0, 799, 800, 949, 950, 1_000, 2_000].map(|used| fill(used).level());
        use FillLevel::{Fine, High, NearlyFull, NoRoom};
        assert_eq!(levels, [Fine, Fine, High, High, NearlyFull, NoRoom, NoRoom]);
        assert_eq!(fill(801).to_string(), "the account is 80 % full (801 of 1000 bytes)");
        let account = |max: i64| account_fill(&json!({ "storage": 5, "limits": { "max_storage": max } }));
        assert_eq!((account(-1), account(0)), (None, None), "no limit");
        assert_eq!(account(10).map(|fill| fill.percent()), Some(50));
    }
}
