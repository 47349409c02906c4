#!/bin/sh
# Run every example against a server of its own on the reference device; one result line each.
# usage: run_examples.sh GPUDISPATCHD [BACKEND [OUT_DIR]]
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../deploy/lib.sh
. "$root/deploy/lib.sh"
daemon_path=$1 backend=${2:-reference} kept=${3:-}
need_nvrtc

folder=$(mktemp -d)
# shellcheck disable=SC2317 # called by the trap
finish() {
	status=$?
	trap - EXIT INT TERM
	stop_service || status=$?
	rm -rf "$folder"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_service "$daemon_path" "$folder" --listen 127.0.0.1:0 --backend "$backend" --nvrtc "$NVRTC" ||
	die "no server, no examples"
GPUDISPATCH_URL=$service_url
OUT_DIR=${kept:-$folder/out}
export GPUDISPATCH_URL OUT_DIR

bad=0
for script in "$root"/examples/*.sh; do
	name=${script##*/}
	[ "$name" != common.sh ] || continue
	began=$(date +%s)
	if timeout 120 sh "$script" >"$folder/said" 2>&1; then
		tail -n 1 "$folder/said"
		say "ok example ${name%.sh} on $backend ($(($(date +%s) - began)) s)"
	else
		sed 's/^/    /' "$folder/said"
		say "not ok example ${name%.sh} on $backend"
		bad=1
	fi
done
exit "$bad"
