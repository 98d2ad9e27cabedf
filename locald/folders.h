/* Before a mailbox's first delivery: root's part of its folder is seen to (leaf.h) by helpers (pool.h), since a file server
 * that is away would hold up the spawner. Later deliveries cost no question, but where the mailbox, or the mount that it lies
 * on, did not answer: then the helper finds out whether it does again, and a deliverer has not to wait for it. What hangs is
 * deferred at once for a while (hung.h). Used by route.c and locald.c. */
#ifndef LOCALD_FOLDERS_H
#define LOCALD_FOLDERS_H

#include "common/configuration.h"
#include "common/loop.h"
#include "lane.h"

enum { FOLDER_SECONDS = 10, FOLDER_SLOW_MS = DELIVERER_SLOW_MS };

/* START hands FD (which it owns) to a fresh process that calls folders_run on it. Nothing is started yet. */
void folders_open(struct loop *loop, enum result (*start)(int fd, struct why *why));
/* Sees to PART's folder, then hands PART to a lane for ACCOUNT and the folder BASE; what can't be is reported to its recipient. */
void folder_deliver(struct part *part, const struct account *account, const char *base);
/* Delivery into PATH failed: look again next time. */
void folder_forget(const char *path);
/* A deliverer that has PART in hand does not answer: is it for this mailbox? Then others are not to wait for it too. */
void folder_suspect(const struct part *part);

/* The helper's main: answers on FD until it is closed. Returns the exit code. */
int folders_run(int fd, const struct configuration *conf);

#endif
