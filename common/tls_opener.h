/* The opener's part of TLS: it finds certificates and keys, gives the keys to keyd and the
 * certificates to the workers, both again whenever the files change, and the ticket key to all
 * workers, a fresh one every 12 hours. And the worker's end of that. Used by smtpd.c, pop3d.c.
 *
 * In the opener's tables:
 *	{ .name = "worker", .run = worker_run, .started = tls_opener_worker, ... },
 *	{ .name = "keyd", .program = "keyd", .instances = tls_opener_has_files(), .is_essential = true,
 *	  .started = tls_opener_keyd },
 * and the link { "worker", "keyd" }. */
#ifndef COMMON_TLS_OPENER_H
#define COMMON_TLS_OPENER_H

#include "configuration.h"
#include "loop.h"
#include "tls.h"

enum {
	TLS_FIRST_MS = 3000,			/* for the first certificates after the start */
	TLS_WATCH_MS = 5000,			/* between two looks at the files */
	TLS_TICKET_KEY_MS = 12 * 3600 * 1000,
};

/* Before service_run. RESULT_OK, also when there is no certificate: then there is no TLS. */
enum result tls_opener_find(const struct configuration *conf, struct why *why);
bool tls_opener_has_files(void);
/* Can NAME, a listener that speaks TLS from the first byte, serve anybody? Where it is configured (LIST) and can't, that
 * is logged. */
bool tls_opener_can_serve(const char *name, const struct listener_list *list);
/* service_part.started of the two parts. */
void tls_opener_keyd(unsigned index, struct loop *loop, int fd);
void tls_opener_worker(unsigned index, struct loop *loop, int fd);
/* In the fork of a worker, first of all: closes what is the opener's alone, its link to keyd above all. */
void tls_opener_leave(void);

/* In a worker, for the link from "opener": takes FD over; certificates and ticket keys go into SERVER
 * as they come. */
enum result tls_worker_join(struct tls_server *server, struct loop *loop, int fd, struct why *why);
/* Calls READY once: when the first certificates are in force, or after TLS_FIRST_MS, should none be usable. A worker
 * watches its listeners from then on, so that no client that comes while the service starts misses TLS. */
void tls_worker_await(struct loop *loop, void (*ready)(void));

#endif
