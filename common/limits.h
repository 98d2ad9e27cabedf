/* How many connections a client has, over all workers: counters in memory that the opener shares with
 * its workers. A count-min sketch, hashed with a key of this start, so that nobody can aim at another's
 * counters, in a row per worker, so that a dead worker's connections can be forgotten. It may count
 * too much when very many clients are there, never too little (but for the moment of a race). Used by smtpd and pop3d. */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

#include "network.h"
#include "result.h"
#include <stdint.h>

struct limits;

/* Before the workers are forked. WORKERS: how many rows. */
enum result limits_make(unsigned workers, struct limits **limits, struct why *why);

/* Whom a connection counts for: an address (IPv6: its /64, which one customer has as a whole), or a uid. */
uint64_t limits_key_of_address(const struct limits *limits, const struct address_ip *ip);
uint64_t limits_key_of_uid(const struct limits *limits, uint32_t uid);

/* Connections of KEY in all workers. */
uint32_t limits_count(const struct limits *limits, uint64_t key);
/* WORKER: the caller's own row. */
void limits_add(struct limits *limits, unsigned worker, uint64_t key);
void limits_remove(struct limits *limits, unsigned worker, uint64_t key);
/* In the opener, when WORKER died. */
void limits_forget(struct limits *limits, unsigned worker);

#endif
