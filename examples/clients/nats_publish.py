"""Publishes a command and waits for its outcome. Needs nats-py (pip install nats-py).

    python3 nats_publish.py nats://127.0.0.1:4222 shop 3001

The publish door is a JetStream publish. Its acknowledgement says that the command is stored, also while no node is up; it will be
decided, once, however often it was published. The outcome is sent to the subject in `Rf-Reply-To`: as a core message, so it may be
missed. Whoever needs it publishes the same id again, and the same outcome is sent again; or reads the events (nats_events.py).
"""

import asyncio
import json
import sys
import uuid

import nats
import nats.errors
import nats.js.errors

ATTEMPTS_MAX = 20
ACKNOWLEDGED_WITHIN_S = 10.0
OUTCOME_WITHIN_S = 15.0
PAUSE_S = 1.0


def place_order(tenant, order):
    return {
        "specversion": "1.0",
        "id": f"place-{order}",
        "source": "/shop/python",
        "type": "retailflow.order.place.v1",
        "tenant": tenant,
        "subject": order,
        "data": {
            "customer": "7",
            "currency": "USD",
            "lines": [{"line_id": "1", "sku": "cd", "quantity": 2, "amount_minor": 2354}],
        },
    }


async def publish(connection, command, reply_to):
    """Publishes it until the stream has acknowledged it. A second copy does no harm: the id is the same.

    Publish the next command of the *same order* after this one's acknowledgement; other orders need not wait.
    """
    subject = f"rf.v1.cmd.{command['tenant']}.{command['subject']}"
    headers = {"Content-Type": "application/cloudevents+json", "Rf-Reply-To": reply_to}
    body = json.dumps(command).encode()
    for _ in range(ATTEMPTS_MAX):
        try:
            # No Nats-Msg-Id: these ids are one namespace for all tenants, and another's command could hide ours.
            stored = await connection.jetstream().publish(
                subject, body, timeout=ACKNOWLEDGED_WITHIN_S, headers=headers
            )
            return stored.seq
        except (nats.errors.Error, nats.js.errors.Error) as error:
            # No answer: it may be stored. Refused: the stream is full, or not there now. The same again in any case.
            print(f"again in {PAUSE_S} s: {error!r}", file=sys.stderr)
            await asyncio.sleep(PAUSE_S)
    raise SystemExit("not acknowledged; publish it again later")


async def main(url, tenant, order):
    connection = await nats.connect(url)
    try:
        # A subject of the tenant's own, which also leads into another account; `_INBOX.…` would not.
        reply_to = f"rf.v1.reply.{tenant}.{uuid.uuid4().hex}"
        replies = await connection.subscribe(reply_to)
        await connection.flush()
        command = place_order(tenant, order)
        for _ in range(ATTEMPTS_MAX):
            sequence = await publish(connection, command, reply_to)
            print(f"stored as {sequence}", file=sys.stderr)
            try:
                reply = await replies.next_msg(timeout=OUTCOME_WITHIN_S)
            except nats.errors.TimeoutError:
                # No node is up, it is busy, or the reply was lost.
                continue
            outcome = json.loads(reply.data)
            print(json.dumps(outcome))
            if outcome["status"] in ("refused", "rejected"):
                # What was refused stands with the dead letters.
                raise SystemExit(f"{outcome['status']}: {outcome['code']}")
            return
        raise SystemExit("stored, and no outcome yet: it will be decided; the events will tell")
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
