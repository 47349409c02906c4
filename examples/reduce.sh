#!/bin/sh
# Block reduction: shuffles, votes, float atomics. JSON with the arguments by name; two outputs come back.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
prepare reduce

compile reduce 'kernel=reduce&workgroup_size=256'
cat >"$OUT_DIR/reduce.dispatch.json" <<END
{"args": {"x": {"data": "$(base64_of "$OUT_DIR/reduce.x.f32")"}, "n": {"value": 50000},
          "threshold": {"value": 0.75}, "sum": {"bytes": 4}, "above": {"bytes": 4}}}
END
call "$OUT_DIR/reduce.json" -H 'Content-Type: application/json' \
	--data-binary "@$OUT_DIR/reduce.dispatch.json" "$URL/pipelines/$id/dispatch"

# Outputs are in parameter order: sum, then above.
json_strings data "$OUT_DIR/reduce.json" | sed -n 1p | base64 -d >"$OUT_DIR/reduce.sum.f32"
json_strings data "$OUT_DIR/reduce.json" | sed -n 2p | base64 -d >"$OUT_DIR/reduce.above.u32"
check reduce
