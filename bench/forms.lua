-- What wrk sends to POST /subscribe: each form of another person in another network, as a proxy in
-- front would tell. Arguments: the notice's id, milliseconds between two forms of a connection, and
-- whatever makes the people of this run new.

local threads = 0
local number, notice, pause, run  -- of each thread; setup gives it `thread`

function setup(each)
  each:set("thread", threads)
  threads = threads + 1
end

function init(args)
  notice, pause, run = args[1], tonumber(args[2]), args[3]
  number = 0
end

function delay()
  return pause
end

function request()
  number = number + 1
  local seen = string.format("%d.%d.%d.1", 1 + thread * 100 + math.floor(number / 65536) % 100,
    math.floor(number / 256) % 256, number % 256)
  local body = string.format(
    '{"email": "reader%d.%d.%s@example.org", "newsletter": "weekly", "consent": "yes", ' ..
    '"notice": "%s", "lang": "en"}', number, thread, run, notice)
  return wrk.format("POST", nil, {
    ["Content-Type"] = "application/json",
    ["Accept"] = "application/json",
    ["X-Forwarded-For"] = seen,
  }, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"answers": %d, "seconds": %.3f, "p50_ms": %.1f, "p99_ms": %.1f, "most_ms": %.1f, ' ..
    '"refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
