-- POST /book with a guest nobody has seen, at each event in turn; counts what was answered.
-- Arguments: round, events.
local number = 0

function init(args)
  round, events = args[1], tonumber(args[2])
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  number = number + 1
  local event = "event-" .. (number % events)
  return wrk.format(nil, "/book", nil, '{"eventId":"' .. event .. '","userId":"' .. round .. "-" .. number .. '"}')
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "failed": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
