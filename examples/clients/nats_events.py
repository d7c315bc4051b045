"""Reads events from the stream RF_EVT, and goes on where it stopped. Needs nats-py (pip install nats-py).

    python3 nats_events.py nats://127.0.0.1:4222 shop cursor.json            # until it is stopped
    python3 nats_events.py nats://127.0.0.1:4222 shop cursor.json --count 4  # the next four events

This is for services of the account that has the log (docs/nats.md says why): a tenant with an account of its own reads over HTTP
(http_events.py), or subscribes to `rf.v1.evt.<tenant>.*` and misses what comes while it is away.

The position is ours: the stream's sequence, kept in a file, written after the event was handled. A crash in between gives that event
once more under the same `id`. Better still, keep it in the same transaction as what the event does.
"""

import asyncio
import json
import os
import sys
import urllib.parse

import nats
import nats.errors
import nats.js.errors
from nats.js.api import ConsumerConfig, DeliverPolicy

STREAM = "RF_EVT"
PAUSE_S = 2.0
# Nothing for so long: look whether the stream is still the one that we read.
QUIET_S = 30.0


def read_cursor(file):
    try:
        with open(file, encoding="utf-8") as kept:
            return json.load(kept)
    except FileNotFoundError:
        return None


def write_cursor(file, cursor):
    # The old one or the new one, whole, whatever happens in between.
    with open(file + ".new", "w", encoding="utf-8") as kept:
        json.dump(cursor, kept)
        kept.flush()
        os.fsync(kept.fileno())
    os.replace(file + ".new", file)


def to_event(message):
    """The CloudEvent of a message in binary mode: attributes in percent-encoded headers, `data` in the body."""
    headers = message.headers or {}
    event = {
        name.lower().removeprefix("ce-"): urllib.parse.unquote(value)
        for name, value in headers.items()
        if name.lower().startswith("ce-")
    }
    event["data"] = json.loads(message.data)
    return event


async def follow(stream, tenant, file, handle):
    """Gives each event behind the cursor to `handle`, until that says False or there is trouble."""
    info = await stream.stream_info(STREAM)
    created = str(info.created)
    cursor = read_cursor(file) or {"created": created, "sequence": 0}
    if cursor["created"] != created or info.state.last_seq < cursor["sequence"]:
        # It was made anew, or restored from an older copy: read the orders that matter anew, then begin without a cursor.
        raise SystemExit(f"{STREAM} is not the one that was read: delete {file}, and begin anew")
    start = cursor["sequence"] + 1
    # An ordered consumer lives in the server's memory and acknowledges nothing; a gap makes the client open another one.
    config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start)
    reading = await stream.subscribe(
        f"rf.v1.evt.{tenant}.*", stream=STREAM, ordered_consumer=True, config=config
    )
    try:
        while True:
            try:
                message = await reading.next_msg(timeout=QUIET_S)
            except nats.errors.TimeoutError:
                return True
            goes_on = handle(to_event(message))
            write_cursor(file, {"created": created, "sequence": message.metadata.sequence.stream})
            if not goes_on:
                return False
    finally:
        await reading.unsubscribe()


async def main(url, tenant, file, *count):
    left = int(count[1]) if count else None

    def handle(event):
        nonlocal left
        # Here an application does its work; when this returns, the event is dealt with.
        print(event["id"], event["type"], flush=True)
        left = None if left is None else left - 1
        return left != 0

    connection = await nats.connect(url, max_reconnect_attempts=-1)
    try:
        goes_on = True
        while goes_on:
            try:
                goes_on = await follow(connection.jetstream(), tenant, file, handle)
            except (nats.errors.Error, nats.js.errors.Error) as error:
                print(f"again in {PAUSE_S} s: {error!r}", file=sys.stderr)
                await asyncio.sleep(PAUSE_S)
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
