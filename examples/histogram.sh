#!/bin/sh
# Counts of byte values with shared atomics. The file is the body; the output is a zeroed buffer named in the query.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
prepare histogram

compile histogram 'workgroup_size=256'
call "$OUT_DIR/histogram.bins.u32" -H 'Content-Type: application/octet-stream' \
	--data-binary "@$OUT_DIR/histogram.bytes.u8" "$URL/pipelines/$id/dispatch?n=200001&bins=1024&grid=16"
check histogram
