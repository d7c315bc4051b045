//! RetailFlow: how a node is put together: one process with a log, participants and doors, alone or among others.

pub mod app;
pub mod backup_manifest;
pub mod durable_file;
pub mod exit;
pub mod http;
pub mod memory;
pub mod metrics_exporter;
pub mod monitor;
pub mod new_data_dir;
pub mod participants;
mod read_back;
pub mod serve;
pub mod serving;
pub mod signals;
pub mod telemetry;
pub mod words;
