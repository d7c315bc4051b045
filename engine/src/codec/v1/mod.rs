//! Version 1 of an order's record: frozen.
//!
//! The shapes say more than the first policies do (several payments and shipments, lines short, expiry, refunds by
//! line, checkpoints): behaviour may be narrow, stored bytes may not. Enum variants are numbered by their place and
//! pinned by golden files: append only. Unknown variants inside this version are `Corrupt`, because a build that
//! adds one raises the version.

mod amended;
mod bytes;
mod closed;
mod decided;
mod facts;
mod flow;
mod placed;
mod relation;
mod return_terms;
mod shapes;

pub use amended::*;
pub use bytes::{VERSION, decode, encode};
pub use closed::*;
pub use decided::*;
pub use facts::*;
pub use flow::*;
pub use placed::*;
pub use relation::*;
pub use return_terms::*;
pub use shapes::*;
