/* Many files made durable together: one syncfs in place of an fsync each, where that is wise. A disk waits for its
 * cache once instead of once a file. Used by commit.c, maildir.c, queued/record.c.
 *
 * It is wise on a file system that holds the system's own data or mail, and not other people's copies and backups,
 * which a syncfs would have to wait for: the configuration's `sync` says so, or the look at the file system does. One
 * that took long all the same is left alone for a while. */
#ifndef COMMON_DURABLE_H
#define COMMON_DURABLE_H

#include <stdbool.h>
#include <stddef.h>

enum durable_policy { DURABLE_AUTO, DURABLE_FILES, DURABLE_FILESYSTEM };

enum {
	DURABLE_FEWEST = 12,		/* files for which a syncfs pays */
	DURABLE_SLOW_MS = 500,		/* a syncfs that took longer was waiting for strangers' data */
	DURABLE_REST_MS = 60000,	/* so long there are fsyncs instead */
};

/* Sets the policy of this process; at the start, before threads. DURABLE_AUTO: on ext4, XFS, btrfs and F2FS that is not
 * the file system of the root directory. */
void durable_configure(enum durable_policy policy);

/* COUNT files or directories on the file system of FD, changed by now, wait to be made durable. true: a syncfs did it, or
 * *ERROR is its errno. false: not done, an fsync each is better. Any thread. */
bool durable_together(int fd, size_t count, int *error);

/* The end for each of the files, whose descriptor FD is older than its first byte. IS_DONE, ERROR: what durable_together
 * gave; without it this is an fsync, with it the question whether writing just this file failed: the answer of a syncfs
 * goes to one of those who share a descriptor. 0: durable; -1 with errno: not known to be, and no other try will tell. */
int durable_finish(int fd, bool is_done, int error);

#endif
