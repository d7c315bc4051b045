//! The operators' paths.

use retailflow_engine::wire::CommandType;
use serde_json::{Value, json};

use super::parts::{
    self, Answers, command_answers, command_body, command_headers, given, needed, order_path, query,
    tenant_path,
};
use super::paths::{add, all, limit, process_paths};
use crate::backup::{BYTES, BYTES_MAX};
use crate::letters::TENANT_MAX_CHARS;

pub(super) fn paths() -> Value {
    let kinds: Vec<CommandType> =
        CommandType::ALL.iter().copied().filter(|kind| kind.is_operator()).collect();
    let mut paths = process_paths();
    let order = "/v1/admin/tenants/{tenant}/orders/{order}";
    let operator = vec![given(
        "Rf-Operator",
        "Who acts; recorded.",
        json!({ "type": "string", "pattern": "^[!-~]([ -~]{0,62}[!-~])?$" }),
    )];
    add(
        &mut paths,
        &format!("{order}/commands"),
        "post",
        json!({
            "operationId": "sendOperatorCommand",
            "summary": "Send an operator's command, and get its outcome once that is durable",
            "parameters": all([order_path(), operator.clone(), command_headers(&kinds)]),
            "requestBody": command_body(&kinds),
            "responses": command_answers(),
        }),
    );
    let ends = [
        (
            "release",
            "releaseOrder",
            "Decide what waits behind a parked order, and let it take commands again",
        ),
        (
            "discard",
            "discardQueue",
            "Have what waits behind a parked order rejected, and let it take commands again",
        ),
    ];
    for (word, id, summary) in ends {
        add(
            &mut paths,
            &format!("{order}/{word}"),
            "post",
            json!({
                "operationId": id,
                "summary": summary,
                "parameters": all([order_path(), operator.clone(), vec![parts::timeout()]]),
                "responses": Answers::reading()
                    .problem(409, "The order is not parked, is being released already, or something has to be mended first.")
                    .problem(504, "The time was up before it was done.")
                    .json(200, "What became of the commands.", "release.v1")
                    .done(),
            }),
        );
    }
    add(
        &mut paths,
        "/v1/admin/parked",
        "get",
        json!({
            "operationId": "listParked",
            "summary": "Parked orders, by tenant and order",
            "parameters": [
                query("after", "The \"next\" of an earlier page.", json!({ "type": "string", "pattern": "^[^/]*/[^/]*$", "maxLength": TENANT_MAX_CHARS })),
                limit(),
                parts::timeout(),
            ],
            "responses": Answers::reading().json(200, "A page of parked orders.", "parked.v1").done(),
        }),
    );
    add(
        &mut paths,
        &format!("{order}/parked"),
        "get",
        json!({
            "operationId": "getParkedQueue",
            "summary": "A parked order, and what waits behind it, without what it says",
            "parameters": all([order_path(), vec![
                query("after", "Only commands after this sequence.", json!({ "type": "integer", "minimum": 0, "default": 0, "maximum": (1u64 << 53) - 1 })),
                limit(),
                parts::timeout(),
            ]]),
            "responses": Answers::reading()
                .problem(409, "The order is not parked.")
                .json(200, "A page of the queue.", "parked-queue.v1")
                .done(),
        }),
    );
    add(
        &mut paths,
        "/v1/admin/tenants",
        "get",
        json!({
            "operationId": "listTenants",
            "summary": "Tenants, by name",
            "parameters": [query("after", "The \"next\" of an earlier page.", parts::tenant_id()), limit()],
            "responses": Answers::reading().json(200, "A page of tenants.", "tenants.v1").done(),
        }),
    );
    let tenant = "/v1/admin/tenants/{tenant}";
    add(
        &mut paths,
        tenant,
        "get",
        json!({
            "operationId": "getTenant",
            "summary": "A tenant, and what is set for it",
            "parameters": tenant_path(),
            "responses": Answers::reading().json(200, "The tenant.", "tenant.v1").done(),
        }),
    );
    add(
        &mut paths,
        tenant,
        "patch",
        json!({
            "operationId": "setTenant",
            "summary": "Make a tenant, or change what is set for it",
            "description": "In force as soon as it is answered. What is not named stays as it is.",
            "parameters": all([tenant_path(), operator.clone(), vec![parts::timeout()]]),
            "requestBody": parts::json_body("tenant-change.v1"),
            "responses": Answers::reading()
                .problem(408, "The request did not arrive in time.")
                .problem(413, "It is larger than any that makes sense.")
                .problem(415, "application/json is expected, in no encoding.")
                .problem(504, "The log did not answer: it may be recorded, or not.")
                .json(200, "The tenant as it is now.", "tenant.v1")
                .done(),
        }),
    );
    add(
        &mut paths,
        "/v1/admin/dead-letters",
        "get",
        json!({
            "operationId": "listDeadLetters",
            "summary": "Messages that belong to no order, in the order in which they were put away",
            "description": "A page looks at so many letters at most: it may hold fewer than were asked for, and says where to go on.",
            "parameters": [
                query("tenant", "Only letters of this tenant; \"-\" for those of none.", json!({ "type": "string", "maxLength": 512 })),
                query("after", "The \"next\" of an earlier page.", json!({ "type": "integer", "minimum": 0, "default": 0, "maximum": u64::MAX })),
                limit(),
                parts::timeout(),
            ],
            "responses": Answers::reading()
                .json(200, "A page of letters.", "dead-letters.v1")
                .problem(501, "The letters of a cluster are in a stream.")
                .done(),
        }),
    );
    add(
        &mut paths,
        "/v1/admin/backup",
        "get",
        json!({
            "operationId": "getBackupCut",
            "summary": "What a backup of this node copies, up to a place before which all is durable",
            "parameters": [parts::timeout()],
            "responses": Answers::reading().json(200, "The parts.", "backup-cut.v1").done(),
        }),
    );
    let byte = |minimum: u64| json!({ "type": "integer", "minimum": minimum, "maximum": BYTES_MAX });
    add(
        &mut paths,
        "/v1/admin/backup/bytes",
        "get",
        json!({
            "operationId": "getBackupBytes",
            "summary": "Bytes of a part of a backup",
            "description": "An answer that breaks off is gone on with from the next byte: what belongs to a cut does not change.",
            "parameters": [
                needed("part", "The part's name, as the cut has it.", json!({ "type": "string", "minLength": 1, "maxLength": 64 })),
                query("from", "The first byte.", byte(0)),
                needed("until", "The byte after the last one: the part's \"bytes\" as the cut has them.", byte(1)),
            ],
            "responses": Answers::reading().text(200, "The bytes.", BYTES).done(),
        }),
    );
    Value::Object(paths)
}
