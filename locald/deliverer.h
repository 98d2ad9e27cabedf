/* A deliverer: a blocking process under a mailbox's uid that writes what the spawner sends it,
 * many messages at a time. */
#ifndef LOCALD_DELIVERER_H
#define LOCALD_DELIVERER_H

#include "common/configuration.h"
#include <sys/stat.h>

/* Serves the channel on FD until its end; called in the fork, after the sandbox. BASE is the folder that the sandbox is
 * open for, as WALLS; where another has its name by now, it ends, since that one is out of its reach. Returns the exit code. FRAMES in: LOCAL_JOB, followed by its DELIVER_TO; out: FORWARD and RUN, then RESULT. */
int deliverer_run(const struct configuration *conf, const char *base, const struct stat *walls, int fd);

#endif
