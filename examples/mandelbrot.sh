#!/bin/sh
# A picture from nothing but scalars: a small JSON request, answered with raw bytes because Accept asks for them.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"

cat >"$OUT_DIR/mandelbrot.compile.json" <<END
{"source": "$(json_text "$EXAMPLES/mandelbrot.cu")",
 "options": ["--fmad=false"], "workgroup_size": [16, 16, 1]}
END
call "$OUT_DIR/mandelbrot.pipeline.json" -H 'Content-Type: application/json' \
	--data-binary "@$OUT_DIR/mandelbrot.compile.json" "$URL/pipelines"
id=$(id_of "$OUT_DIR/mandelbrot.pipeline.json")

call "$OUT_DIR/mandelbrot.pixels.u8" -H 'Content-Type: application/json' -H 'Accept: application/octet-stream' --data '{
  "args": [{"bytes": 60000}, {"value": 300}, {"value": 200}, {"value": -0.7}, {"value": 0.0}, {"value": 0.01},
           {"value": 85}],
  "grid": [19, 13, 1]}' "$URL/pipelines/$id/dispatch"
picture mandelbrot 300 200 "$OUT_DIR/mandelbrot.pixels.u8"
check mandelbrot
