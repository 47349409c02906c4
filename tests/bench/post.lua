-- wrk: post the file named by BODY as TYPE, then say what was measured in one line:
-- requests, seconds, p50 and p99 in microseconds, refusals (status 400 and over), socket errors.
local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = os.getenv("TYPE")
file:close()

function done(summary, latency, _)
	local errors = summary.errors
	io.write(string.format("measured %d %.3f %d %d %d %d\n", summary.requests, summary.duration / 1e6,
		latency:percentile(50), latency:percentile(99), errors.status,
		errors.connect + errors.read + errors.write + errors.timeout))
end
