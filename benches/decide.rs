//! Deciding and encoding in memory: what one command costs before anything touches a disk.
//!
//! `cargo bench --bench decide`

use divan::Bencher;
use retailflow_engine::codec::v1;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::{Actor, Aggregate, Command, Context, Draft, Policy};
use retailflow_engine::wire::decode_command;

fn main() {
    divan::main();
}

const PLACE: &str = r#"{"specversion":"1.0","id":"c-1","source":"/shop/web","type":"retailflow.order.place.v1","tenant":"cdnow","subject":"17","data":{"customer":"00001","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":1177}]}}"#;

fn context() -> Context {
    let policy = Policy::v1();
    Context { now: TimestampMs(0), policy }
}

fn command(id: usize) -> Command {
    let json = PLACE.replace("c-1", &format!("c-{id}"));
    Command::from_event(decode_command(json.as_bytes()).expect("a good command"), Actor::Tenant)
}

fn record(commands: usize) -> (Aggregate, Vec<u8>) {
    let aggregate = Aggregate::new(command(0).order);
    let mut draft = Draft::new(&aggregate);
    for id in 0..commands {
        draft.decide(&aggregate, &command(id), &context(), false);
    }
    let bytes = draft.seal(&aggregate).expect("it fits").bytes.to_vec();
    (aggregate, bytes)
}

/// JSON to a command, with its content hash.
#[divan::bench]
fn decode_json(bencher: Bencher<'_, '_>) {
    bencher.bench(|| Command::from_event(decode_command(PLACE.as_bytes()).expect("good"), Actor::Tenant));
}

/// One place command: decide, encode, hash, commit to memory.
#[divan::bench]
fn place_to_record(bencher: Bencher<'_, '_>) {
    let command = command(1);
    bencher.bench(|| {
        let mut aggregate = Aggregate::new(command.order.clone());
        let mut draft = Draft::new(&aggregate);
        draft.decide(&aggregate, &command, &context(), false);
        draft.seal(&aggregate).expect("it fits").commit_to(&mut aggregate, 1000);
        aggregate
    });
}

/// So many commands of one hot order combined into one record.
#[divan::bench(args = [1, 16, 256])]
fn combine(bencher: Bencher<'_, '_>, commands: usize) {
    let commands: Vec<Command> = (0..commands).map(command).collect();
    let aggregate = Aggregate::new(commands[0].order.clone());
    bencher.counter(commands.len()).bench(|| {
        let mut draft = Draft::new(&aggregate);
        for command in &commands {
            draft.decide(&aggregate, command, &context(), false);
        }
        draft.seal(&aggregate).expect("it fits")
    });
}

/// A stored record to its decoded form.
#[divan::bench(args = [1, 256])]
fn decode_record(bencher: Bencher<'_, '_>, commands: usize) {
    let (_, bytes) = record(commands);
    bencher.counter(commands).bench(|| v1::decode(&bytes).expect("good"));
}

/// A stored record folded into an order's state.
#[divan::bench(args = [1, 256])]
fn fold_record(bencher: Bencher<'_, '_>, commands: usize) {
    let (aggregate, bytes) = record(commands);
    bencher.counter(commands).bench(|| {
        let mut aggregate = aggregate.clone();
        aggregate.fold(&bytes, 1000).expect("it follows");
        aggregate
    });
}

/// Where an order lives.
#[divan::bench]
fn partition(bencher: Bencher<'_, '_>) {
    let order = command(1).order;
    bencher.bench(|| partition_of(divan::black_box(&order), 128));
}
