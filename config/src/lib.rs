//! With which numbers RetailFlow runs: read once, checked, and passed on by section and by value.
//!
//! - What there is, and the defaults: `default.toml`. What each may be: [`limits`].
//! - Precedence: default < file < environment (`RETAILFLOW__SECTION__KEY`, and for a few the short names of [`limits::ENV_SHORT`]) <
//!   flags (`--set`, and those of a key's own, such as `--nats`).
//! - A key nobody knows is refused, with the nearest known name: a typo must not be ignored.
//! - No global: who needs numbers is given its section.

mod error;
mod layer;
pub mod limits;
mod lists;
mod load;
mod origin;
mod sections;
mod suggest;

pub use error::{ConfigError, Problem};
pub use layer::{ENV_PREFIX, env_of_key};
pub use load::{DEFAULT_TOML, LoadOptions, Loaded, checked_flag};
pub use origin::{Origin, Setting};
pub use sections::{
    Admission, Cluster, Commit, Config, Effects, Etcd, Http, Index, Log, LogFormat, Nats, Node, Orders,
    Probe, RequiredDurability, Supervision, Telemetry, Tenants, UnknownTenant,
};
