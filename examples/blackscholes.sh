#!/bin/sh
# Option prices: expf, logf, erff, sqrtf. Three input buffers back to back share the body equally; two zeroed outputs
# come back in one framed answer.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
prepare blackscholes

compile blackscholes 'workgroup_size=128'
cd "$OUT_DIR"
cat blackscholes.spot.f32 blackscholes.strike.f32 blackscholes.years.f32 >blackscholes.in
call blackscholes.out -D blackscholes.headers --data-binary @blackscholes.in \
	"$URL/pipelines/$id/dispatch?call=40000&put=40000&rate=0.02&volatility=0.3&n=10000"
split_frame blackscholes.headers blackscholes.out blackscholes.json blackscholes.bytes
slice blackscholes.bytes 0 40000 >blackscholes.call.f32
slice blackscholes.bytes 40000 40000 >blackscholes.put.f32
check blackscholes
