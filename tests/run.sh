#!/bin/sh
# Install what is missing, build, run every test that this machine can run, and close with the counts.
set -eu

usage() {
	cat <<'END'
usage: sh tests/run.sh [--quick]

  --quick   one build and its tests; without, also clang, ASan+UBSan and TSan builds and the tests under them
  --help    this text

Stages: lint; gcc build and unit tests; integration tests, examples, README walk-through and openapi.yaml against the
real server; the GPU suite where a GPU answers; the quickstart; the tests again under clang, ASan+UBSan and TSan. Logs
go to build/logs/. The last line is `N passed, N failed, N skipped`; exit 1 if any failed.
END
}

root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../deploy/lib.sh
. "$root/deploy/lib.sh"
cd "$root"

quick=no
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=yes ;;
	--help | -h)
		usage
		exit 0
		;;
	*) die "unknown option $1 (--help lists them)" ;;
	esac
	shift
done

# --- what is missing

# A python3 that has the two modules the checks need: the first in PATH, else the distribution's.
find_python() {
	for candidate in python3 /usr/bin/python3; do
		if "$candidate" -c 'import yaml, jsonschema' 2>/dev/null; then
			printf '%s\n' "$candidate"
			return 0
		fi
	done
	return 1
}

test_needs() {
	build_needs
	library_needs cmocka libcmocka-dev
	have shellcheck || printf 'shellcheck '
	have clang-format-14 || printf 'clang-format-14 '
	[ "$quick" = yes ] || have clang || printf 'clang '
	find_python >/dev/null || printf 'python3 python3-yaml python3-jsonschema '
}

# shellcheck disable=SC2046 # one word a package
install_packages $(test_needs)
PYTHON=$(find_python) || die "python3 lacks yaml or jsonschema: apt-get install python3-yaml python3-jsonschema"
need_nvrtc
GPUDISPATCH_NVRTC=$NVRTC
no_proxy=127.0.0.1,localhost,${no_proxy:-}
export PYTHON GPUDISPATCH_NVRTC no_proxy
say "NVRTC: $NVRTC"

# --- results: every test is a line `ok NAME`, `not ok NAME` or `skip NAME: reason` in the output of its stage

logs=$root/build/logs
rm -rf "$logs"
mkdir -p "$logs"
results=$logs/results
: >"$results"
status_file=$logs/status
began=$(date +%s)

# stage NAME COMMAND...: run it and keep its lines. A command that fails without saying which test did is itself a failure.
stage() {
	name=$1
	shift
	stage_began=$(date +%s)
	say "--- $name"
	{
		status=0
		"$@" 2>&1 || status=$?
		echo "$status" >"$status_file"
	} | tee "$logs/stage"
	status=$(cat "$status_file")
	grep -E '^(ok|not ok|skip) ' "$logs/stage" | sed "s|\$|	$name|" >>"$results" || true
	if [ "$status" != 0 ] && ! grep -q '^not ok ' "$logs/stage"; then
		say "not ok $name ended with status $status"
		printf 'not ok %s ended with status %s\t%s\n' "$name" "$status" "$name" >>"$results"
	fi
	mv "$logs/stage" "$logs/$(printf '%s' "$name" | tr -c 'A-Za-z0-9' '-').log"
	say "    ($(($(date +%s) - stage_began)) s)"
	[ "$status" = 0 ]
}

launcher=
if have ccache; then launcher=-DCMAKE_C_COMPILER_LAUNCHER=ccache; fi

# build PRESET: configure and build everything, warnings being errors; quiet unless it fails, and then it goes on so as
# to tell all that is wrong.
build() {
	{
		cmake --preset "$1" ${launcher:+"$launcher"} && cmake --build "build/$1" -- -k 0
	} >"$logs/build-$1.log" 2>&1 || {
		grep -E 'error:|undefined reference|^FAILED|CMake Error' "$logs/build-$1.log" | cut -c 1-300 | head -n 60
		tail -n 5 "$logs/build-$1.log"
		say "not ok build $1"
		return 1
	}
	say "ok build $1"
}

# unit PRESET: all cmocka binaries through ctest; its JUnit file holds their output, which is counted by test function.
unit() {
	rm -f "$logs/unit-$1.xml"
	CMOCKA_MESSAGE_OUTPUT=TAP $wrapper ctest --test-dir "build/$1" -j 2 --timeout 300 --output-junit "$logs/unit-$1.xml" \
		--test-output-size-passed 1000000 --test-output-size-failed 1000000 >"$logs/ctest-$1.log" 2>&1 || true
	"$PYTHON" -B tests/tally.py junit "$logs/unit-$1.xml"
}

