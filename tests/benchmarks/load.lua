-- With arguments (round, events): POST /book with a guest nobody has seen, at each event in turn.
-- Without: GET the address on the command line. Either way, tells as JSON how many requests were answered.
local number = 0

function init(args)
  round, events = args[1], tonumber(args[2])
  if events then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
  end
end

function request()
  if not events then
    return wrk.format()
  end
  number = number + 1
  local event = "event-" .. (number % events)
  return wrk.format(nil, "/book", nil, '{"eventId":"' .. event .. '","userId":"' .. round .. "-" .. number .. '"}')
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "failed": %d, "p99_us": %d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(99)))
end
