/* The opener's part of logins at next hops: secret/routes.cdb, which root alone may open, goes to remoted as a descriptor,
 * again whenever `dawk update` has replaced it. The opener itself reads none of it. Used by queued.c. */
#ifndef QUEUED_LOGINS_H
#define QUEUED_LOGINS_H

#include "common/configuration.h"
#include "common/loop.h"

enum { LOGINS_WATCH_MS = 5000 };	/* between two looks at the file */

/* Before service_run. */
void logins_prepare(const struct configuration *conf);
/* service_part.started of remoted. */
void logins_remoted_started(unsigned index, struct loop *loop, int fd);
/* In the fork of the scheduler: closes what is the opener's alone. */
void logins_leave(void);

#endif
