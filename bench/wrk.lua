-- Plays the requests of a file over wrk's connections: wrk -s wrk.lua URL -- FILE HOW LABEL.
-- A line of the file is a method, a path, a header and a body, with tabs between. HOW is
--   in-turn   one after the other, again and again
--   refresh   the lines' bodies hold refresh tokens; each that comes back is used next
--   invites   the lines invite addresses with LABEL in them, and each token that comes back is
--             accepted before anybody else is invited
-- What came of it is printed as one line of JSON; latencies are in microseconds.
local lines, turn, made = {}, 0, 0
local tokens, first, last = {}, 1, 0 -- a queue
local how, label

local function put(token)
  last = last + 1
  tokens[last] = token
end

local function take()
  if first > last then return nil end
  first = first + 1
  return tokens[first - 1]
end

local function formatted(line, body)
  local headers = { [line.name] = line.value }
  if body ~= "" then headers["Content-Type"] = "application/json" end
  return wrk.format(line.method, line.path, headers, body ~= "" and body or nil)
end

local function next_line()
  turn = turn % #lines + 1
  return lines[turn]
end

local requests = {
  ["in-turn"] = function() return next_line().request end,
  refresh = function()
    return formatted(lines[1], '{"refreshToken":"' .. take() .. '"}')
  end,
  invites = function()
    local token = take()
    if token then
      local body = '{"token":"%s","name":"Somebody New","password":"four words are apart"}'
      local line = { method = "POST", path = "/api/users/accept-invite", name = "Accept", value = "*/*" }
      return formatted(line, body:format(token))
    end
    made = made + 1
    return formatted(next_line(), ('{"email":"%s-%d@example.com"}'):format(label, made))
  end,
}
local returned = { refresh = '"refreshToken":"([^"]+)"', invites = '"token":"([^"]+)"' }

function init(arguments)
  how, label = arguments[2], arguments[3]
  for text in io.lines(arguments[1]) do
    local method, path, name, value, body =
      text:match("^(%S+)\t(%S+)\t([^:]+): ([^\t]*)\t(.*)$")
    local line = { method = method, path = path, name = name, value = value }
    line.request = formatted(line, body)
    lines[#lines + 1] = line
    if how == "refresh" then put(body:match(returned.refresh)) end
  end
  request = requests[how]
  if returned[how] then
    response = function(_, _, body)
      local token = body:match(returned[how])
      if token then put(token) end
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"seconds":%.6f,"p50":%.1f,"p99":%.1f,"refused":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
