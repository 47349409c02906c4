/*
 * The one failure type of the project.
 *
 * An error lives on the caller's stack, is the last argument of every function that can fail, and is written
 * only on failure; such functions return false (or a documented sentinel) and leave their outputs untouched.
 * Nothing here allocates. Any thread.
 *
 * The code says what the caller may do (numbers and HTTP status: api/problem.h); `native` is the CUresult,
 * nvrtcResult or errno that caused it; the text has the outermost context first; `fix` is what the user
 * should do.
 */
#ifndef GD_BASE_ERROR_H
#define GD_BASE_ERROR_H

#include <stdbool.h>
#include <stdarg.h>

enum gd_code {
	GD_OK = 0,
	GD_DEVICE_OUT_OF_MEMORY,
	GD_UNSUPPORTED_FEATURE,
	GD_BACKEND_UNAVAILABLE,
	GD_INTERNAL_STATE,
	GD_KERNEL_COMPILE_FAILED,
	GD_DISPATCH_FAILED, /* the kernel faulted */
	GD_INVALID_PROGRAM,
	GD_INVALID_REQUEST, /* parsed, and wrong: 422 */
	GD_MALFORMED_BODY,  /* cannot be parsed: 400 */
	GD_METHOD_NOT_ALLOWED,
	GD_NOT_ACCEPTABLE,
	GD_PRECONDITION_FAILED,
	GD_UNSUPPORTED_MEDIA_TYPE,
	GD_RANGE_NOT_SATISFIABLE,
	GD_PRECONDITION_REQUIRED,
	GD_HEADERS_TOO_LARGE,
	GD_COOPERATIVE_RESIDENCY_EXCEEDED,
	GD_DEVICE_LOST,
	GD_DEADLINE_EXCEEDED,
	GD_NOT_FOUND,
	GD_GONE,
	GD_CONFLICT,
	GD_TOO_LARGE,
	GD_OVERLOADED,
	GD_DRAINING,
	GD_QUOTA_EXCEEDED,
	GD_UNAUTHENTICATED,
	GD_FORBIDDEN,
	GD_UNKNOWN,
	GD_CODE_COUNT
};

struct gd_error {
	enum gd_code code;
	int native;              /* 0 when no library or kernel error stands behind it */
	const char *native_name; /* static string such as "CUDA_ERROR_ILLEGAL_ADDRESS", or NULL */
	bool sticky;             /* the process that got it can do no more GPU work */
	char text[480];
	char fix[240];
	char pointer[160]; /* JSON pointer or parameter name the error is about; empty when none */
};

/*
 * Write an error; `fix` may be NULL (a general one is shown then), `format` is printf's. Truncates silently.
 * Always returns false, so that a failing function can end with `return gd_error_set(...)`. `error` may be
 * NULL.
 */
bool gd_error_set(struct gd_error *error, enum gd_code code, const char *fix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* As gd_error_set with GD_INTERNAL_STATE, native = errno_value and strerror's text appended. Returns false.
 */
bool gd_error_errno(struct gd_error *error, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " before the text of an error that is set. Returns false. */
bool gd_error_context(struct gd_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Set the JSON pointer or parameter name of an error that is set. Returns false. */
bool gd_error_at(struct gd_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Set library cause: native code, its static name, and whether it is sticky. Returns false. */
bool gd_error_native(struct gd_error *error, int native, const char *native_name, bool sticky);

#endif
