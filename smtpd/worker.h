/* A worker of smtpd: one loop, its listeners, its sessions and what they share. One per process. */
#ifndef SMTPD_WORKER_H
#define SMTPD_WORKER_H

#include "common/channel.h"
#include "common/commit.h"
#include "common/configuration.h"
#include "common/dns.h"
#include "common/resolve.h"
#include "common/limits.h"
#include "common/senders.h"
#include "common/tls.h"
#include "reply.h"

enum listener_kind { LISTENER_SMTP, LISTENER_SUBMISSION, LISTENER_SUBMISSIONS, LISTENER_LOCAL };

enum { OPENING_LISTENERS_MAX = 64 };

/* What the opener opened while it was root; its forks inherit all of it. */
struct opening {
	struct opening_listener { int fd; enum listener_kind kind; } listeners[OPENING_LISTENERS_MAX];
	size_t listener_count;
	struct queue_directories queue;		/* QUEUE_TMP, QUEUE_NEW, trigger */
	struct table_directory *tables;
	struct limits *limits;
	struct usage *usage;			/* of users */
	int held;				/* accounts that are held, common/held.h */
	bool has_certificates;			/* they come to the workers when keyd has the keys */
};

struct session;

struct worker {
	const struct configuration *conf;
	const struct opening *opening;
	unsigned index;
	struct loop *loop;
	struct resolver *resolver;
	struct table *access;
	struct senders *senders;
	struct committer *committer;
	struct tls_server *tls;
	struct asks *asks;
	struct dns_client dns;
	struct session *sessions;	/* all, linked */
	size_t session_count;
	size_t orphan_count;		/* commits under way that no client waits for */
	bool is_ending;
	uint64_t session_seed;
	struct meaning_of meaning;	/* of the recipient at hand */
	stralloc head, trace;		/* of the message at hand */
	char words[REPLY_WORDS_MAX];	/* of the reply at hand */
};

/* The worker's main: takes its rights off, serves, returns its exit code. service_part.run; OPENING
 * must have been set by then. */
extern struct opening opening;
int worker_run(const struct configuration *conf, unsigned index);

/* Are host names of clients looked up? Those of IP (NULL: of any client at all)? Loopback's only where a
 * resolver is named: the system's knows nothing of it. */
bool worker_wants_names(const struct configuration *conf, const struct address_ip *ip);

/* A session or an orphaned commit is gone: ends the loop when the worker is ending and was waiting for it. */
void worker_note_gone(struct worker *worker);

#endif
