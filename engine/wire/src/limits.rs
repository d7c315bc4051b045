//! The limits of the public contract. Lengths are in characters, sizes in bytes.

/// Largest command as text, in bytes.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;
/// Most lines of an order or of a return.
pub const LINES_MAX: usize = 1000;
/// Most components of a line or of an order.
pub const COMPONENTS_MAX: usize = 64;
/// Most payments that the shape can say.
pub const PAYMENTS_MAX: usize = 16;
/// Deliveries of their own an order may name.
pub const DELIVERIES_MAX: usize = 16;
/// Most payments that this version carries out.
pub const PAYMENTS_SUPPORTED_MAX: usize = 16;
/// Most payments of one order over its whole life, those that took the place of declined ones included.
pub const PAYMENTS_OF_ORDER_MAX: usize = 64;
/// Most entries of `attributes`.
pub const ATTRIBUTES_MAX: usize = 32;
/// Longest name of an attribute.
pub const ATTRIBUTE_KEY_MAX_CHARS: usize = 64;
/// Longest value of an attribute.
pub const ATTRIBUTE_VALUE_MAX_CHARS: usize = 512;
/// Longest name, id or reference within `data`: customer, SKU, line, token, method and the like.
pub const NAME_MAX_CHARS: usize = 128;
/// Longest reason or evidence.
pub const REASON_MAX_CHARS: usize = 512;
/// Largest sealed part, in characters of base64.
pub const SEALED_MAX_CHARS: usize = 64 * 1024;
/// Largest quantity of a line, in units.
pub const QUANTITY_MAX: u32 = 1_000_000;
/// Largest version or number of decisions that a caller can name (2^53 - 1).
pub const VERSION_MAX: u64 = (1 << 53) - 1;
/// Longest `traceparent`; a longer one is ignored, as W3C Trace Context asks.
pub const TRACEPARENT_MAX_CHARS: usize = 128;
/// Longest `tracestate`; a longer one is ignored.
pub const TRACESTATE_MAX_CHARS: usize = 512;
/// Longest `dataschema`.
pub const DATASCHEMA_MAX_CHARS: usize = 512;
/// Most extension attributes of an envelope beside those that the contract names.
pub const EXTENSIONS_MAX: usize = 32;
/// Longest name of an extension attribute.
pub const EXTENSION_NAME_MAX_CHARS: usize = 64;
/// Longest value of an extension attribute.
pub const EXTENSION_VALUE_MAX_CHARS: usize = 1024;
/// How far ahead a time may be until which an order waits, in milliseconds: two years.
pub const WAIT_MAX_MS: u64 = 2 * 366 * 24 * 3600 * 1000;
/// How much of a caller's text an error repeats.
pub const SHOWN_MAX_CHARS: usize = 80;
