/* Many files made durable together: several fsyncs at a time, so that they share the journal's commits and the flushes of
 * the disk's cache, or one syncfs in place of them all, where that is wise. Used by commit.c, maildir.c, queued/record.c, dawk/queue_disk.c.
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
	DURABLE_ALONE = 2,		/* so many files are no work for threads */
	DURABLE_THREADS = 8,		/* fsyncs at a time, the caller's among them */
};

/* A file or directory, by a descriptor that is older than the first byte or name that was changed. */
struct durable {
	int fd;
	int error;	/* 0: durable; else an errno: not known to be, and no other try will tell */
};

/* Sets the policy of this process; at the start, before threads. DURABLE_AUTO: on ext4, XFS, btrfs and F2FS that is not
 * the file system of the root directory. */
void durable_configure(enum durable_policy policy);

/* Makes COUNT files durable; each gets its own end. ARE_NEIGHBOURS: they lie on one file system. Any thread of a process
 * that is behind its walls; the first call with many files starts DURABLE_THREADS - 1 more, which wait for the next. Where
 * there is no thread to be had, and for all but one of those who call at the same moment, the fsyncs follow each other. */
void durable_make(struct durable *files, size_t count, bool are_neighbours);

#endif
