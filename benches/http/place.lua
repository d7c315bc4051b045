-- wrk: each request places a new order. Started by `cargo xtask load`.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  run = args[1] or "r"
  count = 0
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
