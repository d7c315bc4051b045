//! A node: its supervision tree, and its handle.
//!
//! ```text
//! Node
//! ├─ Partition p (one per partition held)      keeps its committer alive
//! │   └─ Committer                             group commit, fence, epoch
//! └─ Tenants
//!     └─ Tenant t (one per live tenant)        routes, passivates, parks
//!         └─ Order o (one per live order)      decides
//! ```

mod admit;
mod handle;
mod life;
mod root;
mod start;
mod stop;

pub(crate) use self::admit::Admission;
pub use self::handle::NodeHandle;
pub use self::start::{Node, StartError};
pub use self::stop::StopReport;
