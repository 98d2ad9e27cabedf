/* An opener: the small root process that the supervisor runs. From a table of parts and links it
 * starts workers (forks that call a function) and helpers (programs of the suite, found beside the
 * opener's own), joins them by socketpairs, starts again what may die, and ends all. Used by
 * smtpd.c, queued.c, pop3d.c.
 *
 * Every part has its control socketpair to the opener on descriptor SERVICE_CONTROL (3). On it the
 * opener sends CHANNEL frames: the part's end of a fresh socketpair to each peer that a link names,
 * at the start and again whenever the peer was started anew. End of file there: the opener is gone,
 * the part ends in order. */
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include "channel.h"
#include "configuration.h"

enum { SERVICE_CONTROL = 3, SERVICE_PARTS_MAX = 8, SERVICE_INSTANCES_MAX = 64 };

struct service_part {
	const char *name;		/* "worker", "authd": the peer's name in CHANNEL frames */
	const char *program;		/* file name of a helper beside ours, run as `PROGRAM -c FILE`; or NULL: */
	int (*run)(const struct configuration *conf, unsigned index);	/* called in the fork; its exit code */
	unsigned instances;		/* 0 switches the part off */
	bool is_essential;		/* its death ends the service; else it is started again (rate limited) */
	void (*died)(unsigned index);	/* may be NULL; in the opener, before the restart */
	/* May be NULL; in the opener, after each start: FD is the opener's own link to the part, which
	 * gets the other end first of all, from the peer "opener". It owns FD. */
	void (*started)(unsigned index, struct loop *loop, int fd);
};
struct service_link { const char *from, *to; };	/* every instance of one to every instance of the other */

struct service {
	const char *name;		/* "smtpd" */
	const struct configuration *conf;
	const struct service_part *parts;
	size_t part_count;
	const struct service_link *links;
	size_t link_count;
};

/* Runs until SIGTERM or SIGINT (exit code 0) or until an essential part dies (EX_TEMPFAIL): parts
 * get SIGTERM, ten seconds, then SIGKILL. Logs starts, deaths, restarts. Returns the exit code. */
int service_run(const struct service *service);

/* For a part: takes SERVICE_CONTROL over into LOOP. GREET is called for each CHANNEL frame with
 * the peer's name, instance and the descriptor, which it owns. When the opener goes, or on SIGTERM
 * (which it catches, with SIGINT ignored), ENDED is called once: finish and loop_stop.
 * RESULT_STOP with a WHY that says who starts this program: descriptor 3 is no socket. */
enum result service_join(struct loop *loop, void (*greet)(const char *peer, unsigned index, int fd),
                         void (*ended)(void), struct why *why);

/* For a part that could not take a link up: logs WHY and ends it as SIGTERM would. The opener starts it again and makes its links
 * anew; without one of them it would run on and never do its work. */
void service_link_failed(const struct why *why);

/* The account of common options: every main() starts with this. Handles -c FILE, -h (prints USAGE
 * and the options), -V; loads the configuration. RESULT_OK; RESULT_END: done, exit with *EXIT_CODE. */
enum result service_start(int argc, char **argv, const char *name, const char *usage,
                          struct configuration **conf, int *exit_code);

#endif
