-- Plays the requests of a file in turn: wrk -s wrk.lua URL -- FILE.
-- A line of it is a method, a path, a header and a body, with tabs between. What came of it is
-- printed as one line of JSON; latencies are in microseconds.
local requests, turn = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local method, path, name, value, body = line:match("^(%S+)\t(%S+)\t([^:]+): ([^\t]*)\t(.*)$")
    local headers = { [name] = value }
    if body ~= "" then headers["Content-Type"] = "application/json" end
    requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"seconds":%.6f,"p50":%.1f,"p99":%.1f,"refused":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
