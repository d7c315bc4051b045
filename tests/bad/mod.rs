//! Input that is not as it must be: told at its place, and everything else goes on.

mod lines;
mod long;
mod tenants;
