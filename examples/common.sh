# shellcheck shell=sh disable=SC2034 # variables that the sourcing script reads
# What the example scripts share: where the service is, where files go, and how a call is shown.
#
#   GPUDISPATCH_URL   the service (default http://127.0.0.1:8080)
#   OUT_DIR           keep inputs, outputs and answers here (default: a temporary folder, removed at the end;
#                     pictures then go to the current folder)
#
# Everything needs curl and POSIX tools; only the checks under check/ need python3.
set -eu

URL=${GPUDISPATCH_URL:-http://127.0.0.1:8080}
EXAMPLES=$(cd "$(dirname "$0")" && pwd)

if [ -n "${OUT_DIR:-}" ]; then
	mkdir -p "$OUT_DIR"
	OUT_DIR=$(cd "$OUT_DIR" && pwd)
	pictures=$OUT_DIR
else
	pictures=$PWD
	OUT_DIR=$(mktemp -d)
	trap 'rm -rf "$OUT_DIR"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
fi

# Print the arguments as a command line that could be pasted into a shell.
show() {
	printf '+ curl'
	for word; do
		case $word in
		*[!A-Za-z0-9@%+=:,./_-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	printf '\n'
}

# call FILE CURL-ARGUMENT...: show the call, make it, and show the answer, which goes to FILE. A refusal ends the script.
call() {
	answer=$1
	shift
	show "$@"
	rm -f "$answer"
	said=$(curl -sS --fail-with-body -o "$answer" -w '%{http_code} %{content_type}, %{size_download} bytes' "$@") || {
		status=$?
		case $said in
		'000 '*) printf 'nothing answers at %s; sh deploy/quickstart.sh starts the service\n' "$URL" >&2 ;;
		*) cat "$answer" >&2 ;;
		esac
		exit "$status"
	}
	printf '< %s\n' "$said"
	case $said in
	*application/json*) printf '%s ...\n' "$(head -c 160 "$answer")" ;;
	esac
}

# json_strings NAME FILE: the values of all string members NAME, one a line; enough for ids and base64, which need no
# unescaping.
json_strings() {
	tr ',{' '[\n*]' <"$2" | sed -n "s/^[[:space:]]*\"$1\"[[:space:]]*:[[:space:]]*\"\([^\"]*\)\".*/\1/p"
}

# id_of FILE: the id in the answer to POST /pipelines.
id_of() {
	json_strings id "$1" | head -n 1
}

# json_text FILE: the file as the inside of a JSON string.
json_text() {
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' "$1" | awk '{ printf "%s\\n", $0 }'
}

# base64_of FILE: one line of base64.
base64_of() {
	base64 <"$1" | tr -d '\n'
}

# compile NAME QUERY: post NAME.cu as it is; sets id.
compile() {
	call "$OUT_DIR/$1.pipeline.json" --data-binary "@$EXAMPLES/$1.cu" "$URL/pipelines?$2"
	id=$(id_of "$OUT_DIR/$1.pipeline.json")
}

# split_frame HEADERS BODY JSON BINARY: part a framed answer into its JSON and the bytes that follow it.
split_frame() {
	length=$(tr -d '\r' <"$1" | sed -n 's/^[Ii]nference-[Hh]eader-[Cc]ontent-[Ll]ength:[[:space:]]*//p')
	[ -n "$length" ] || {
		printf 'the answer has no Inference-Header-Content-Length\n' >&2
		exit 1
	}
	head -c "$length" "$2" >"$3"
	tail -c "+$((length + 1))" "$2" >"$4"
}

# slice FILE OFFSET BYTES: that part of a file.
slice() {
	tail -c "+$(($2 + 1))" "$1" | head -c "$3"
}

# picture NAME WIDTH HEIGHT PIXELS: write a grey picture as NAME.pgm (netpbm's P5), which most viewers show.
picture() {
	{
		printf 'P5\n%d %d\n255\n' "$2" "$3"
		cat "$4"
	} >"$pictures/$1.pgm"
	printf 'picture %s\n' "$pictures/$1.pgm"
}

# prepare NAME and check NAME: make the inputs, and compare the outputs with an independent computation.
prepare() {
	python3 -B "$EXAMPLES/check/$1.py" make "$OUT_DIR"
}
check() {
	python3 -B "$EXAMPLES/check/$1.py" check "$OUT_DIR"
}
