#include "gpu/device/echo/image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 256
#define WORDS_MAX      3

struct reader {
	const char *entry;
	struct gd_echo_image image;
	struct gd_kernel_info *info;
	bool names_entries, has_entry;
};

/* Decimal digits only, at most `max`. */
static bool read_number(const char *word, uint64_t max, uint64_t *out_value)
{
	if (!word || word[0] < '0' || word[0] > '9')
		return false;
	char *end;
	errno = 0;
	unsigned long long value = strtoull(word, &end, 10);
	if (errno || *end || value > max)
		return false;
	*out_value = value;
	return true;
}

static bool read_param(struct reader *reader, char **words)
{
	struct gd_kernel_info *info = reader->info;
	uint64_t offset, size;
	if (!read_number(words[1], GD_PARAM_BYTES_MAX, &offset) ||
	    !read_number(words[2], GD_PARAM_BYTES_MAX, &size))
		return false;
	if (!size || offset < info->param_bytes || size > GD_PARAM_BYTES_MAX - offset ||
	    info->param_count == GD_PARAMS_MAX)
		return false;
	info->params[info->param_count].offset = (uint32_t)offset;
	info->params[info->param_count].size = (uint32_t)size;
	info->param_count++;
	info->param_bytes = (uint32_t)(offset + size);
	return true;
}

/* One directive of `count` words; false when it is none. */
static bool read_directive(struct reader *reader, char **words, int count)
{
	struct gd_echo_image *image = &reader->image;
	uint64_t value;
	if (!strcmp(words[0], "param"))
		return count == 3 && read_param(reader, words);
	if (!strcmp(words[0], "entry") && count == 2) {
		reader->names_entries = true;
		reader->has_entry |= !strcmp(words[1], reader->entry);
		return true;
	}
	if (!strcmp(words[0], "threads") && count == 2) {
		if (!read_number(words[1], 1024, &value) || !value)
			return false;
		image->max_threads = (uint32_t)value;
		return true;
	}
	if (!strcmp(words[0], "spin") && count == 2)
		return read_number(words[1], GD_ECHO_SPIN_MAX_NS, &image->spin_ns);
	if (!strcmp(words[0], "fault") && (count == 1 || (count == 2 && !strcmp(words[1], "sticky")))) {
		image->end = count == 1 ? GD_ECHO_FAULTS : GD_ECHO_FAULTS_STICKY;
		return true;
	}
	if (!strcmp(words[0], "exit") && count <= 2) {
		value = 1;
		if (count == 2 && !read_number(words[1], 255, &value))
			return false;
		image->end = GD_ECHO_EXITS;
		image->exit_status = (int)value;
		return true;
	}
	if (!strcmp(words[0], "hang") && count == 1) {
		image->end = GD_ECHO_HANGS;
		return true;
	}
	if (!strcmp(words[0], "refuse") && count == 1) {
		image->refuses = true;
		return true;
	}
	return !strcmp(words[0], "echo") && count == 1;
}

/* Split at blanks; a comment ends the line. Returns the number of words, WORDS_MAX + 1 when there are more.
 */
static int split(char *line, char **words)
{
	static const char blanks[] = " \t\r";
	int count = 0;
	line[strcspn(line, "#")] = '\0';
	for (char *word = line + strspn(line, blanks); *word; count++) {
		if (count == WORDS_MAX)
			return WORDS_MAX + 1;
		words[count] = word;
		word += strcspn(word, blanks);
		if (*word)
			*word++ = '\0';
		word += strspn(word, blanks);
	}
	return count;
}

static bool read_lines(struct reader *reader, const char *text, struct gd_error *error)
{
	for (unsigned number = 1; *text; number++) {
		size_t bytes = strcspn(text, "\n");
		char line[LINE_MAX_BYTES];
		char *words[WORDS_MAX] = {NULL};
		int count = WORDS_MAX + 1;
		if (bytes < sizeof line) {
			memcpy(line, text, bytes);
			line[bytes] = '\0';
			count = split(line, words);
		}
		if (count > WORDS_MAX || (count && !read_directive(reader, words, count)))
			return gd_error_set(
			    error, GD_INVALID_PROGRAM,
			    "Write one directive a line, as gpu/device/echo/image.h lists them.",
			    "line %u of the echo image is no directive: %.*s", number,
			    bytes > 80 ? 80 : (int)bytes, text);
		text += bytes;
		text += *text == '\n';
	}
	return true;
}

static bool is_description(const char *text)
{
	return !strncmp(text, "echo", 4) && (text[4] == '\0' || strchr(" \t\r\n#", text[4]));
}

bool gd_echo_image_read(const struct gd_image *image, struct gd_echo_image *out_image,
			struct gd_kernel_info *out_info, struct gd_error *error)
{
	const char *text = image->data;
	if (image->kind != GD_IMAGE_PTX)
		return gd_error_set(error, GD_INVALID_PROGRAM,
				    "Post text; the echo device runs no machine code.",
				    "the echo device loads text only");
	if (!text || memchr(text, '\0', image->bytes) || text[image->bytes])
		return gd_error_set(error, GD_INVALID_PROGRAM, "Send the text whole, closed by one NUL.",
				    "the image is no text of %zu bytes", image->bytes);
	struct reader reader = {.entry = image->entry ? image->entry : "", .info = out_info};
	reader.image.max_threads = 1024;
	reader.image.is_described = is_description(text);
	out_info->param_count = 0;
	out_info->param_bytes = 0;
	if (reader.image.is_described && !read_lines(&reader, text, error))
		return false;
	if (reader.names_entries && !reader.has_entry)
		return gd_error_set(error, GD_INVALID_PROGRAM, "Name a kernel that the program defines.",
				    "the program has no kernel \"%.200s\"", reader.entry);
	*out_image = reader.image;
	return true;
}
