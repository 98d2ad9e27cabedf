/* A worker of pop3d: its loop, listeners, pipe to authd. One a process. Used by session.c and relay.c. */
#ifndef POP3D_WORKER_H
#define POP3D_WORKER_H

#include "common/channel.h"
#include "common/configuration.h"
#include "common/limits.h"

enum { LISTENERS_MAX = 16 };

/* What the opener opened while it was root; its forks inherit it. */
struct opening {
	int listeners[LISTENERS_MAX];
	size_t listener_count;
	struct limits *limits;
};
extern struct opening opening;

struct connection;

struct worker {
	const struct configuration *conf;
	unsigned index;
	struct loop *loop;
	struct channel authd;		/* fd -1: not joined */
	bool offers_apop;
	struct connection *connections;	/* all, linked */
	size_t connection_count, connection_max;
	uint64_t last_serial;
};
extern struct worker worker;

/* service_part.run */
int worker_run(const struct configuration *conf, unsigned index);

#endif
