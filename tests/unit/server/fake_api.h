/* What tests ask the fake API beside the real one's functions. */
#ifndef GD_TEST_FAKE_API_H
#define GD_TEST_FAKE_API_H

#include "api/api.h"

/* Exchanges that were made and not freed. */
uint64_t gd_fake_api_alive(const struct gd_api *api);

#endif
