//! What `--version` says: what this build can read and write, beside its own version.

use std::sync::LazyLock;

use retailflow_engine::codec::v1;

/// The version of the public contract: the `.v1` in the types of commands, events and outcomes.
const WIRE_VERSION: u16 = 1;

/// The text behind the program's name. clap wants it for as long as the process lives.
pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let version = env!("CARGO_PKG_VERSION");
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        // Set by whoever makes a release; a build from a checkout knows nothing of it.
        let id = option_env!("RETAILFLOW_BUILD_ID").map(|id| format!(", {id}")).unwrap_or_default();
        format!(
            "{version}\nbuild:  {profile}, {arch}-{os}{id}\nrecord: v{}\nwire:   v{WIRE_VERSION}",
            v1::VERSION
        )
    });
    &TEXT
}
