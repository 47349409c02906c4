# shellcheck shell=sh disable=SC2034,SC2154 # variables that the sourcing script sets or reads
# What deploy/quickstart.sh and tests/run.sh share: installing what is missing, finding or fetching NVRTC, and starting
# and stopping the service. Source it with `root` set to the top of the tree; POSIX sh, meant for dash.
#
# Nothing is installed that is there already, so that no network and no root is needed where nothing is missing.

say() {
	printf '%s\n' "$*"
}

warn() {
	printf '%s\n' "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# --- packages

# Names of the packages for whatever of the build's needs is missing; empty when nothing is.
build_needs() {
	have cmake || printf 'cmake '
	have ninja || printf 'ninja-build '
	have cc || have gcc || printf 'gcc libc6-dev '
	have curl || printf 'curl ca-certificates '
	have pkg-config || printf 'pkg-config '
	library_needs libmicrohttpd libmicrohttpd-dev
	library_needs jansson libjansson-dev
	library_needs nettle nettle-dev
	library_needs libseccomp libseccomp-dev
	library_needs yaml-0.1 libyaml-dev
}

# library_needs MODULE PACKAGE: print PACKAGE unless pkg-config knows MODULE.
library_needs() {
	if ! have pkg-config || ! pkg-config --exists "$1"; then
		printf '%s ' "$2"
	fi
}

# install_packages PACKAGE...: by apt, as root or through sudo.
install_packages() {
	[ $# -gt 0 ] || return 0
	have apt-get || die "missing: $*. This is no Debian or Ubuntu: install what corresponds to these packages, then run me again."
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif have sudo; then
		as_root=sudo
	else
		die "missing: $*. Run as root: apt-get update && apt-get install $*"
	fi
	say "installing $*"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # as_root is one word or none
	$as_root apt-get -q update || die "apt-get update failed: check the network and /etc/apt, then run me again."
	# shellcheck disable=SC2086
	$as_root apt-get -q install -y --no-install-recommends "$@" ||
		die "apt could not install: $*. Mend what it said above, then run me again."
}

# --- NVRTC, CUDA's run-time compiler

# Major version of the installed NVIDIA driver, or nothing.
driver_major() {
	{
		nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null ||
			sed -n 's/^NVRM version:.* \([0-9][0-9]*\.[0-9.]*\) .*/\1/p' /proc/driver/nvidia/version 2>/dev/null
	} | sed -n '1s/^\([0-9][0-9]*\)\..*/\1/p'
}

# The newest CUDA major version whose code the installed driver runs (CUDA Toolkit release notes: CUDA 13 needs driver
# 580, CUDA 12 needs 525); without a driver the newest we know, since no GPU code will be run.
cuda_major_for_driver() {
	driver=$(driver_major)
	if [ -z "$driver" ] || [ "$driver" -ge 580 ]; then
		echo 13
	else
		[ "$driver" -ge 525 ] || warn "the NVIDIA driver is version $driver; CUDA 12 needs 525 or later: kernels may not load"
		echo 12
	fi
}

# nvrtc_in FOLDER NEWEST: print the path of a usable libnvrtc.so.N in FOLDER. Usable: from version 12 to NEWEST, and with
# its builtins library beside it.
nvrtc_in() {
	for candidate in "$1"/libnvrtc.so.[0-9]*; do
		[ -e "$candidate" ] || continue
		version=${candidate##*/libnvrtc.so.}
		case $version in *[!0-9]*) continue ;; esac
		[ "$version" -ge 12 ] || continue
		[ "$version" -le "$2" ] || continue
		for builtins in "$1"/libnvrtc-builtins.so.*; do
			if [ -e "$builtins" ]; then
				printf '%s\n' "$candidate"
				return 0
			fi
		done
	done
	return 1
}

# Print the path of a CUDA toolkit's NVRTC, else of the project's own copy; fails where there is neither.
find_nvrtc() {
	newest=$(cuda_major_for_driver)
	for home in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /usr/local/cuda-[0-9]*; do
		[ -n "$home" ] || continue
		nvrtc_in "$home/lib64" "$newest" && return 0
		nvrtc_in "$home/lib" "$newest" && return 0
	done
	for library in $(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | sed -n 's/.*libnvrtc\.so\.[0-9]* .*=> //p'); do
		nvrtc_in "${library%/*}" "$newest" && return 0
	done
	nvrtc_in "$root/.toolchain/nvrtc-$newest/lib" "$newest"
}

# Fetch NVRTC's wheel and its headers' into .toolchain: exact versions with their hashes, from deploy/nvrtc-N.txt.
fetch_nvrtc() {
	newest=$(cuda_major_for_driver)
	python3 -m pip --version >/dev/null 2>&1 || install_packages python3 python3-pip
	say "fetching NVRTC for CUDA $newest into .toolchain (about 100 MB, once)"
	mkdir -p "$root/.toolchain"
	wheels=$(mktemp -d "$root/.toolchain/wheels.XXXXXX")
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
		-r "$root/deploy/nvrtc-$newest.txt" -d "$wheels" || {
		rm -rf "$wheels"
		die "pip could not fetch NVRTC. Check the network, or install a CUDA toolkit and set CUDA_HOME, then run me again."
	}
	python3 -B "$root/deploy/unpack_nvrtc.py" "$wheels" "$wheels/unpacked"
	rm -rf "$root/.toolchain/nvrtc-$newest"
	mv "$wheels/unpacked" "$root/.toolchain/nvrtc-$newest"
	rm -rf "$wheels"
}

# Set NVRTC to the compiler library: what GPUDISPATCH_NVRTC names, else what is found, else what is fetched.
need_nvrtc() {
	if [ -f "${GPUDISPATCH_NVRTC:-}" ]; then
		NVRTC=$GPUDISPATCH_NVRTC
	elif [ -n "${GPUDISPATCH_NVRTC:-}" ]; then
		NVRTC=$(nvrtc_in "$GPUDISPATCH_NVRTC" 99) ||
			die "GPUDISPATCH_NVRTC is $GPUDISPATCH_NVRTC, where there is no libnvrtc.so.12 or later. Correct or unset it."
	elif ! NVRTC=$(find_nvrtc); then
		fetch_nvrtc
		NVRTC=$(find_nvrtc) || die "the fetched NVRTC is not usable: remove .toolchain, then run me again."
	fi
}

# --- the service

# running PID: is it there, and no zombie?
running() {
	kill -0 "$1" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}

# wait_until SECONDS COMMAND...: until the command succeeds; fails when time is up.
wait_until() {
	deadline=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

# start_service DAEMON FOLDER ARGUMENT...: start it with its log, port file and state in FOLDER, and wait until it is
# ready. Sets service_pid and service_url; on failure prints the log's end and returns 1 with nothing left running.
start_service() {
	daemon=$1 service_dir=$2
	shift 2
	rm -f "$service_dir/port"
	"$daemon" --port-file "$service_dir/port" --state-dir "$service_dir/state" "$@" >"$service_dir/log" 2>&1 &
	service_pid=$!
	service_url=
	if wait_until 60 service_listens_or_ended && [ -s "$service_dir/port" ]; then
		service_url=$(cat "$service_dir/port")
		if wait_until 60 service_ready_or_ended && running "$service_pid"; then
			return 0
		fi
		warn "the service did not get ready; /readyz says: $(curl -s --max-time 5 "$service_url/readyz" || true)"
	fi
	warn "the service did not start; the end of its log:"
	tail -n 20 "$service_dir/log" >&2
	stop_service || true
	return 1
}

service_listens_or_ended() {
	[ -s "$service_dir/port" ] || ! running "$service_pid"
}

service_ready_or_ended() {
	curl -sf --max-time 5 -o /dev/null "$service_url/readyz" || ! running "$service_pid"
}

# stop_service: end it with SIGTERM, after 20 s with SIGKILL; returns its exit status.
stop_service() {
	[ -n "${service_pid:-}" ] || return 0
	pid=$service_pid
	service_pid=
	kill -TERM "$pid" 2>/dev/null || true
	wait_until 20 not_running "$pid" || kill -KILL "$pid" 2>/dev/null || true
	wait "$pid"
}

not_running() {
	! running "$1"
}
