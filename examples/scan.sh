#!/bin/sh
# Exclusive prefix sum in three dispatches of two kernels that share a source. Each body is a frame: JSON, whose length
# a header tells, and the raw bytes after it; answers with several outputs come back the same way.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
prepare scan

n=60001 block=256
blocks=$(((n + block - 1) / block))

# dispatch ID NAME FILE...: send NAME.json and the files as one frame.
dispatch() {
	pipeline=$1 name=$2
	shift 2
	cat "$name.json" "$@" >"$name.in"
	call "$name.out" -D "$name.headers" -H 'Content-Type: application/octet-stream' \
		-H "Inference-Header-Content-Length: $(($(wc -c <"$name.json")))" \
		--data-binary "@$name.in" "$URL/pipelines/$pipeline/dispatch"
}

compile scan "kernel=scan_blocks&workgroup_size=$block"
scan=$id
compile scan "kernel=add_totals&workgroup_size=$block"
add=$id
cd "$OUT_DIR"

# 1. Sums within each block, and the block's totals.
cat >scan.1.json <<END
{"args": [{"binary_data_size": $((n * 4))}, {"bytes": $((n * 4))}, {"bytes": $((blocks * 4))}, {"value": $n}]}
END
dispatch "$scan" scan.1 scan.in.u32
split_frame scan.1.headers scan.1.out scan.1.answer.json scan.1.bytes
slice scan.1.bytes 0 $((n * 4)) >scan.partial
slice scan.1.bytes $((n * 4)) $((blocks * 4)) >scan.totals

# 2. The same over the totals; what lies before each block is the only output asked for, so it comes without a frame.
cat >scan.2.json <<END
{"args": [{"binary_data_size": $((blocks * 4))}, {"bytes": $((blocks * 4))}, {"bytes": 4}, {"value": $blocks}],
 "outputs": [1]}
END
dispatch "$scan" scan.2 scan.totals

# 3. Both together.
cat >scan.3.json <<END
{"args": [{"binary_data_size": $((n * 4))}, {"binary_data_size": $((blocks * 4))}, {"value": $n}]}
END
dispatch "$add" scan.3 scan.partial scan.2.out
cp scan.3.out scan.out.u32
check scan
