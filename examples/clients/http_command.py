"""Sends one command over HTTP until it has an outcome. Needs Python 3.9, and nothing else.

    python3 http_command.py http://127.0.0.1:8080 shop 1001

It places an order. The command has an id of our own choice: whatever is lost on the way, we send the same id again, and the
command is carried out once. docs/outcomes.md says what each outcome means.
"""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request

# With these statuses the same command under the same id may end otherwise, later. 504 means that nobody knows yet whether it was
# recorded: sent again, the same id gets the outcome.
RETRYABLE = {408, 429, 500, 503, 504, 507}
ATTEMPTS_MAX = 20
WAIT_MAX_S = 10.0
# The server answers within Rf-Timeout-Ms; we wait a little longer, so that we hear what it says.
SERVER_TIMEOUT_MS = 5_000
OUR_TIMEOUT_S = SERVER_TIMEOUT_MS / 1000 + 5


def place_order():
    return {
        "customer": "7",
        "currency": "USD",
        "lines": [{"line_id": "1", "sku": "cd", "quantity": 2, "amount_minor": 2354}],
    }


def send_once(server, tenant, order, command_type, command_id, data):
    """The HTTP status, the body, and for how many seconds we are asked to wait; status 0 where no answer came."""
    request = urllib.request.Request(
        f"{server}/v1/tenants/{tenant}/orders/{order}/commands",
        data=json.dumps(data).encode(),
        headers={
            "Content-Type": "application/json",
            "Ce-Type": command_type,
            "Ce-Source": "/shop/python",
            "Idempotency-Key": command_id,
            "Rf-Timeout-Ms": str(SERVER_TIMEOUT_MS),
        },
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=OUR_TIMEOUT_S) as answer:
            return answer.status, json.load(answer), 0.0
    except urllib.error.HTTPError as error:
        # An answer from 400 on: a problem (RFC 9457) with the outcome's members.
        return error.code, json.load(error), float(error.headers.get("Retry-After") or 0)
    except (OSError, http.client.HTTPException) as error:
        # Refused, reset, or too late: whether the command arrived is not known.
        return 0, {"code": "no_answer", "message": str(error)}, 0.0


def send(server, tenant, order, command_type, command_id, data):
    """Sends it until it has an outcome, and gives that."""
    wait = 0.1
    for _ in range(ATTEMPTS_MAX):
        status, outcome, asked_to_wait = send_once(server, tenant, order, command_type, command_id, data)
        if status != 0 and status not in RETRYABLE:
            return outcome
        time.sleep(max(wait, asked_to_wait))
        wait = min(wait * 2, WAIT_MAX_S)
    raise SystemExit(f"no outcome after {ATTEMPTS_MAX} attempts; send {command_id} again later: {outcome}")


def main():
    server, tenant, order = sys.argv[1:]
    outcome = send(server, tenant, order, "retailflow.order.place.v1", f"place-{order}", place_order())
    print(json.dumps(outcome))
    # In a problem `status` is HTTP's, and the outcome's own stands in `outcome_status`.
    became = outcome.get("outcome_status", outcome.get("status"))
    if became == "refused":
        raise SystemExit(f"not recorded; put it right, then send it again: {outcome['code']}")
    if became == "rejected":
        raise SystemExit(f"decided against, for ever: {outcome['code']}")
    # "applied"; or "parked": kept behind a broken order, and decided when an operator releases that.


if __name__ == "__main__":
    main()
