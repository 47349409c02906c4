#!/bin/sh
# From a fresh Debian 12 or Ubuntu 24.04 to an answered kernel: install what is missing, build, start the service,
# compile and dispatch examples/saxpy.cu with curl, and keep serving until Ctrl-C.
set -eu

usage() {
	cat <<'END'
usage: sh deploy/quickstart.sh [--port N] [--backend auto|cuda|reference] [--once]

  --port N      listen on 127.0.0.1:N (default 8080; 0 picks a free port)
  --backend B   auto (default) takes a GPU if one answers, else the CPU reference device
  --once        stop after the example has been answered, and exit 0
  --help        this text

Installs missing packages by apt (as root or through sudo). NVRTC, CUDA's compiler library, is taken from a CUDA
toolkit (GPUDISPATCH_NVRTC, CUDA_HOME, /usr/local/cuda, ldconfig) or else fetched from its Python wheel into
.toolchain/. Builds into build/release. Nothing else on the machine is touched.
END
}

root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$root/deploy/lib.sh"

port=8080 backend=auto once=no
while [ $# -gt 0 ]; do
	case $1 in
	--port | --backend)
		[ $# -ge 2 ] || die "$1 needs a value (--help tells more)"
		if [ "$1" = --port ]; then port=$2; else backend=$2; fi
		shift
		;;
	--port=*) port=${1#*=} ;;
	--backend=*) backend=${1#*=} ;;
	--once) once=yes ;;
	--help | -h)
		usage
		exit 0
		;;
	*) die "unknown option $1 (--help lists them)" ;;
	esac
	shift
done
case $port in
'' | *[!0-9]*) die "--port needs a number from 0 to 65535, not '$port'" ;;
esac
[ "$port" -le 65535 ] || die "--port needs a number from 0 to 65535, not '$port'"

# shellcheck disable=SC2046 # one word a package
install_packages $(build_needs)
need_nvrtc
say "NVRTC: $NVRTC"

# Warnings are errors to those who work on the code, not to whoever has a newer compiler.
say "building build/release/server/gpudispatchd"
cd "$root"
cmake --preset release -DGD_TESTS=OFF -DGD_WERROR=OFF >/dev/null
cmake --build build/release --target gpudispatchd

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

no_proxy=127.0.0.1,localhost,${no_proxy:-}
export no_proxy
start_service build/release/server/gpudispatchd "$folder" --listen "127.0.0.1:$port" --backend "$backend" --nvrtc "$NVRTC" ||
	die "if port $port is taken, choose another: sh deploy/quickstart.sh --port 0"
say "gpudispatchd listens on $service_url"
say ""
GPUDISPATCH_URL=$service_url sh examples/saxpy.sh
say ""
[ "$once" = no ] || exit 0

say "Still serving on $service_url; Ctrl-C ends it. More to try in another terminal:"
say "  GPUDISPATCH_URL=$service_url sh examples/mandelbrot.sh"
trap 'exit 0' INT TERM
wait "$service_pid" || status=$?
service_pid=
die "the service ended by itself (status ${status:-0}); the end of its log: $(tail -n 5 "$folder/log")"
