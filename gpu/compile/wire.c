#include "gpu/compile/wire.h"

#include <string.h>

void gd_wire_put_u64(struct gd_wire_writer *writer, uint64_t value)
{
	if (writer->failed || (size_t)(writer->end - writer->at) < sizeof value) {
		writer->failed = true;
		return;
	}
	memcpy(writer->at, &value, sizeof value);
	writer->at += sizeof value;
}

void gd_wire_put_bytes(struct gd_wire_writer *writer, const void *data, size_t bytes)
{
	if (!data)
		bytes = 0;
	gd_wire_put_u64(writer, bytes);
	if (writer->failed || (size_t)(writer->end - writer->at) <= bytes) {
		writer->failed = true;
		return;
	}
	if (bytes)
		memcpy(writer->at, data, bytes);
	writer->at[bytes] = '\0';
	writer->at += bytes + 1;
}

void gd_wire_put_text(struct gd_wire_writer *writer, const char *text)
{
	gd_wire_put_bytes(writer, text, text ? strlen(text) : 0);
}

uint64_t gd_wire_get_u64(struct gd_wire_reader *reader)
{
	uint64_t value;
	if (reader->failed || (size_t)(reader->end - reader->at) < sizeof value) {
		reader->failed = true;
		return 0;
	}
	memcpy(&value, reader->at, sizeof value);
	reader->at += sizeof value;
	return value;
}

uint32_t gd_wire_get_u32(struct gd_wire_reader *reader, uint32_t max)
{
	uint64_t value = gd_wire_get_u64(reader);
	if (value > max) {
		reader->failed = true;
		return 0;
	}
	return (uint32_t)value;
}

struct gd_wire_text gd_wire_get_bytes(struct gd_wire_reader *reader, size_t max)
{
	static const struct gd_wire_text empty = {"", 0};
	uint64_t bytes = gd_wire_get_u64(reader);
	if (reader->failed || bytes > max || (size_t)(reader->end - reader->at) <= bytes ||
	    reader->at[bytes] != '\0') {
		reader->failed = true;
		return empty;
	}
	struct gd_wire_text text = {(const char *)reader->at, (size_t)bytes};
	reader->at += bytes + 1;
	return text;
}
