"""Asks for the outcome of a command over NATS until there is one. Needs nats-py (pip install nats-py).

    python3 nats_ask.py nats://127.0.0.1:4222 shop 2001

The ask door is a core NATS request: any node answers it, when the outcome is durable. Whatever is lost on the way, we send the same
id again. docs/nats.md describes the door.
"""

import asyncio
import json
import sys

import nats
import nats.errors

# As over HTTP: with these codes the same command under the same id may end otherwise, later.
RETRYABLE = {"408", "429", "500", "503", "504", "507"}
ATTEMPTS_MAX = 20
WAIT_MAX_S = 10.0
# A node answers within this time; we wait a little longer, so that we hear what it says.
NODE_TIMEOUT_MS = 5_000
OUR_TIMEOUT_S = NODE_TIMEOUT_MS / 1000 + 5


def place_order(tenant, order):
    """A CloudEvent in JSON. The subject of the message has to name the same tenant and order."""
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


async def ask(connection, command):
    """Sends it until it has an outcome, and gives that."""
    subject = f"rf.v1.ask.{command['tenant']}.{command['subject']}"
    headers = {"Content-Type": "application/cloudevents+json", "Rf-Timeout-Ms": str(NODE_TIMEOUT_MS)}
    body = json.dumps(command).encode()
    wait, last = 0.1, None
    for _ in range(ATTEMPTS_MAX):
        asked_to_wait = 0.0
        try:
            answer = await connection.request(subject, body, timeout=OUR_TIMEOUT_S, headers=headers)
            outcome = json.loads(answer.data)
            if (answer.headers or {}).get("Nats-Service-Error-Code") not in RETRYABLE:
                return outcome
            last, asked_to_wait = outcome["code"], outcome.get("retry_after_ms", 0) / 1000
        except nats.errors.NoRespondersError:
            last = "no node is up"
        except (nats.errors.TimeoutError, nats.errors.ConnectionClosedError) as error:
            # Whether it was recorded is not known.
            last = type(error).__name__
        await asyncio.sleep(max(wait, asked_to_wait))
        wait = min(wait * 2, WAIT_MAX_S)
    raise SystemExit(f"no outcome after {ATTEMPTS_MAX} attempts; ask again later: {last}")


async def main(url, tenant, order):
    connection = await nats.connect(url)
    try:
        outcome = await ask(connection, place_order(tenant, order))
    finally:
        await connection.close()
    print(json.dumps(outcome))
    if outcome["status"] in ("refused", "rejected"):
        raise SystemExit(f"{outcome['status']}: {outcome['code']}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
