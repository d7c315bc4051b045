// Reads a tenant's events over HTTP, and goes on where it stopped. Needs Node.js 18 or later, and nothing else.
//
//     node http_events.mjs http://127.0.0.1:8080 shop cursor.txt            # until it is stopped
//     node http_events.mjs http://127.0.0.1:8080 shop cursor.txt --count 4  # the next four events
//
// Events come at least once, those of one order in the order of its versions. We keep the last id that we have dealt with in a file,
// written after the event was handled: a crash in between gives that event once more under the same `id`.

import { open, readFile, rename } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

// The server sends something every 15 seconds (http.stream_heartbeat_ms): a connection that is silent for longer is dead.
const SILENT_MAX_MS = 45_000;
const PAUSE_MS = 2_000;

async function readCursor(file) {
  try {
    return (await readFile(file, "ascii")).trim();
  } catch (error) {
    if (error.code === "ENOENT") return "";
    throw error;
  }
}

async function writeCursor(file, cursor) {
  // The old one or the new one, whole, whatever happens in between.
  const kept = await open(`${file}.new`, "w");
  await kept.writeFile(cursor);
  await kept.sync();
  await kept.close();
  await rename(`${file}.new`, file);
}

/** The { id, data } of each message of the stream; no data where an id comes alone. */
async function* messages(body, alive) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of body) {
    alive();
    text += decoder.decode(piece, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = {};
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
      }
      if (fields.id !== undefined) yield fields;
    }
  }
}

/** Gives each event behind the cursor to `handle`, until that says false. The cursor moves when it was handled. */
async function follow(server, tenant, file, handle) {
  for (;;) {
    const cursor = await readCursor(file);
    const stop = new AbortController();
    let timer = setTimeout(() => stop.abort(), SILENT_MAX_MS);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), SILENT_MAX_MS);
    };
    let answer;
    let refused;
    let handling = false;
    try {
      const headers = cursor === "" ? {} : { "Last-Event-ID": cursor };
      answer = await fetch(`${server}/v1/tenants/${encodeURIComponent(tenant)}/events`, { headers, signal: stop.signal });
      if (answer.ok) {
        for await (const { id, data } of messages(answer.body, alive)) {
          handling = true;
          const goesOn = data === undefined || (await handle(JSON.parse(data)));
          await writeCursor(file, id);
          handling = false;
          if (!goesOn) return;
        }
      } else {
        refused = await answer.json();
      }
    } catch (error) {
      if (handling) throw error;
      // The server stops, or the network does: come again with the last id.
      console.error(`again in ${PAUSE_MS} ms: ${error}`);
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    if (refused !== undefined && ![429, 500, 503].includes(answer.status)) {
      // 410 position_gone, 400 invalid_token: read the orders that matter anew, then begin without a cursor.
      throw new Error(`cannot read events: ${answer.status} ${refused.code}; the cursor is in ${file}`);
    }
    await pause(PAUSE_MS);
  }
}

const [server, tenant, file, , count] = process.argv.slice(2);
let left = count === undefined ? undefined : Number(count);
await follow(server, tenant, file, async (event) => {
  // Here an application does its work; when this returns, the event is dealt with.
  console.log(event.id, event.type);
  left = left === undefined ? undefined : left - 1;
  return left !== 0;
});
