#include "server/files.h"

#include "gpu/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_NAME_MAX = 2048 };

bool gd_port_file_write(const char *path, const char *url, struct gd_error *error)
{
	char temporary[PATH_NAME_MAX], text[160];
	int bytes = snprintf(temporary, sizeof temporary, "%s.%d.tmp", path, (int)getpid());
	if (bytes < 0 || (size_t)bytes >= sizeof temporary)
		return gd_error_errno(error, ENAMETOOLONG, "cannot write the port file");
	int length = snprintf(text, sizeof text, "%s\n", url);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return gd_error_errno(error, errno, "cannot write the port file %s", path);
	bool ok = write(fd, text, (size_t)length) == length;
	int why = errno;
	close(fd);
	if (ok && rename(temporary, path) < 0) {
		ok = false;
		why = errno;
	}
	if (!ok)
		unlink(temporary);
	return ok || gd_error_errno(error, why, "cannot write the port file %s", path);
}

void gd_port_file_remove(const char *path, const char *url)
{
	gd_auto_file FILE *file = fopen(path, "re");
	char line[160];
	if (!file || !fgets(line, sizeof line, file))
		return;
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, url) == 0)
		unlink(path);
}

bool gd_state_dir_open(const char *path, bool *out_read_only, struct gd_error *error)
{
	struct stat info;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return gd_error_errno(error, errno, "cannot make the state folder %s", path);
	if (stat(path, &info) < 0)
		return gd_error_errno(error, errno, "cannot use the state folder %s", path);
	if (!S_ISDIR(info.st_mode))
		return gd_error_errno(error, ENOTDIR, "cannot use the state folder %s", path);
	bool read_only = false;
	if (access(path, R_OK | W_OK | X_OK) < 0) {
		if (errno != EROFS)
			return gd_error_errno(error, errno, "cannot use the state folder %s", path);
		read_only = true;
	}
	*out_read_only = read_only;
	return true;
}
