//! What was asked for, in a few words: labels must be few, and paths are the callers'.

use axum::http::Uri;

/// What answers are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A tenant's command.
    Command,
    /// An order, its history, or a list.
    Read,
    /// A stream of events.
    Events,
    /// The operators' door.
    Admin,
    /// The operators' page.
    Console,
    /// Probes, metrics, documents.
    Process,
    /// What is not there.
    Other,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Command, Self::Read, Self::Events, Self::Admin, Self::Console, Self::Process, Self::Other];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Read => "read",
            Self::Events => "events",
            Self::Admin => "admin",
            Self::Console => "console",
            Self::Process => "process",
            Self::Other => "other",
        }
    }

    /// By the first and the last part of the path: whether it is there in full, the router knows.
    pub(crate) fn of(uri: &Uri) -> Self {
        let path = uri.path();
        if path.starts_with("/v1/tenants/") {
            match path.rsplit('/').next() {
                Some("commands") => Self::Command,
                Some("events") => Self::Events,
                _ => Self::Read,
            }
        } else if path.starts_with("/v1/admin/") {
            Self::Admin
        } else if path == "/console" || path.starts_with("/console/") {
            Self::Console
        } else if matches!(path, "/healthz" | "/readyz" | "/metrics" | "/openapi.json") {
            Self::Process
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_their_routes() {
        let route = |path: &'static str| Route::of(&Uri::from_static(path));
        assert_eq!(route("/v1/tenants/t/orders/o/commands"), Route::Command);
        assert_eq!(route("/v1/tenants/t/orders/o?x=/commands"), Route::Read);
        assert_eq!(route("/v1/tenants/t/events?from=now"), Route::Events);
        assert_eq!(route("/v1/admin/parked"), Route::Admin);
        assert_eq!(route("/console"), Route::Console);
        assert_eq!(route("/consoles"), Route::Other);
        assert_eq!(route("/metrics"), Route::Process);
        assert_eq!(route("/"), Route::Other);
        for (at, route) in Route::ALL.iter().enumerate() {
            assert_eq!(*route as usize, at, "counted by their number");
        }
    }
}
