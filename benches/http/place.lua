-- wrk: each request places a new order. Started by `cargo xtask load` with a name for this run, and for an open loop the
-- mean time between two requests of one connection, in milliseconds.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  if tonumber(args[2] or "0") > 0 then delay = wait end
  run = args[1] or "r"
  count = 0
  pause_ms = tonumber(args[2] or "0")
  math.randomseed(number + 1)
end

-- Only wrk's open loop waits: what it is answered, and how soon, changes little of what comes.
function wait()
  return math.floor(pause_ms * (0.5 + math.random()))
end

local body = '{"customer":"00042","currency":"USD",' ..
  '"lines":[{"line_id":"1","sku":"cd","quantity":2,"amount_minor":1177}]}'
local rest = "/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" ..
  "Ce-Type: retailflow.order.place.v1\r\nContent-Length: " .. #body .. "\r\nIdempotency-Key: p\r\n\r\n" .. body

function request()
  count = count + 1
  return "POST /v1/tenants/bench/orders/" .. run .. "-" .. number .. "-" .. count .. rest
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, e.status, e.connect + e.read + e.write + e.timeout))
end
