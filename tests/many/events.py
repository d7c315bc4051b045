"""Puts hand-made events into a stream called RF_EVT, which it makes if there is none: what no server of ours would send.

    events.py URL FILE    publishes the events of FILE, one JSON line each
"""

import asyncio
import json
import sys
import urllib.parse

import nats


async def main(url, file):
    with open(file, encoding="utf-8") as events:
        lines = [json.loads(line) for line in events]
    connection = await nats.connect(url)
    try:
        stream = connection.jetstream()
        await stream.add_stream(name="RF_EVT", subjects=["rf.v1.evt.*.*"])
        for event in lines:
            data = json.dumps(event.pop("data")).encode()
            headers = {f"ce-{name}": urllib.parse.quote(str(value), safe="/:") for name, value in event.items()}
            await stream.publish(f"rf.v1.evt.{event['tenant']}.{event['subject']}", data, headers=headers)
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
