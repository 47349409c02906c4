#include "api/openapi.h"

extern const char gd_openapi_end[];

__asm__(".pushsection .rodata\n"
	".global gd_openapi_text\n"
	".hidden gd_openapi_text\n"
	".type gd_openapi_text, @object\n"
	"gd_openapi_text:\n"
	".incbin \"" GD_OPENAPI_FILE "\"\n"
	".global gd_openapi_end\n"
	".hidden gd_openapi_end\n"
	"gd_openapi_end:\n"
	".byte 0\n"
	".popsection\n");

size_t gd_openapi_bytes(void)
{
	return (size_t)(gd_openapi_end - gd_openapi_text);
}
