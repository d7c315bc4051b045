//! The suite of [`Tenants`].

use std::sync::Arc;

use super::Subject;
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{TenantSetting, TenantStatus, Tenants};

/// The port under test.
pub type Port = Arc<dyn Tenants>;

/// Runs every check.
pub async fn suite<S: Subject<Port = Port>>(subject: &mut S) {
    get_sees_every_acknowledged_put(subject).await;
    a_setting_outlives_the_process(subject).await;
    list_is_in_the_order_of_names(subject).await;
}

/// A setting.
#[must_use]
pub fn setting(tenant: &str, status: TenantStatus, in_flight_max: Option<u32>) -> TenantSetting {
    TenantSetting { status, in_flight_max, ..TenantSetting::new(TenantId::parse(tenant).unwrap()) }
}

/// "`get` MUST see every acknowledged `put`": the last one of each tenant, and nothing of an unknown one.
pub async fn get_sees_every_acknowledged_put<S: Subject<Port = Port>>(subject: &mut S) {
    let port = subject.fresh().await;
    let settings = [
        setting("cdnow", TenantStatus::Active, None),
        setting("cdnow", TenantStatus::Suspended, Some(7)),
        setting("cdnow", TenantStatus::Suspended, Some(7)),
        setting("cdnow", TenantStatus::Active, Some(u32::MAX)),
        setting("cdnow", TenantStatus::Active, None),
    ];
    assert_eq!(port.get(&settings[0].tenant), None);
    for setting in settings {
        port.put(setting.clone()).await.unwrap();
        assert_eq!(port.get(&setting.tenant), Some(setting.clone()));
        assert_eq!(port.list(), [setting]);
    }
    assert_eq!(port.get(&TenantId::parse("cdnow-2").unwrap()), None);
}

/// "`put` MUST return only when the setting is as durable as a committed record".
pub async fn a_setting_outlives_the_process<S: Subject<Port = Port>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    for limit in 1..4 {
        let changed = setting("cdnow", TenantStatus::Suspended, Some(limit));
        let other = setting("0", TenantStatus::Active, None);
        port.put(changed.clone()).await.unwrap();
        port.put(other.clone()).await.unwrap();
        port = subject.reopen(port).await;
        assert_eq!(port.get(&changed.tenant), Some(changed.clone()));
        assert_eq!(port.list(), [other, changed]);
    }
}

/// "`list` MUST be in the order of names", each once, in whatever order they came.
pub async fn list_is_in_the_order_of_names<S: Subject<Port = Port>>(subject: &mut S) {
    let port = subject.fresh().await;
    assert_eq!(port.list(), []);
    let names: Vec<String> = (0..50).map(|number| format!("t{}", number * 37 % 50)).collect();
    for name in names.iter().chain(&names) {
        port.put(setting(name, TenantStatus::Active, Some(3))).await.unwrap();
    }
    let mut expected = names;
    expected.sort_unstable();
    let listed = |port: &Port| -> Vec<String> { port.list().iter().map(|s| s.tenant.to_string()).collect() };
    assert_eq!(listed(&port), expected);
    let port = subject.reopen(port).await;
    assert_eq!(listed(&port), expected);
}
