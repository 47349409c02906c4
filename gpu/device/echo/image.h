/*
 * What an echo "kernel" is: a few lines of text.
 *
 * An image whose first line is the word `echo` is a description, one directive a line, `#` begins a comment:
 *
 *   echo                   must be the first line
 *   entry NAME             a kernel of this name; without any such line every name exists
 *   param OFFSET SIZE      one parameter, in order; offsets rise and do not overlap
 *   threads N              block size limit of the kernel (1 to 1024, default 1024)
 *   spin NS                a launch takes this long on the monotonic clock, times its iterations (at most 60
 * s) fault [sticky]         the launch fails; sticky: so does every later call on the device, as after a CUDA
 * fault exit [STATUS]          the process ends by _exit when the launch would (default status 1) hang the
 * launch never ends refuse                 the image does not load (GD_UNSUPPORTED_FEATURE)
 *
 * Directives of behaviour combine: `spin 1000000` and `fault` faults after a millisecond. Any other text,
 * real PTX for instance, loads too: it has every entry, its parameters are unknown and unchecked, and it does
 * none of the above.
 *
 * Nothing here allocates or keeps state. Any thread.
 */
#ifndef GD_DEVICE_ECHO_IMAGE_H
#define GD_DEVICE_ECHO_IMAGE_H

#include "gpu/device/device.h"

#define GD_ECHO_SPIN_MAX_NS 60000000000ull /* longer is what `hang` is for */

enum gd_echo_end { GD_ECHO_ENDS, GD_ECHO_FAULTS, GD_ECHO_FAULTS_STICKY, GD_ECHO_EXITS, GD_ECHO_HANGS };

struct gd_echo_image {
	bool is_described; /* false: foreign text, parameters unknown */
	bool refuses;
	enum gd_echo_end end;
	int exit_status;
	uint64_t spin_ns;
	uint32_t max_threads;
};

/*
 * Read `image`; sets params, param_count, param_bytes of `out_info` and leaves its other fields alone.
 * Fails: GD_INVALID_PROGRAM (a line that is none of the above, named by number; no such entry; not PTX; a
 * text that contains NUL or lacks its closing one).
 */
bool gd_echo_image_read(const struct gd_image *image, struct gd_echo_image *out_image,
			struct gd_kernel_info *out_info, struct gd_error *error);

#endif
