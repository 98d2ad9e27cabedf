/* Forking a child of the spawner that holds nothing of it. Used by lane.c and program.c. */
#ifndef LOCALD_DELIVERER_START_H
#define LOCALD_DELIVERER_START_H

#include "lane.h"

/* Forks a deliverer under ACCOUNT that may do everything below BASE and nothing elsewhere. *FD: our
 * end of its channel. FORKED is called first thing in the child. */
enum result deliverer_fork(const struct configuration *conf, const struct account *account, const char *base,
                           void (*forked)(void), pid_t *pid, int *fd, struct why *why);

/* In a fresh child: default signals, nothing blocked; KEEP[0] becomes descriptor 3, KEEP[1] 4, and so on;
 * all others above 2 are closed. At most 4. RESULT_STOP: the child must not go on. */
enum result child_begin(const int *keep, size_t count, struct why *why);

#endif