# integration PRESET: each test file of tests/integration against that build's server.
integration() {
	GPUDISPATCHD=$root/build/$1/server/gpudispatchd
	export GPUDISPATCHD
	bad=0
	for file in tests/integration/test_*.py tests/integration/test_*.sh; do
		[ -e "$file" ] || continue
		case $file in
		*.py) $wrapper timeout 600 "$PYTHON" -B tests/tally.py unittest "$file" || bad=1 ;;
		*.sh) run_script "$file" || bad=1 ;;
		esac
	done
	return "$bad"
}

# run_script FILE: a shell test; one that prints no result lines of its own is one test.
run_script() {
	code=0
	$wrapper timeout 600 sh "$1" >"$logs/script" 2>&1 || code=$?
	cat "$logs/script"
	if ! grep -qE '^(ok|not ok|skip) ' "$logs/script"; then
		if [ "$code" = 0 ]; then say "ok ${1##*/}"; else say "not ok ${1##*/}"; fi
	fi
	return "$code"
}

# Sanitized programs stop at the first report and say so by their exit status. gcc 12's TSan does not know the address
# layout of newer kernels; without randomisation it does.
sanitizers() {
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:halt_on_error=1
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
	export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
	if setarch "$(uname -m)" -R true 2>/dev/null; then
		wrapper="setarch $(uname -m) -R"
	fi
}

# What a newcomer runs first, on a release build.
quickstart() {
	if sh deploy/quickstart.sh --once --port 0 --backend reference >"$logs/quickstart.log" 2>&1; then
		say "ok quickstart --once builds a release, answers saxpy and exits 0"
	else
		tail -n 40 "$logs/quickstart.log"
		say "not ok quickstart --once"
		return 1
	fi
}

gpu() {
	if [ -z "$(driver_major)" ] || ! nvidia-smi -L >/dev/null 2>&1; then
		say "skip tests/gpu: no NVIDIA GPU answers on this machine"
	else
		# What tests/gpu/run.sh wants in one folder.
		rm -rf build/dev/gpu-suite
		mkdir build/dev/gpu-suite
		for program in build/dev/tests/gpu/device_* build/dev/server/gpudispatchd; do
			[ ! -f "$program" ] || ln -s "$root/$program" build/dev/gpu-suite/
		done
		code=0
		bash tests/gpu/run.sh build/dev/gpu-suite >"$logs/gpu.log" 2>&1 || code=$?
		"$PYTHON" -B tests/tally.py cases gpu <"$logs/gpu.log" || true
		return "$code"
	fi
}

wrapper=
stage "lint" "$PYTHON" -B tests/lint/lint.py || true
stage "lint self-test" "$PYTHON" -B tests/tally.py unittest tests/lint/selftest.py || true
if stage "build with gcc" build dev; then
	stage "unit tests" unit dev || true
	stage "integration tests" integration dev || true
	stage "examples on reference" sh tests/integration/run_examples.sh build/dev/server/gpudispatchd || true
	stage "GPU" gpu || true
fi
if [ "$quick" = no ]; then
	stage "quickstart" quickstart || true
	if stage "build with clang" build clang; then
		stage "unit tests, clang" unit clang || true
	fi
	sanitizers
	for sanitizer in asan tsan; do
		if stage "build with $sanitizer" build "$sanitizer"; then
			stage "unit tests, $sanitizer" unit "$sanitizer" || true
			stage "integration tests, $sanitizer" integration "$sanitizer" || true
		fi
	done
fi

# --- the sum

say ""
if grep -q '^skip ' "$results"; then
	say "skipped:"
	sed -n 's/^skip \(.*\)	\(.*\)$/  \1 (\2)/p' "$results"
fi
if grep -q '^not ok ' "$results"; then
	say "failed:"
	sed -n 's/^not ok \(.*\)	\(.*\)$/  \1 (\2)/p' "$results"
fi
passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^not ok ' "$results" || true)
skipped=$(grep -c '^skip ' "$results" || true)
say "took $((($(date +%s) - began) / 60)) min $((($(date +%s) - began) % 60)) s; logs are in build/logs"
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
