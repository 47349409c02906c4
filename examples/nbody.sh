#!/bin/sh
# One step of 400 bodies: float4 and rsqrtf. A form again, answered with two outputs in one frame.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
prepare nbody

compile nbody 'workgroup_size=64&kernel=nbody'
cd "$OUT_DIR"
call nbody.out -D nbody.headers -F from=@nbody.from.f32 -F to.bytes=6400 -F velocity=@nbody.velocity0.f32 \
	-F dt=0.01 -F softening=0.05 -F n=400 "$URL/pipelines/$id/dispatch?elements=400"
split_frame nbody.headers nbody.out nbody.json nbody.bytes
slice nbody.bytes 0 6400 >nbody.to.f32
slice nbody.bytes 6400 6400 >nbody.velocity.f32
check nbody
