/* A helper of the suite (dnsd, keyd) as the child of a command, started as an opener starts its own (service.h). Used by
 * names.c and tlsrpt. */
#ifndef DAWK_HELPER_H
#define DAWK_HELPER_H

#include "common/channel.h"
#include <sys/types.h>

/* Runs PROGRAM (its file name, from the suite's folder) as `PROGRAM -c FILE`. It ends when CONTROL, which is opened here
 * for blocking use, is closed; the child *PID is the caller's to wait for. */
enum result helper_start(const char *program, const char *file, struct channel *control, pid_t *pid, struct why *why);
/* A fresh pipe to the helper, which takes it for one from PEER: *FD is the caller's end. */
enum result helper_link(struct channel *control, const char *peer, int *fd, struct why *why);

#endif
