use super::*;

fn order() -> OrderRef {
    let tenant = TenantId::parse("shop-1").unwrap();
    OrderRef { tenant, order: OrderId::parse("A_9-z").unwrap() }
}

/// Golden: what stands in streams that were written before.
#[test]
fn subjects_are_frozen() {
    let (p, order) = (PartitionId(7), order());
    assert_eq!(stream(3), "RF_LOG_3");
    assert_eq!(identity(3), "rf.log.identity.3");
    assert_eq!(fence(p), "rf.log.7.fence");
    assert_eq!(record(p, &order), "rf.log.7.o.shop-1.A_9-z");
    assert_eq!(control(p, &order), "rf.log.7.c.shop-1.A_9-z");
    assert_eq!(deadline(p, &order), "rf.log.7.d.shop-1.A_9-z");
    assert_eq!(controls_of(p), "rf.log.7.c.>");
    assert_eq!(deadlines_of(p), "rf.log.7.d.>");
    assert_eq!(of_stream(1, 5, 2), ["rf.log.1.>", "rf.log.3.>", "rf.log.identity.1"]);
    assert_eq!(of_stream(0, 1, 1), ["rf.log.0.>", "rf.log.identity.0"]);
    assert_eq!([0, 1, 127].map(|p| shard_of(PartitionId(p), 8)), [0, 1, 7]);
}

#[test]
fn what_is_made_is_read_back_and_nothing_else_is() {
    let (p, order) = (PartitionId(65_535), order());
    assert_eq!(parse(&identity(8)), Some(Subject::Identity(8)));
    assert_eq!(parse(&fence(p)), Some(Subject::Fence(p)));
    assert_eq!(parse(&record(p, &order)), Some(Subject::Record(p, order.clone())));
    assert_eq!(parse(&control(p, &order)), Some(Subject::Control(p, order.clone())));
    assert_eq!(parse(&deadline(p, &order)), Some(Subject::Deadline(p, order)));
    assert_eq!(parse(&probe(p)), Some(Subject::Probe(p)));
    let strange = [
        "rf.log",
        "rf.log.",
        "rf.log.7",
        "rf.log.07.fence",
        "rf.log.+7.fence",
        "rf.log.65536.fence",
        "rf.log.7.x.t.o",
        "rf.log.7.o.t",
        "rf.log.7.o.T.o",
        "rf.log.7.o.t.o.o",
        "rf.log.identity.x",
        "rf.logs.7.fence",
    ];
    for subject in strange {
        assert_eq!(parse(subject), None, "{subject}");
    }
}

/// Golden: what callers publish to, and what stands in streams that were written before.
#[test]
fn the_doors_subjects_are_frozen() {
    let (p, order) = (PartitionId(7), order());
    assert_eq!([COMMANDS, EVENTS, DEAD_LETTERS], ["RF_CMD", "RF_EVT", "RF_DLQ"]);
    assert_eq!([COMMANDS_IN, COMMANDS_STORED], ["rf.v1.cmd.*.*", "rf.cmd.*.*.*"]);
    assert_eq!([EVENTS_ALL, DEAD_LETTERS_ALL, ASKED], ["rf.v1.evt.*.*", "rf.dlq.*.*", "rf.v1.ask.*.*"]);
    assert_eq!(command_transform(128), "rf.cmd.{{partition(128,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}");
    assert_eq!(command(&order), "rf.v1.cmd.shop-1.A_9-z");
    assert_eq!(commands_of(p), "rf.cmd.7.>");
    assert_eq!(command_wakes_of(p), "rf.wake.cmd.7");
    assert_eq!([ask(&order), node(p)], ["rf.v1.ask.shop-1.A_9-z", "rf.node.v1.7"]);
    assert_eq!(event(&order), "rf.v1.evt.shop-1.A_9-z");
    assert_eq!(events_of(&order.tenant), "rf.v1.evt.shop-1.*");
    assert_eq!([META, TENANTS_ALL, CURSORS_ALL], ["RF_META", "rf.meta.tenant.*", "rf.meta.cursor.*.*"]);
    assert_eq!([SECRETS_ALL, TOKEN_SECRET], ["rf.meta.secret.*", "rf.meta.secret.tokens"]);
    assert_eq!(tenant(&order.tenant), "rf.meta.tenant.shop-1");
    assert_eq!(cursor("events", p), "rf.meta.cursor.events.7");
    let key = [0xab; 16];
    assert_eq!(dead_letter(Some("shop-1"), &key), "rf.dlq.shop-1.abababababababababababababababab");
    for strange in [None, Some("a.b"), Some(">"), Some("NO"), Some("")] {
        assert_eq!(dead_letter(strange, &key), "rf.dlq._.abababababababababababababababab");
    }
}

#[test]
fn a_setting_is_one_tenants() {
    let order = order();
    assert_eq!(parse_tenant(&tenant(&order.tenant)), Some(order.tenant));
    for strange in ["rf.meta.tenant.", "rf.meta.tenant.NO", "rf.meta.tenant.a.b", "rf.meta.cursor.a.1"] {
        assert_eq!(parse_tenant(strange), None, "{strange}");
    }
}

#[test]
fn callers_tokens_are_read_as_they_stand() {
    assert_eq!(parse_command("rf.cmd.7.shop.A"), Some((PartitionId(7), "shop", "A")));
    assert_eq!(parse_command("rf.cmd.7.NO.ü"), Some((PartitionId(7), "NO", "ü")));
    for strange in ["rf.cmd.07.a.b", "rf.cmd.7.a", "rf.cmd.7.a.b.c", "rf.cmd.x.a.b", "rf.v1.cmd.a.b"] {
        assert_eq!(parse_command(strange), None, "{strange}");
    }
    assert_eq!(parse_ask("rf.v1.ask.shop.A"), Some(("shop", "A")));
    for strange in ["rf.v1.ask.shop", "rf.v1.ask.a.b.c", "rf.v1.cmd.a.b"] {
        assert_eq!(parse_ask(strange), None, "{strange}");
    }
}

#[test]
fn answers_go_to_inboxes_and_to_the_tenants_own_subjects() {
    let may = |reply: &str| may_answer(reply, Some("shop"));
    assert!(may("_INBOX.a") && may("_INBOX.a.b") && may("rf.v1.reply.shop.x.y"));
    let strange = [
        "rf.log.0.fence",
        "$JS.API.STREAM.DELETE.RF_CMD",
        "_INBOX",
        "_INBOX.",
        "_INBOX.a..b",
        "_INBOX.>",
        "_INBOX.a.*",
        "_INBOX.a b",
        "_INBOXES.a",
        "rf.v1.reply.shop",
        "rf.v1.reply.shop.",
        "rf.v1.reply.shops.x",
        "rf.v1.reply.other.x",
        "",
    ];
    for reply in strange {
        assert!(!may(reply), "{reply}");
    }
    assert!(!may(&format!("_INBOX.{}", "x".repeat(REPLY_MAX_BYTES))));
    assert!(!may_answer("rf.v1.reply.shop.x", None) && may_answer("_INBOX.x", None));
    // In a header anybody may name what as a reply only the server can.
    assert!(may("_R_.SnIWUW.wDabV9") && !may("_R_.") && !may_tell("_R_.SnIWUW.wDabV9", Some("shop")));
    assert!(may_tell("_INBOX.a", None) && may_tell("rf.v1.reply.shop.x", Some("shop")));
}
