//! `retailflow order`: one order, looked at, commanded and watched; many, listed and searched.

pub(crate) mod change;
pub(crate) mod dry_run;
pub(crate) mod exchange;
pub(crate) mod list;
pub(crate) mod lists;
pub(crate) mod money;
pub(crate) mod name;
pub(crate) mod operate;
pub(crate) mod scan;
pub(crate) mod send;
pub(crate) mod shop;
pub(crate) mod show;
pub(crate) mod verb;
pub(crate) mod watch;
