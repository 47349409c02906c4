#!/usr/bin/env bash
# run.sh [FOLDER]: the GPU suite, from a folder that holds the built programs and the libraries they need (or the build
# folder's tests/gpu). Prints each program's output and a table last; exits 0 when none failed. Needs an NVIDIA driver
# and NVRTC in the loader's path. GD_GPU_BENCH=0 leaves the figures out.
set -uo pipefail
folder=${1:-${GD_GPU_FOLDER:-.}}
folder=$(cd "$folder" && pwd) || exit 2
for toolkit in "${CUDA_HOME:-}" /usr/local/cuda; do
	[ -n "$toolkit" ] && [ -d "$toolkit/lib64" ] && LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$toolkit/lib64"
done
export LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" CUDA_CACHE_DISABLE=1
programs="device_conformance_cuda device_conformance_reference"
[ "${GD_GPU_BENCH:-1}" = 0 ] || programs="$programs device_bench"
table='' failed=0
for program in $programs; do
	if [ ! -x "$folder/$program" ]; then
		table+="$(printf '%-36s %s' "$program" 'skipped: not built')"$'\n'
		continue
	fi
	echo "== $program"
	start=$SECONDS
	timeout --kill-after=10 300 "$folder/$program"
	status=$?
	case $status in
	0) word=passed ;;
	77) word='skipped: see its words above' ;;
	124 | 137) word='FAILED: ran past its limit' failed=1 ;;
	*) word="FAILED: status $status" failed=1 ;;
	esac
	table+="$(printf '%-36s %s (%d s)' "$program" "$word" $((SECONDS - start)))"$'\n'
done

# Through the service: the examples on both devices, side by side, and kernels that crash or hang.
root=$(cd "$(dirname "$0")/../.." && pwd)
comparison=
if [ -x "$folder/gpudispatchd" ]; then
	kept=$(mktemp -d)
	trap 'rm -rf "$kept"' EXIT
	for backend in cuda reference; do
		echo "== examples on $backend"
		if sh "$root/tests/integration/run_examples.sh" "$folder/gpudispatchd" $backend "$kept/$backend"; then
			word=passed
		else
			word=FAILED failed=1
		fi
		table+="$(printf '%-36s %s' "examples on $backend" "$word")"$'\n'
	done
	comparison=$(python3 "$root/tests/bench/compare_outputs.py" "$kept/cuda" "$kept/reference") || failed=1
	echo "== faults on cuda"
	if GPUDISPATCHD="$folder/gpudispatchd" GPUDISPATCH_TEST_BACKEND=cuda timeout 300 \
		python3 "$root/tests/integration/test_faults.py"; then
		word=passed
	else
		word=FAILED failed=1
	fi
	table+="$(printf '%-36s %s' "faults through the service" "$word")"$'\n'
fi
printf '\n%s\n\n%s' "$comparison" "$table"
exit $failed
