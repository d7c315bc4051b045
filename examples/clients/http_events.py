"""Reads a tenant's events over HTTP, and goes on where it stopped. Needs Python 3.9, and nothing else.

    python3 http_events.py http://127.0.0.1:8080 shop cursor.txt            # until it is stopped
    python3 http_events.py http://127.0.0.1:8080 shop cursor.txt --count 4  # the next four events

Events come at least once, those of one order in the order of its versions. We keep the last id that we have dealt with in a file,
written after the event was handled: a crash in between gives that event once more, so what handles it has to bear that (the
event's `id` is the same each time).
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# The server sends something every 15 seconds (http.stream_heartbeat_ms): a connection that is silent for longer is dead.
SILENT_MAX_S = 45
PAUSE_S = 2.0


class FileCursor:
    """Where we are, in a file. Better still is a place that changes in one transaction with what events do (accountant.py)."""

    def __init__(self, file):
        self.file = file

    def read(self):
        try:
            with open(self.file, encoding="ascii") as kept:
                return kept.read().strip()
        except FileNotFoundError:
            return ""

    def write(self, position):
        # The old one or the new one, whole, whatever happens in between.
        with open(self.file + ".new", "w", encoding="ascii") as kept:
            kept.write(position)
            kept.flush()
            os.fsync(kept.fileno())
        os.replace(self.file + ".new", self.file)


def messages(answer):
    """The (id, data) of each message of the stream; data is None where an id comes alone."""
    fields = {}
    for line in answer:
        line = line.decode().rstrip("\r\n")
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            if "id" in fields:
                yield fields["id"], fields.get("data")
            fields = {}


def follow(server, tenant, cursor, handle):
    """Gives each event behind the cursor to `handle`, until that says False. The cursor moves when it was handled."""
    while True:
        request = urllib.request.Request(f"{server}/v1/tenants/{urllib.parse.quote(tenant)}/events")
        known = cursor.read()
        if known:
            request.add_header("Last-Event-ID", known)
        try:
            with urllib.request.urlopen(request, timeout=SILENT_MAX_S) as answer:
                for position, data in messages(answer):
                    goes_on = data is None or handle(json.loads(data))
                    cursor.write(position)
                    if not goes_on:
                        return
        except urllib.error.HTTPError as error:
            code = json.load(error).get("code")
            if code in ("position_gone", "invalid_token"):
                # What comes behind our place is not there any more: read the orders that matter anew, then begin without one.
                raise SystemExit(f"the cursor is no longer good ({code}): forget it, and begin anew") from error
            if error.code not in (429, 500, 503):
                raise SystemExit(f"cannot read events: {error.code} {code}") from error
            print(f"again in {PAUSE_S} s: {code}", file=sys.stderr)
        except (OSError, http.client.HTTPException) as error:
            # The server stops, or the network does: come again with the last id.
            print(f"again in {PAUSE_S} s: {error}", file=sys.stderr)
        time.sleep(PAUSE_S)


def main():
    server, tenant, file = sys.argv[1:4]
    left = int(sys.argv[5]) if sys.argv[4:5] == ["--count"] else None

    def handle(event):
        nonlocal left
        # Here an application does its work; when this returns, the event is dealt with.
        print(event["id"], event["type"], flush=True)
        left = None if left is None else left - 1
        return left != 0

    follow(server, tenant, FileCursor(file), handle)


if __name__ == "__main__":
    main()
