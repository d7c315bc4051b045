//! Keys of the shelf.

use retailflow_engine::ids::{OrderRef, TenantId};

use retailflow_index::IndexError;

pub(super) const META: &[u8] = b"m";
pub(super) const COUNTS: u8 = b'c';
pub(super) const PINNED: u8 = b'l';
pub(super) const BLOCK: u8 = b'b';
pub(super) const DIRECTORY: u8 = b'd';
pub(super) const MARKS: u8 = b'p';
pub(super) const LONG: u8 = b'h';

pub(super) fn key(kind: u8, tenant: &TenantId, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + tenant.as_str().len() + rest.len());
    key.push(kind);
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(rest);
    key
}

pub(super) fn order_key(kind: u8, order: &OrderRef) -> Vec<u8> {
    key(kind, &order.tenant, order.order.as_str().as_bytes())
}

/// The tenant in a key.
pub(super) fn tenant_of(key: &[u8]) -> Result<TenantId, IndexError> {
    let name = key.get(1..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    TenantId::parse(&String::from_utf8_lossy(name)).map_err(|error| IndexError::Damaged(error.to_string()))
}
