/* `|program`: a person's or an alias's command gets a message on standard input, under its own account,
 * in a session of its own, outside the sandbox, with none of our descriptors. Used by route.c and locald.c. */
#ifndef LOCALD_PROGRAM_H
#define LOCALD_PROGRAM_H

#include "common/configuration.h"
#include "lane.h"

enum { PROGRAMS_AT_ONCE = 32, PROGRAMS_OF_ONE = PROGRAMS_AT_ONCE / 4 };	/* of one account, in an instance of root's */

struct program_user {
	struct account account;
	const char *name, *home;	/* USER and HOME; it starts in HOME */
};

/* FORKED as of lane_hooks. */
void programs_open(struct loop *loop, const struct configuration *conf, void (*forked)(void));
/* KEY: done_key of it. Runs COMMAND (/bin/sh -c) for RECIPIENT, whose pending is counted up already, now or when there is
 * a place for its account, and reports to it: exit 0 and 99 delivered, 75 and 111 deferred, 100 and the rest of
 * sysexits(3) failed, all else deferred, also what waited ten minutes for a place. USER is copied. */
void program_add(struct recipient *recipient, const struct program_user *user, uint64_t key, const char *command);
/* A child ended: true if it was a program's keeper. */
bool programs_reap(pid_t pid);

#endif
