#!/bin/sh
# Prove that deploy/quickstart.sh works where nothing is installed: make a minimal Debian or Ubuntu with debootstrap, copy
# the tree into it, and run the quickstart there, once with a CUDA toolkit in sight and once without.
set -eu

usage() {
	cat <<'END'
usage: sh deploy/prove-clean-root.sh [--suite bookworm|noble] [--mirror URL] [--only with|without] [--tests]

  --suite S    the release to prove on (default bookworm)
  --mirror URL where its packages come from (default: debootstrap's own)
  --only W     only the run with, or without, a CUDA toolkit (the toolkit of this machine is copied)
  --tests      run tests/run.sh --quick there too
  --help       this text

Needs root, debootstrap and a network for packages. Works in a temporary folder below TMPDIR (default /var/tmp),
about 3 GB, and removes it.
END
}

root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$root/deploy/lib.sh"

suite=bookworm mirror='' only='with without' tests=no
while [ $# -gt 0 ]; do
	case $1 in
	--suite | --mirror | --only)
		[ $# -ge 2 ] || die "$1 needs a value (--help tells more)"
		case $1 in
		--suite) suite=$2 ;;
		--mirror) mirror=$2 ;;
		--only) only=$2 ;;
		esac
		shift
		;;
	--tests) tests=yes ;;
	--help | -h)
		usage
		exit 0
		;;
	*) die "unknown option $1 (--help lists them)" ;;
	esac
	shift
done
[ "$(id -u)" = 0 ] || die "needs root, for debootstrap and chroot"
have debootstrap || die "needs debootstrap: apt-get install debootstrap"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/gpudispatch-proof.XXXXXX")
mounted=
# shellcheck disable=SC2317 # called by the trap
finish() {
	status=$?
	trap - EXIT INT TERM
	[ -z "$mounted" ] || umount "$mounted"
	rm -rf --one-file-system "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The minimal system. Ubuntu keeps some of what we need in universe, which its installers enable.
say "making a minimal $suite"
components=main
case $suite in noble | jammy) components=main,universe ;; esac
debootstrap --variant=minbase --components="$components" "$suite" "$work/base" ${mirror:+"$mirror"} >"$work/log" 2>&1 || {
	tail -n 5 "$work/log" >&2
	die "debootstrap could not make $suite; are its packages reachable, and its keyring installed?"
}
# The same network as out here: resolver, and certificate authorities that this machine trusts in addition.
cp /etc/resolv.conf /etc/hosts "$work/base/etc/"
mkdir -p "$work/base/usr/local/share/ca-certificates"
for authority in /usr/local/share/ca-certificates/*.crt; do
	[ ! -e "$authority" ] || cp "$authority" "$work/base/usr/local/share/ca-certificates/"
done

# copy_toolkit TARGET: what of this machine's CUDA toolkit the service can use.
copy_toolkit() {
	nvrtc=$(find_nvrtc) || die "there is no CUDA toolkit here to copy; use --only without"
	mkdir -p "$1/usr/local/cuda/lib64"
	cp -L "$nvrtc" "${nvrtc%/*}"/libnvrtc-builtins.so.* "$1/usr/local/cuda/lib64/"
	for include in "${nvrtc%/*}/../include" "${nvrtc%/*}/../../include"; do
		[ ! -e "$include/cuda_fp16.h" ] || cp -RL "$include" "$1/usr/local/cuda/"
	done
}

# left_in TARGET: pids of processes that still live in that root.
left_in() {
	for process in /proc/[0-9]*; do
		[ "$(readlink "$process/root" 2>/dev/null)" != "$1" ] || printf '%s ' "${process#/proc/}"
	done
}

failed=0
for which in $only; do
	say "--- quickstart in a clean $suite, $which a CUDA toolkit"
	target=$work/$which
	cp -a "$work/base" "$target"
	[ "$which" = without ] || copy_toolkit "$target"
	mkdir -p "$target/opt/gpudispatch"
	tar --create --directory "$root" --exclude ./build --exclude ./.toolchain --exclude ./.git . |
		tar --extract --directory "$target/opt/gpudispatch" --no-same-owner
	mount -t proc proc "$target/proc"
	mounted=$target/proc
	began=$(date +%s)
	verdict=ok
	chroot "$target" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
		sh -c 'cd /opt/gpudispatch && sh deploy/quickstart.sh --once --port 0' </dev/null || verdict="FAILED ($?)"
	left=$(left_in "$target")
	if [ -n "$left" ]; then
		verdict="FAILED (left running: $left)"
		# shellcheck disable=SC2086 # pids, one word each
		kill -KILL $left 2>/dev/null || true
	fi
	results="${results:-}quickstart in a clean $suite, $which a CUDA toolkit: $verdict, $(($(date +%s) - began)) s
"
	[ "$verdict" = ok ] || failed=1
	if [ "$tests" = yes ] && [ "$verdict" = ok ]; then
		verdict=ok
		chroot "$target" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
			sh -c 'cd /opt/gpudispatch && sh tests/run.sh --quick' </dev/null || verdict="FAILED ($?)"
		results="${results}tests/run.sh --quick there: $verdict
"
		[ "$verdict" = ok ] || failed=1
	fi
	umount "$target/proc"
	mounted=
	rm -rf --one-file-system "$target"
done
printf '\n%s' "$results"
exit "$failed"
