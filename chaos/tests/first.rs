use std::sync::Arc;
use std::time::Duration;
use retailflow_actors::*;
use retailflow_chaos::*;
use retailflow_engine::ids::*;
use retailflow_engine::memory::*;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::*;
use retailflow_engine::wire::command::*;
use retailflow_engine::wire::*;
use retailflow_engine::money::*;

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn one_order() {
    let log = Arc::new(MemoryLog::new(LogIdentity { log_id: [1; 16], cluster: "c".into(), partitions: 2, shards: 1, created: TimestampMs(0) }));
    let ports = Ports {
        log: log.clone(), snapshots: Arc::new(MemorySnapshots::default()), tenants: Arc::new(MemoryTenants::default()),
        dead_letters: Arc::new(MemoryDeadLetters::default()), clock: Arc::new(WorldClock::start()), rng: Arc::new(Dice::new(1, 1)),
        durability: Durability::MEMORY,
    };
    let node = Node::start(Settings::new(retailflow_config::Config::default(), "n"), ports).await.unwrap();
    let order = OrderRef { tenant: TenantId::parse("t").unwrap(), order: OrderId::parse("o").unwrap() };
    let key = CommandKey { source: Source::parse("/s").unwrap(), id: CommandId::parse("1").unwrap() };
    let data = CommandData::Place(PlaceData { customer: "c".into(), currency: Currency::parse("USD").unwrap(),
        lines: vec![Line { line_id: "1".into(), sku: "s".into(), quantity: 1, amount_minor: Amount::new(5).unwrap(), components: vec![] }],
        components: vec![], payments: vec![], delivery: None, placed_at: None, attributes: Default::default(), sealed: None, expected_version: None });
    let event = CommandEvent::new(order, key, data);
    let command = Command::from_event(event, Actor::Tenant);
    println!("{:?}", node.ask(command.clone()).await);
    println!("{:?}", node.ask(command.clone()).await);
    println!("{} groups, live {}", log.groups().len(), node.live_orders());
    println!("{:?}", node.stop(Duration::from_secs(5)).await);
}
