#include "server/refusals.h"

#include "server/connection.h"

#include <dlfcn.h>

enum MHD_Result gd_daemon_queue(struct MHD_Connection *connection, unsigned status,
				struct MHD_Response *response)
{
	static enum MHD_Result (*_Atomic library)(struct MHD_Connection *, unsigned, struct MHD_Response *);
	if (!library) {
		/* POSIX says that a function's address survives in a void * (dlsym, rationale) */
		void *symbol = dlsym(RTLD_NEXT, "MHD_queue_response");
		library = (enum MHD_Result(*)(struct MHD_Connection *, unsigned, struct MHD_Response *))(
		    uintptr_t)symbol;
	}
	return library ? library(connection, status, response) : MHD_NO;
}

/* Called by the library alone. */
__attribute__((visibility("default"))) enum MHD_Result
MHD_queue_response(struct MHD_Connection *daemon, unsigned int status, struct MHD_Response *response)
{
	struct gd_connection *connection = gd_connection_of(daemon);
	if (connection && status >= 400)
		gd_request_refused(connection, status);
	return gd_daemon_queue(daemon, status, response);
}
