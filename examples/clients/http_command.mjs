// Sends one command over HTTP until it has an outcome. Needs Node.js 18 or later, and nothing else.
//
//     node http_command.mjs http://127.0.0.1:8080 shop 1001
//
// It places an order. The command has an id of our own choice: whatever is lost on the way, we send the same id again, and the
// command is carried out once. docs/outcomes.md says what each outcome means.

import { setTimeout as pause } from "node:timers/promises";

// With these statuses the same command under the same id may end otherwise, later. 504 means that nobody knows yet whether it was
// recorded: sent again, the same id gets the outcome.
const RETRYABLE = new Set([408, 429, 500, 503, 504, 507]);
const ATTEMPTS_MAX = 20;
const WAIT_MAX_MS = 10_000;
// The server answers within this time; we wait a little longer, so that we hear what it says.
const SERVER_TIMEOUT_MS = 5_000;
const OUR_TIMEOUT_MS = SERVER_TIMEOUT_MS + 5_000;

/** One attempt: the status (0 where no answer came), the body, and how long we are asked to wait. */
async function sendOnce(server, tenant, order, type, id, data) {
  try {
    const answer = await fetch(`${server}/v1/tenants/${tenant}/orders/${order}/commands`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Ce-Type": type,
        "Ce-Source": "/shop/javascript",
        "Idempotency-Key": id,
        "Rf-Timeout-Ms": String(SERVER_TIMEOUT_MS),
      },
      body: JSON.stringify(data),
      signal: AbortSignal.timeout(OUR_TIMEOUT_MS),
    });
    const waitMs = Number(answer.headers.get("Retry-After") ?? 0) * 1000;
    return { status: answer.status, outcome: await answer.json(), waitMs };
  } catch (error) {
    // Refused, reset, or too late: whether the command arrived is not known.
    return { status: 0, outcome: { code: "no_answer", message: String(error) }, waitMs: 0 };
  }
}

/** Sends it until it has an outcome, and gives that. */
async function send(server, tenant, order, type, id, data) {
  let waitMs = 100;
  let last;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    last = await sendOnce(server, tenant, order, type, id, data);
    if (last.status !== 0 && !RETRYABLE.has(last.status)) return last.outcome;
    await pause(Math.max(waitMs, last.waitMs));
    waitMs = Math.min(waitMs * 2, WAIT_MAX_MS);
  }
  throw new Error(`no outcome after ${ATTEMPTS_MAX} attempts; send ${id} again later: ${last.outcome.code}`);
}

const [server, tenant, order] = process.argv.slice(2);
const outcome = await send(server, tenant, order, "retailflow.order.place.v1", `place-${order}`, {
  customer: "7",
  currency: "USD",
  lines: [{ line_id: "1", sku: "cd", quantity: 2, amount_minor: 2354 }],
});
console.log(JSON.stringify(outcome));
// In a problem `status` is HTTP's, and the outcome's own stands in `outcome_status`.
const became = outcome.outcome_status ?? outcome.status;
if (became === "refused" || became === "rejected") {
  console.error(`${became}: ${outcome.code}`);
  process.exitCode = 1;
}
