-- The load: GET $TARGET with the tokens of the file $TOKENS in turn, one a line; without any if the file is empty.
-- Prints one line of JSON with what was measured.
local requests, turn = {}, 0

function init()
  wrk.headers["Accept"] = "application/json"
  local target = os.getenv("TARGET")
  for token in io.lines(os.getenv("TOKENS")) do
    wrk.headers["Authorization"] = "Bearer " .. token
    requests[#requests + 1] = wrk.format("GET", target)
  end
  if #requests == 0 then
    requests[1] = wrk.format("GET", target)
  end
  if #requests == 1 then
    local only = requests[1]
    request = function() return only end
  else
    request = function()
      turn = turn % #requests + 1
      return requests[turn]
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'JSON {"requests":%d,"seconds":%.6f,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
