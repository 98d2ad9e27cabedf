/* Hosts that offered TLS of late and could not do it: for a while mail that may go in clear does so at once. Used by
 * security.c. */
#ifndef REMOTED_CLEAR_H
#define REMOTED_CLEAR_H

#include "common/network.h"
#include <stdint.h>

enum { CLEAR_HOSTS_MAX = 4096, CLEAR_WAYS = 4, CLEAR_KEPT_MS = 900000 };

/* From now on, for CLEAR_KEPT_MS; of too many the oldest of the same row gives way. */
void clear_remember(const struct address_ip *ip, uint16_t port, uint64_t now_ms);
bool clear_is_remembered(const struct address_ip *ip, uint16_t port, uint64_t now_ms);
/* Its TLS works again. */
void clear_forget(const struct address_ip *ip, uint16_t port);

#endif
