-- Arguments: connections, guests' name, events' name, how many of those. With events: POST /book with a guest nobody
-- has seen, at each event in turn, and count who got a ticket. Without: GET the address on the command line. Either way,
-- says once that answers come, and tells as JSON at the end what came.
local PERCENTILES = { 50, 75, 90, 99, 99.9 }
local thread
local number = 0
assigned = 0

function setup(only_thread)
  thread = only_thread
end

function init(args)
  connections, guest, name, events = tonumber(args[1]), args[2], args[3], tonumber(args[4])
  if events then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    response = count
  end
end

function request()
  number = number + 1
  if number == connections + 2 then -- one to try it, one for each connection, and this one because of an answer
    io.write("answers come\n")
    io.flush()
  end
  if not events then
    return wrk.format()
  end
  local event = name .. (number % events)
  return wrk.format(nil, "/book", nil, '{"eventId":"' .. event .. '","userId":"' .. guest .. number .. '"}')
end

function count(status, headers, body)
  if body:find('"assigned":true', 1, true) then
    assigned = assigned + 1
  end
end

function done(summary, latency, requests)
  local errors, percentiles = summary.errors, {}
  for place, percentile in ipairs(PERCENTILES) do
    percentiles[place] = string.format('"%g": %.3f', percentile, latency:percentile(percentile) / 1000)
  end
  io.write(string.format(
    '{"answered": %d, "assigned": %d, "seconds": %.6f, "failed": %d, "ms": {%s}}\n',
    summary.requests, thread:get("assigned"), summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    table.concat(percentiles, ", ")))
end
