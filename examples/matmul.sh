#!/bin/sh
# C = A * B with shared memory and barriers. A template is compiled by expression; everything travels as JSON, buffers
# as base64.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
prepare matmul

rows=120 inner=100 columns=72 tile=16
cat >"$OUT_DIR/matmul.compile.json" <<END
{"source": "$(json_text "$EXAMPLES/matmul.cu")",
 "kernel": "matmul<$tile>", "workgroup_size": [$tile, $tile, 1]}
END
call "$OUT_DIR/matmul.pipeline.json" -H 'Content-Type: application/json' \
	--data-binary "@$OUT_DIR/matmul.compile.json" "$URL/pipelines"
id=$(id_of "$OUT_DIR/matmul.pipeline.json")

cat >"$OUT_DIR/matmul.dispatch.json" <<END
{"args": [{"data": "$(base64_of "$OUT_DIR/matmul.a.f32")"},
          {"data": "$(base64_of "$OUT_DIR/matmul.b.f32")"},
          {"bytes": $((rows * columns * 4))},
          {"value": $rows}, {"value": $inner}, {"value": $columns}],
 "grid": [$(((columns + tile - 1) / tile)), $(((rows + tile - 1) / tile)), 1]}
END
call "$OUT_DIR/matmul.json" -H 'Content-Type: application/json' \
	--data-binary "@$OUT_DIR/matmul.dispatch.json" "$URL/pipelines/$id/dispatch"
json_strings data "$OUT_DIR/matmul.json" | base64 -d >"$OUT_DIR/matmul.c.f32"
check matmul
