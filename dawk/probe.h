/* Does a listener answer as it should? Used by status.c. */
#ifndef DAWK_PROBE_H
#define DAWK_PROBE_H

#include "common/result.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct probe {
	char expected;			/* the first byte of its banner */
	bool is_tls;			/* TLS from the first byte */
	uint32_t more_ms;		/* how long it may hold the banner back, on top of a few seconds */
};

/* Connects to ADDRESS, reads the banner's first byte, says QUIT. RESULT_OK, or RESULT_RETRY: WHY says what happened
 * instead. No certificate is judged. */
enum result probe_listener(const struct probe *probe, const struct sockaddr *address, socklen_t size, struct why *why);

#endif
