//! The server as its callers see it: over HTTP, through kills and stops, by the documents' words and the client's verbs.

mod accountant;
mod amends;
mod client;
mod documents;
mod dry_runs;
mod load;
mod money;
mod operators;
mod parts;
mod payments;
mod samples;
mod secrets;
mod settings;
mod signals;
mod surroundings;
mod traces;
mod warehouse;
mod while_it_runs;
