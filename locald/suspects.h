/* Mailboxes that may hang: those that a deliverer had in hand when it stopped answering. Each gets a lane of its own until mail
 * arrives there again, so that one dead mount does not hold up what goes elsewhere under the same account. Used by lane.c and
 * deliverers.c. */
#ifndef LOCALD_SUSPECTS_H
#define LOCALD_SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SUSPECTS_MAX = 32,			/* then all is hanging, and lanes of one's own help nobody */
	SUSPECT_FORGET_MS = 60 * 60 * 1000,	/* without mail */
};

/* PATH: NUL-ended, as parts have it. Beyond SUSPECTS_MAX nothing happens. */
void suspect_add(const char *path, uint64_t now_ms);
void suspect_clear(const char *path);
bool is_suspect(const char *path, uint64_t now_ms);

#endif
