//! The operators' page over a socket: who may ask, what is answered, and what a form does.

use hyper::Request;

use crate::world::{Client, Reply, World};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A request of a browser that was pointed at the address.
async fn page(world: &World, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let host = world.running.admin_addr.to_string();
    let mut client = Client::connect(world.running.admin_addr).await;
    let request = Request::builder().method(method).uri(path).header("host", host);
    client.send(request, headers, body.as_bytes()).await
}

async fn get(world: &World, path: &str) -> Reply {
    page(world, "GET", path, &[], "").await
}

#[tokio::test]
async fn each_page_is_answered_under_a_strict_policy() {
    let world = World::new().await;
    *world.lists.next.lock().unwrap() = "trouble".into();
    let list = world.get("/v1/tenants/shop/orders").await.json();
    let trouble = format!("/console/orders?tenant=shop&after={}", list["next"].as_str().unwrap());
    let pages = [
        ("/console", 200, "Ready"),
        ("/console/orders", 200, "shop"),
        ("/console/orders?tenant=shop&status=&attention=held&after=", 200, "Next page"),
        ("/console/orders/shop/o-1", 200, "Timeline"),
        ("/console/orders/shop/parked", 200, "it crashed"),
        ("/console/parked", 200, "p-3"),
        ("/console/parked/shop/parked", 200, "Discard"),
        ("/console/orders?tenant=none", 404, "unknown_tenant"),
        ("/console/orders?tenant=NO", 400, "invalid_id"),
        ("/console/orders?tenant=shop&status=lost", 400, "invalid_field"),
        ("/console/orders?tenant=shop&after=bad", 400, "invalid_token"),
        (&trouble, 503, "unavailable"),
        ("/console/orders/shop/none", 404, "order_not_found"),
        ("/console/orders/shop/broken", 500, "internal"),
        ("/console/parked/shop/o-1", 409, "not_parked"),
        ("/console?x=%3Cscript%3E", 400, "unknown_field"),
    ];
    for (path, status, seen) in pages {
        let reply = get(&world, path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(reply.text().contains(seen), "{path}: {}", reply.text());
        assert!(!reply.text().contains("SECRET") && !reply.text().contains("<script"), "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let policy = reply.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{policy}");
        }
    }
    let style = get(&world, "/console/style.css").await;
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(style.text().contains("prefers-color-scheme: dark"));
}

/// The operators' port by itself used to be a 404 in JSON.
#[tokio::test]
async fn the_bare_address_leads_to_the_console() {
    let world = World::new().await;
    let reply = get(&world, "/").await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/console")));
    world.get("/").await.refused(404, "not_found");
}

#[tokio::test]
async fn what_ails_the_node_is_on_the_first_page() {
    let world = World::new().await;
    world.reasons.lock().unwrap().push("the disk <is> gone".into());
    let reply = get(&world, "/console").await;
    assert!(reply.text().contains("Not ready") && reply.text().contains("the disk &lt;is&gt; gone"));
    assert!(reply.text().contains("http-equiv=refresh"));
    assert!(!get(&world, "/console?refresh=off").await.text().contains("http-equiv"));
}

#[tokio::test]
async fn another_name_and_a_strangers_form_do_nothing() {
    let world = World::new().await;
    // The test's own client says "test" for the host.
    let world_elsewhere = World::with(|http| http.host_names = "localhost".to_owned()).await;
    let address = world_elsewhere.running.admin_addr;
    assert_eq!(Client::connect(address).await.call("GET", "/console", &[], b"").await.status, 403);
    let own = format!("http://{}", world.running.admin_addr);
    let path = "/console/parked/shop/o-1/release";
    for headers in [
        &[FORM][..],
        &[FORM, ("origin", "http://evil.example")],
        &[FORM, ("origin", "null")],
        &[FORM, ("origin", &own), ("sec-fetch-site", "cross-site")],
    ] {
        let reply = page(&world, "POST", path, headers, "operator=ann").await;
        assert_eq!(reply.status, 403, "{headers:?}");
    }
    // The door of the fakes knows nobody but ann, and the report is of two commands.
    let reply = page(&world, "POST", path, &[FORM, ("origin", &own)], "operator=ann").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn parking_is_ended_with_a_name_and_discarding_with_a_tick() {
    let world = World::new().await;
    let end = async |order: &str, verb: &str, body: &str| {
        page(&world, "POST", &format!("/console/parked/shop/{order}/{verb}"), &[FORM, OWN], body).await
    };
    let done = end("o-1", "release", "operator=+ann+").await;
    assert!(done.status == 200 && done.text().contains("Released"), "{}", done.text());
    let done = end("o-1", "discard", "operator=ann&sure=yes").await;
    assert!(done.status == 200 && done.text().contains("Discarded"), "{}", done.text());
    for (order, verb, body, status, code) in [
        ("o-1", "discard", "operator=ann", 400, "missing_field"),
        ("o-1", "release", "", 400, "missing_field"),
        ("o-1", "release", "operator=+", 400, "missing_field"),
        ("o-1", "release", "operator=%C3%A9", 400, "invalid_field"),
        ("o-1", "release", "operator=a%0Ab", 400, "invalid_field"),
        ("o-1", "release", "operator=ann&x=1", 400, "unknown_field"),
        ("not-parked", "release", "operator=ann", 409, "not_parked"),
        ("under-way", "release", "operator=ann", 409, "release_under_way"),
        ("stopped", "discard", "operator=ann&sure=yes", 409, "release_stopped"),
        ("unavailable", "release", "operator=ann", 503, "unavailable"),
    ] {
        let reply = end(order, verb, body).await;
        assert_eq!(reply.status, status, "{order} {verb} {body}: {}", reply.text());
        assert!(reply.text().contains(code), "{}", reply.text());
    }
    let other = [("content-type", "text/plain"), OWN];
    let reply = page(&world, "POST", "/console/parked/shop/o-1/release", &other, "operator=ann").await;
    assert_eq!(reply.status, 415);
}
