/*
 * The refusals that libmicrohttpd makes by itself (a malformed length or chunk, a head that fills its memory,
 * another version of HTTP), put into the form that every answer of this service has.
 *
 * The library answers those with a page of its own, without a word to the application, and in 0.9.75 some of
 * them with two heads in a row (parse_connection_headers queues the page, the state machine then builds its
 * head once more). It queues the page through its public MHD_queue_response, so this process defines that
 * function: the library's calls come here, ours go straight to the library's. Where a build of the library
 * binds its calls inside, its own pages are sent as before, and nothing else changes.
 */
#ifndef GD_SERVER_REFUSALS_H
#define GD_SERVER_REFUSALS_H

#include <microhttpd.h>

/* The library's MHD_queue_response, for our own answers. */
enum MHD_Result gd_daemon_queue(struct MHD_Connection *connection, unsigned status,
				struct MHD_Response *response);

#endif
