#!/bin/sh
# y = 2x + y over 1024 floats. Source and buffers travel as they are, the rest in the query. Needs no python3.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"

# Whole numbers as little-endian f32, in printf's octal escapes: the exponent and the bits after the leading one.
floats() {
	awk -v "first=$1" -v "step=$2" -v "count=$3" 'BEGIN {
		for (i = 0; i < count; i++) {
			value = first + i * step
			sign = value < 0
			size = sign ? -value : value
			if (size == 0) {
				printf "\\000\\000\\000\\000"
				continue
			}
			for (exponent = 127; size >= 2; exponent++)
				size /= 2
			mantissa = (size - 1) * 8388608
			printf "\\%03o\\%03o\\%03o\\%03o", mantissa % 256, int(mantissa / 256) % 256,
			       int(mantissa / 65536) + exponent % 2 * 128, int(exponent / 2) + sign * 128
		}
	}'
}

printf '%b' "$(floats 0 1 1024)" >"$OUT_DIR/saxpy.x.f32"     # x = 0, 1, 2 ...
printf '%b' "$(floats 1000 -1 1024)" >"$OUT_DIR/saxpy.y0.f32" # y = 1000, 999, 998 ...
cat "$OUT_DIR/saxpy.x.f32" "$OUT_DIR/saxpy.y0.f32" >"$OUT_DIR/saxpy.in"

compile saxpy kernel=saxpy
call "$OUT_DIR/saxpy.y.f32" --data-binary "@$OUT_DIR/saxpy.in" "$URL/pipelines/$id/dispatch?a=2.0&n=1024"

# 2i + (1000 - i) is 1000 + i, exactly.
od -A n -v -t f4 "$OUT_DIR/saxpy.y.f32" | tr -s ' ' '\n' | awk 'NF {
	if ($1 != 1000 + count) {
		printf "saxpy: y[%d] is %s, should be %d: WRONG\n", count, $1, 1000 + count
		exit bad = 1
	}
	count++
} END {
	if (!bad && count != 1024) {
		printf "saxpy: %d values instead of 1024: WRONG\n", count
		bad = 1
	}
	if (!bad)
		print "saxpy: y = 1000 1001 1002 ... 2023, all 1024 values equal: ok"
	exit bad
}'
