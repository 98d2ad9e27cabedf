/* A worker of pop3d: its loop, listeners, pipe to authd, certificates. One a process. Used by session.c and relay.c. */
#ifndef POP3D_WORKER_H
#define POP3D_WORKER_H

#include "common/channel.h"
#include "common/configuration.h"
#include "common/limits.h"
#include "common/tls.h"

enum { LISTENERS_MAX = 16, WORKER_MECHANISMS_MAX = 201 };

/* What the opener opened while it was root; its forks inherit it. */
struct opening {
	struct opening_listener { int fd; bool is_tls; } listeners[LISTENERS_MAX];	/* is_tls: from the first byte */
	size_t listener_count;
	struct limits *limits;
	bool has_certificates;		/* they come to the workers when keyd has the keys */
};
extern struct opening opening;

struct connection;

struct worker {
	const struct configuration *conf;
	unsigned index;
	struct loop *loop;
	struct channel authd;		/* fd -1: not joined */
	struct tls_server *tls;
	bool offers_apop;
	char mechanisms[WORKER_MECHANISMS_MAX];	/* of SASL on offer, separated by blanks */
	char response[WIRE_SASL_MAX];	/* of the client at hand */
	struct connection *connections;	/* all, linked */
	size_t connection_count, connection_max;
	uint64_t last_serial;
};
extern struct worker worker;

/* service_part.run */
int worker_run(const struct configuration *conf, unsigned index);

#endif
