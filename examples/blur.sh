#!/bin/sh
# A 5x5 blur of a grey picture as a form: parts are named for the parameters. Writes the picture before and after.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
prepare blur

compile blur 'workgroup_size=16,16'
call "$OUT_DIR/blur.to.u8" -F "from=@$OUT_DIR/blur.from.u8" -F to.bytes=42500 -F width=250 -F height=170 \
	"$URL/pipelines/$id/dispatch?grid=16,11"
picture blur.before 250 170 "$OUT_DIR/blur.from.u8"
picture blur.after 250 170 "$OUT_DIR/blur.to.u8"
check blur
