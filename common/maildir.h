/* Maildirs: folders, unique names with ,S= and ,W=, batches made durable together. Used by locald's
 * deliverers (under the mailbox's uid). https://cr.yp.to/proto/maildir.html, Maildir++.
 *
 * If everything stops here: until the directory's fsync nobody was told, the message is still
 * queued and comes again; the user may see it twice, never not at all. */
#ifndef COMMON_MAILDIR_H
#define COMMON_MAILDIR_H

#include "result.h"
#include <stdint.h>
#include <stdbool.h>

enum { MAILDIR_NAME_MAX = 200 };

struct maildir_item {
	int fd;				/* open tmp file, complete; -1 when not made */
	struct maildir_folder *folder;	/* counted reference */
	char name[MAILDIR_NAME_MAX];	/* in new/; in tmp/ without what follows its first ',' */
	uint64_t bytes;
	enum result result;		/* after maildir_commit */
	struct why why;
};

struct maildir_folder;	/* a maildir's open directories; a small cache keeps the latest ones open */

/* Opens PATH (absolute, without trailing slash), making it and tmp, new, cur where missing (0700), and
 * the directories above it, never following a link in the last component. The cache owns *FOLDER: it
 * stays valid until the next maildir_open. RESULT_RETRY, RESULT_NEVER with WHY. */
enum result maildir_open(const char *path, struct maildir_folder **folder, struct why *why);

/* Makes a file in tmp/ and writes into it, in order: PREFIX (LF line ends), then LENGTH bytes of
 * MESSAGE from OFFSET (CRLF becomes LF), in bounded memory. The final name carries ,S= (bytes on
 * disk) and ,W= (bytes with CRLF). HOST goes into the name ('/' and ':' as \057 and \072). */
enum result maildir_write(struct maildir_folder *folder, const char *host, const char *prefix, size_t prefix_length,
                          int message, uint64_t offset, uint64_t length, struct maildir_item *item, struct why *why);

/* Commits every item of the batch: fsync each, rename tmp to new, fsync each folder's new/ once.
 * Each item gets its result: RESULT_OK: in new/, survives a power cut; RESULT_RETRY: deliver again.
 * Closes the items' descriptors, removes tmp files of those that failed. */
void maildir_commit(struct maildir_item *items, size_t count);

/* Takes an item that was written out again instead of committing it. */
void maildir_abandon(struct maildir_item *item);

/* Removes tmp/ files older than 36 hours. */
void maildir_sweep(struct maildir_folder *folder);

/* Maildir++ quota. QUOTA: "50M", "50M,1000" (bytes, messages), or Maildir++'s own "52428800S,1000C"; "" none. */
struct quota { uint64_t bytes, messages; };	/* 0: no limit */
bool quota_parse(const char *text, struct quota *quota);
/* Is there room for ADD bytes in the maildir at PATH? Reads maildirsize, recounts when the RFC's
 * rules ask for it (missing, another quota, over 5120 bytes, over quota and older than 15 minutes).
 * RESULT_OK; RESULT_NEVER: over quota; RESULT_RETRY. */
enum result quota_check(const char *path, const struct quota *quota, uint64_t add, struct why *why);
/* Does the message of this file name count? Not one that is marked as trashed (T). */
bool quota_counts(const char *name);
/* Appends "BYTES COUNT" (they may be negative) to maildirsize, which is made when missing. Best effort. Call
 * after the change: a message is in new/ and durable, or gone. */
void quota_add(const char *path, const struct quota *quota, int64_t bytes, int64_t messages);

#endif
