/* What the process leaves on disk: the port file and the state folder. Main thread. */
#ifndef GD_SERVER_FILES_H
#define GD_SERVER_FILES_H

#include "gpu/base/error.h"

/* Write "url\n" to a new file beside `path` and rename it there. Fails: GD_INTERNAL_STATE with errno. */
bool gd_port_file_write(const char *path, const char *url, struct gd_error *error);
/* Remove it, if it still says what we wrote: a later process may have taken the name. */
void gd_port_file_remove(const char *path, const char *url);

/*
 * Make the folder with mode 0700 when it is missing, and see that it can be used. One on a read-only file
 * system is taken (*out_read_only), since the service works without. Fails: GD_INTERNAL_STATE.
 */
bool gd_state_dir_open(const char *path, bool *out_read_only, struct gd_error *error);

#endif
