//! How RetailFlow is spoken to over HTTP: `docs/api.md` says how it looks from outside.
//!
//! - Everything that is asked goes through the ports of the engine; nothing here knows an actor, a file or a disk.
//! - **Nothing is unbounded**: bodies, headers, connections, streams, reads and every wait have a limit in `[http]`.
//! - **An answer is an outcome**: what the engine said, or a refusal in the same shape; an error has a code, and a text
//!   that says what to do.
//! - **The operators' page** (`console`) is another face of the same door, for people.
//! - **No line of the log names a customer, an order or a token**, and no request writes one while all is well.

mod admin;
mod answer;
mod backup;
mod body;
mod command;
mod conn;
mod connections;
mod console;
mod content;
mod edge;
mod events;
mod framing;
mod head;
mod headers;
mod health;
mod host;
mod letters;
mod limits;
mod listener;
mod numbers;
pub mod openapi;
mod order_cache;
mod order_reader;
mod orders;
mod parked;
mod path;
mod query;
mod read_failure;
mod reads;
mod route;
mod routes;
mod server;
mod shares;
mod tenants;
mod token;

pub use edge::{Counts, Edge, Readiness};
pub use numbers::{MetricValue, Numbers, SHOWN};
pub use route::Route;
pub use server::{Options, Running, Server, StartError};
pub use token::TokenSecret;
