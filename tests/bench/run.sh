#!/bin/sh
# Measure the service beside its floor and print a table. A benchmark, not a test: it judges nothing.
set -eu

usage() {
	cat <<'END'
usage: sh tests/bench/run.sh [--backend B] [--rounds N] [--seconds N] [--shards N]
                             [--daemon FILE --echo FILE] [--wrk FILE] [--keep FILE]

Compile hits and a dispatch of saxpy (8 KiB in, 4 KiB out) at 1, 16 and 64 connections, beside a bare libmicrohttpd
that takes and answers the same bytes (gd_bench_echo), in turns within the same run; medians over the rounds.
Then the peak memory of every process of the service, and the size of the binary.

  --backend B    auto (default), cuda or reference
  --rounds N     turns (default 5)
  --seconds N    length of each measurement (default 2)
  --daemon, --echo, --wrk   use these programs and build nothing
  --keep FILE    append the single measurements to FILE
END
}

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../deploy/lib.sh
. "$root/deploy/lib.sh"

backend=auto rounds=5 seconds=2 daemon_path='' echo_path='' wrk=wrk keep='' shards=0
while [ $# -gt 0 ]; do
	case $1 in
	--help | -h)
		usage
		exit 0
		;;
	--backend | --rounds | --seconds | --daemon | --echo | --wrk | --keep | --shards)
		[ $# -ge 2 ] || die "$1 needs a value (--help tells more)"
		case $1 in
		--backend) backend=$2 ;;
		--rounds) rounds=$2 ;;
		--seconds) seconds=$2 ;;
		--daemon) daemon_path=$2 ;;
		--echo) echo_path=$2 ;;
		--wrk) wrk=$2 ;;
		--keep) keep=$2 ;;
		--shards) shards=$2 ;;
		esac
		shift 2
		;;
	*) die "unknown option $1 (--help lists them)" ;;
	esac
done

have "$wrk" || install_packages wrk
have python3 || install_packages python3
if [ -z "$daemon_path" ] || [ -z "$echo_path" ]; then
	# shellcheck disable=SC2046 # one word a package
	install_packages $(build_needs; library_needs cmocka libcmocka-dev)
	(cd "$root" && cmake --preset release -DGD_TESTS=ON >/dev/null &&
		cmake --build build/release --target gpudispatchd gd_bench_echo) >&2
	daemon_path=${daemon_path:-$root/build/release/server/gpudispatchd}
	echo_path=${echo_path:-$root/build/release/tests/bench/gd_bench_echo}
fi
need_nvrtc

folder=$(mktemp -d)
echo_pid=
# shellcheck disable=SC2317 # called by the trap
finish() {
	status=$?
	trap - EXIT INT TERM
	[ -z "$echo_pid" ] || kill -TERM "$echo_pid" 2>/dev/null || true
	stop_service || status=$?
	rm -rf "$folder"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$echo_path" >"$folder/echo" &
echo_pid=$!
wait_until 10 test -s "$folder/echo" || die "the echo server did not start"
echo_url=$(cat "$folder/echo")
start_service "$daemon_path" "$folder" --listen 127.0.0.1:0 --backend "$backend" --nvrtc "$NVRTC" --shards "$shards" ||
	die "no service, no figures"

# What is sent, and how much comes back.
source=$root/examples/saxpy.cu
head -c 8192 /dev/zero >"$folder/vectors"
curl -sS --fail-with-body -o "$folder/pipeline.json" --data-binary "@$source" "$service_url/pipelines?kernel=saxpy" ||
	die "the compile failed: $(cat "$folder/pipeline.json")"
id=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["id"])' "$folder/pipeline.json")
dispatch="$service_url/pipelines/$id/dispatch?a=2.0&n=1024"
# The second answer, a hit, is what the echo must equal in length.
hit_bytes=$(curl -sS -o /dev/null -w '%{size_download}' --data-binary "@$source" "$service_url/pipelines?kernel=saxpy")
out_bytes=$(curl -sS -o /dev/null -w '%{size_download}' --data-binary "@$folder/vectors" "$dispatch")
[ "$out_bytes" = 4096 ] || die "the dispatch answered $out_bytes bytes instead of 4096"

# measure CASE CONNECTIONS BODY TYPE URL: one line `CASE CONNECTIONS requests seconds p50 p99 refused errors`.
measure() {
	threads=$(($(nproc) / 2))
	[ "$threads" -ge 1 ] || threads=1
	[ "$threads" -le "$2" ] || threads=$2
	line=$(BODY=$3 TYPE=$4 "$wrk" -t "$threads" -c "$2" -d "${seconds}s" --latency -s "$root/tests/bench/post.lua" "$5" |
		sed -n 's/^measured //p')
	say "$1 $2 $line" >>"$folder/measured"
}

round=1
while [ "$round" -le "$rounds" ]; do
	warn "round $round of $rounds"
	for connections in 1 16 64; do
		measure hit-echo "$connections" "$source" text/x-cuda "$echo_url/?bytes=$hit_bytes"
		measure hit "$connections" "$source" text/x-cuda "$service_url/pipelines?kernel=saxpy"
		measure dispatch-echo "$connections" "$folder/vectors" application/octet-stream "$echo_url/?bytes=4096"
		measure dispatch "$connections" "$folder/vectors" application/octet-stream "$dispatch"
	done
	round=$((round + 1))
done
[ -z "$keep" ] || cat "$folder/measured" >>"$keep"

# descendants PID: it and its children, their children, ...
descendants() {
	say "$1"
	cat /proc/"$1"/task/*/children 2>/dev/null | tr ' ' '\n' | while read -r child; do
		[ -z "$child" ] || descendants "$child"
	done
}

for process in $(descendants "$service_pid"); do
	sed -n -e 's/^Name:[[:space:]]*/memory /p' -e 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$process/status" |
		tr '\n' ' '
	say ""
done >"$folder/memory"
strip -o "$folder/stripped" "$daemon_path" 2>/dev/null || cp "$daemon_path" "$folder/stripped"
python3 -B "$root/tests/bench/table.py" "$folder/measured" "$folder/memory" "$(($(wc -c <"$folder/stripped")))" \
	"$hit_bytes" "$id"
