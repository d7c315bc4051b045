"""A caller as any system could be one: nats-py, and nothing of ours.

    publish.py URL publish FILE    publishes the commands of FILE, one JSON line each
    publish.py URL collide FILE    publishes them under message ids which commands of other tenants bear as well
    publish.py URL ask FILE        asks for the first one's outcome

Prints one line of JSON: how many were acknowledged, and how many of these as duplicates; or the outcome.
"""

import asyncio
import json
import sys

import nats

# Publishes that wait for their acknowledgement.
IN_FLIGHT = 256
# For room among these, and for the acknowledgements of all, in seconds.
STALLED_MAX_S = 60
ALL_MAX_S = 900
ASKED_MAX_S = 20


def unnamed(lines):
    return [(line, None) for line in lines]


def colliding(lines):
    """The n-th commands of all tenants one after another, under the same id."""
    tenants = {}
    for line in lines:
        tenants.setdefault(json.loads(line)["tenant"], []).append(line)
    together = zip(*tenants.values())
    return [(line, {"Nats-Msg-Id": f"{n:04}"}) for n, lines in enumerate(together) for line in lines]


def subject(kind, line):
    command = json.loads(line)
    return f"rf.v1.{kind}.{command['tenant']}.{command['subject']}"


async def publish(connection, commands):
    stream = connection.jetstream(publish_async_max_pending=IN_FLIGHT)
    sent = [
        await stream.publish_async(subject("cmd", line), line, wait_stall=STALLED_MAX_S, headers=headers)
        for line, headers in commands
    ]
    # The first one that is refused ends it: what is behind it must not overtake it.
    acknowledged = await asyncio.wait_for(asyncio.gather(*sent), ALL_MAX_S)
    duplicates = sum(1 for one in acknowledged if one.duplicate)
    return json.dumps({"acknowledged": len(acknowledged), "duplicates": duplicates})


async def main(url, verb, file):
    with open(file, "rb") as commands:
        lines = commands.read().splitlines()
    connection = await nats.connect(url, allow_reconnect=False)
    try:
        if verb == "ask":
            asked = await connection.request(subject("ask", lines[0]), lines[0], timeout=ASKED_MAX_S)
            print(asked.data.decode())
        else:
            print(await publish(connection, {"publish": unnamed, "collide": colliding}[verb](lines)))
    finally:
        await connection.close()


asyncio.run(main(*sys.argv[1:]))
