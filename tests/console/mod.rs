//! The operators' page in a browser: a real server, a few orders, and what Chromium makes of it.
//!
//! Without Chromium the test says so and passes, as with `RETAILFLOW_SKIP=chromium`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::poll::wait_for;
use crate::support::serving::{Serving, http, or_skipped, tool};

/// One page is loaded within this time, or the browser is ended.
const LOADS_WITHIN: Duration = Duration::from_secs(60);
/// What is planted where a shop's system can put text.
const PLANTED: &str = "<script>document.title='TAKEN'</script>";

/// A Chromium that runs here.
fn chromium() -> Option<&'static str> {
    let runs =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)
}

/// Loads a page, with a profile of its own and no talk with anybody else; gives what it wrote.
fn browse(chromium: &str, profile: &Path, more: &[&str], url: &str) -> String {
    let mut command = Command::new(chromium);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--disable-dev-shm-usage", "--timeout=20000"]);
    command.arg(format!("--user-data-dir={}", profile.display())).args(more).arg(url);
    let (status, out, err) = tool(command, LOADS_WITHIN);
    assert!(status.success(), "{status}: {err}");
    out
}

#[test]
fn the_console_shows_orders_in_a_browser() {
    let how = "Debian has it as chromium: apt-get install chromium";
    let Some(chromium) = or_skipped("console", "chromium", how, chromium) else { return };
    let serving = Serving::start(&["--set", "probe.interval_ms=0"]);
    for (order, sku) in [("o-1", "cd"), ("o-2", PLANTED)] {
        assert_eq!(serving.place(order, sku), 200);
    }
    let admin = serving.admin.clone();
    wait_for("both orders are complete and in the lists", LOADS_WITHIN, || {
        let (_, list) = http(&admin, "GET", "/console/orders?tenant=shop&status=completed", &[], "");
        (list.contains(">o-1<") && list.contains(">o-2<")).then_some(())
    });
    let profile = serving.file("profile");
    let dom = |path: &str| browse(chromium, &profile, &["--dump-dom"], &format!("http://{admin}{path}"));
    let page = dom("/console?refresh=off");
    for seen in ["Ready", "Commands in flight", "fsync", "tenant=shop&amp;status=open", "MiB"] {
        assert!(page.contains(seen), "{seen}: {page}");
    }
    let page = dom("/console/orders?tenant=shop&status=&attention=");
    assert!(page.contains("/console/orders/shop/o-1") && page.contains("23.54 USD"), "{page}");
    let page = dom("/console/orders/shop/o-2");
    for seen in ["completed", "place-o-2", "reserve asked for", "capture done", "&lt;script&gt;"] {
        assert!(page.contains(seen), "{seen}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("TAKEN</title>"), "{page}");
    assert!(!page.contains("CUSTOMER-7"), "{page}");
    assert!(dom("/console/parked").contains("No order is parked."));
    assert!(dom("/console/orders/shop/none").contains("order_not_found"));

    // For a look by eye.
    if let Some(folder) = std::env::var_os("RETAILFLOW_SCREENSHOTS") {
        let pages = [
            ("now", "/console?refresh=off"),
            ("list", "/console/orders?tenant=shop"),
            ("order", "/console/orders/shop/o-1"),
        ];
        for (name, path) in pages {
            let file =
                format!("--screenshot={}", Path::new(&folder).join(name).with_extension("png").display());
            browse(chromium, &profile, &[&file, "--window-size=1100,1000"], &format!("http://{admin}{path}"));
        }
    }
    assert!(!serving.log().contains("CUSTOMER-7") && !serving.log().contains("script"), "{}", serving.log());
}

#[test]
fn a_strangers_page_is_not_let_in() {
    let serving = Serving::start(&["--set", "probe.interval_ms=0"]);
    let post = |headers: &[(&str, &str)]| {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let headers = [&form[..], headers].concat();
        http(&serving.admin, "POST", "/console/parked/shop/o-1/release", &headers, "operator=ann")
    };
    let own = format!("http://{}", serving.admin);
    assert_eq!(post(&[("Origin", "http://evil.example")]).0, 403);
    assert_eq!(post(&[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)]).0, 403);
    assert_eq!(post(&[]).0, 403);
    let (status, page) = post(&[("Sec-Fetch-Site", "same-origin"), ("Origin", &own)]);
    assert_eq!(status, 409, "{page}");
    assert!(page.contains("not_parked"), "{page}");
}

#[test]
fn what_an_act_would_come_to_is_shown_before_it_is_done() {
    let serving = Serving::start(&["--set", "probe.interval_ms=0"]);
    assert_eq!(serving.place("o-1", "cd"), 200);
    let own = format!("http://{}", serving.admin);
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Origin", own.as_str()),
    ];
    let at = "/console/orders/shop/o-1/act";
    wait_for("the order is completed", LOADS_WITHIN, || {
        let (_, page) = http(&serving.admin, "GET", "/console/orders/shop/o-1", &[], "");
        page.contains("capture done").then_some(())
    });
    let (status, page) = http(&serving.admin, "GET", &format!("{at}?verb=refund"), &[], "");
    assert_eq!(status, 200, "{page}");
    let id = page.split("value=\"console-").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(page.contains("amount_minor") && page.contains("verb=exchange"), "{page}");
    let data = "%7B%22amount_minor%22%3A100%2C%22reason%22%3A%22late%22%7D";
    let body = |then: &str| format!("verb=refund&data={data}&operator=ann&id=console-{id}&do={then}");
    let post = |body: &str| http(&serving.admin, "POST", at, &headers, body);
    for _ in 0..2 {
        let (status, page) = post(&body("look"));
        assert_eq!(status, 200, "{page}");
        assert!(page.contains("To be paid back") && page.contains("Carry it out"), "{page}");
    }
    for _ in 0..2 {
        let (status, page) = post(&body("carry-out"));
        assert!(status == 200 && page.contains("applied"), "{page}");
    }
    wait_for("it is paid back once", LOADS_WITHIN, || {
        let (_, page) = http(&serving.admin, "GET", "/console/orders/shop/o-1", &[], "");
        (page.matches("refund done").count() == 1).then_some(())
    });
    let (status, page) = post("verb=place&data=%7B%7D&operator=ann&id=x&do=look");
    assert_eq!(status, 400, "{page}");
    let (status, page) = post(&body("carry-out").replace("operator=ann", "operator="));
    assert!(status == 400 && page.contains("say who you are"), "{page}");
}
