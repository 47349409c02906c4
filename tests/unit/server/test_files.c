#include "server/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[128];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/gd-files-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/thing", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void the_port_file_is_written_whole_and_removed_by_its_writer_only(void **state)
{
	(void)state;
	struct gd_error error;
	char text[64];
	assert_true(gd_port_file_write(path, "http://127.0.0.1:1", &error));
	FILE *file = fopen(path, "r");
	assert_non_null(fgets(text, sizeof text, file));
	fclose(file);
	assert_string_equal(text, "http://127.0.0.1:1\n");
	gd_port_file_remove(path, "http://127.0.0.1:2");
	assert_int_equal(access(path, F_OK), 0);
	gd_port_file_remove(path, "http://127.0.0.1:1");
	assert_int_equal(access(path, F_OK), -1);
	gd_port_file_remove(path, "http://127.0.0.1:1");
}

static void a_port_file_that_cannot_be_written_leaves_nothing(void **state)
{
	(void)state;
	struct gd_error error;
	assert_int_equal(mkdir(path, 0700), 0);
	char inside[192];
	snprintf(inside, sizeof inside, "%s/x", path);
	assert_int_equal(mkdir(inside, 0700), 0); /* a folder that is not empty cannot be renamed over */
	assert_false(gd_port_file_write(path, "http://127.0.0.1:1", &error));
	assert_non_null(strstr(error.text, "cannot write the port file"));
	rmdir(inside);
	rmdir(path);
	assert_false(gd_port_file_write("/nonexistent/folder/file", "x", &error));
}

static void the_state_folder_is_made_private(void **state)
{
	(void)state;
	struct gd_error error;
	struct stat info;
	bool read_only = true;
	assert_true(gd_state_dir_open(path, &read_only, &error));
	assert_false(read_only);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	assert_true(gd_state_dir_open(path, &read_only, &error));
	rmdir(path);
}

static void a_state_folder_that_is_none_is_refused(void **state)
{
	(void)state;
	struct gd_error error;
	bool read_only;
	FILE *file = fopen(path, "w");
	fclose(file);
	assert_false(gd_state_dir_open(path, &read_only, &error));
	assert_non_null(strstr(error.text, "Not a directory"));
	unlink(path);
	assert_false(gd_state_dir_open("/nonexistent/a/b", &read_only, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_port_file_is_written_whole_and_removed_by_its_writer_only,
					    make_folder, remove_folder),
	    cmocka_unit_test_setup_teardown(a_port_file_that_cannot_be_written_leaves_nothing, make_folder,
					    remove_folder),
	    cmocka_unit_test_setup_teardown(the_state_folder_is_made_private, make_folder, remove_folder),
	    cmocka_unit_test_setup_teardown(a_state_folder_that_is_none_is_refused, make_folder,
					    remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
