/* What does not answer: mailboxes on a file server that is away, on a disk that hangs. They are asked no more for a while,
 * so that they take few of the processes that ask. Three mailboxes of one mount are the mount: then none of it is asked.
 * A mount is told by the path's text, since any look at the path itself may hang; those behind symbolic links, which a helper
 * tells before it follows one, stand for themselves. One list a process. Used by pool.c and locald;
 * by tls_keys.c for keyd, which stands for itself by its name. */
#ifndef COMMON_HUNG_H
#define COMMON_HUNG_H

#include <stdbool.h>
#include <stdint.h>

enum {
	HUNG_MAX = 64,			/* mailboxes that are remembered; a new one takes the place of the oldest */
	HUNG_OF_MOUNT = 3,
	HUNG_MS = 15 * 1000,
	HUNG_FORGET_MS = 60 * 60 * 1000,
};

/* PATH, NUL-ended and absolute, does not answer. May be said again as long as it does not. It no longer speaks for its mount
 * when that has answered for another since. */
void hung_note(const char *path, uint64_t now_ms);
/* The same of a path that goes over a link: it never speaks for the mount that it names. */
void hung_note_apart(const char *path, uint64_t now_ms);
/* PATH has answered, and so has the mount that it lies on. */
void hung_clear(const char *path);
/* Is PATH, or its mount, not to be asked now? */
bool hung_is(const char *path, uint64_t now_ms);
/* Has it been so, within HUNG_FORGET_MS, and neither has answered since? Then it is worth a question first. */
bool hung_was(const char *path, uint64_t now_ms);

#endif
