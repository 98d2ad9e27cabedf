/* The state of a queued message, state/ID: what happened so far, a text line an event, only ever
 * appended to. Written by queued (and `dawk queue` while queued is down), read by both. Its mtime is
 * the message's next attempt. dawk-queue(5) documents the bytes.
 *
 *   sites example.net local.example            where undone recipients live; the last such line counts
 *   0 deferred 1795300000123456 4.2.2 - mailbox is full
 *   1 failed 1795300000123460 5.1.1 mx.example.net user unknown
 *   2 delivered 1795300000123470 2.0.0 - saved
 *   3 part 1795300000123480 22910 1ezn3v0c4hk7x2m9q0ab zoe@example.org
 *   4 forward 1795300000123490 1ezn3v0c4hk7x2m9q0ac
 *   0 report 1795300000123500 1ezn3v0c4hk7x2m9q0ad
 *   0 made 1795300000123510 1ezn3v0c4hk7x2m9q0ad
 *
 * First the recipient's place in the envelope, then the event and its time in microseconds since
 * 1970. A line that does not parse, and a last line without newline, is what a crash left of an
 * append that was never durable: readers pass over it, the next append begins on a fresh line. */
#ifndef COMMON_STATE_H
#define COMMON_STATE_H

#include "queue.h"
#include "result.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

enum state_event {
	STATE_SITES,		/* words */
	/* results of an attempt: index, time, status, host, words */
	STATE_DEFERRED,		/* to be tried again */
	STATE_DELIVERED,
	STATE_RELAYED,		/* handed to a next hop that does not do DSN */
	STATE_FORWARDED,	/* turned into another message, which carries its DSN parameters on */
	STATE_EXPANDED,		/* turned into messages to several; success means expanded */
	STATE_FAILED,
	/* messages made from this one: announced durably before they are committed */
	STATE_FORWARD,		/* index, time, id: the message that the mailbox's forward addresses get */
	STATE_PART,		/* index, time, offset, id, words: a part of a long list; OFFSET is where the next
				 * part begins in the list, or STATE_OFFSET_END; words is its last member */
	STATE_REPORT,		/* index, time, id: the report of failures about the group of recipient index */
	STATE_WARNING,		/* index, time, id: the same for a delay warning */
	STATE_SUCCESS,		/* 0, time, id: the report of successes */
	STATE_MADE,		/* index, time, id: the message ID is durable in the queue */
	STATE_EVENTS
};
extern const char *const state_event_names[STATE_EVENTS];	/* "sites", "deferred", ... */

#define STATE_OFFSET_END UINT64_MAX	/* written as "end" */
enum { STATE_FILE_MAX = 256 << 20, STATE_STATUS_MAX = 12 };

/* Is EVENT the end of its recipient: nothing is left to try? */
bool state_is_final(enum state_event event);

struct state_line {
	enum state_event event;
	uint32_t index;
	uint64_t time_us;
	char status[STATE_STATUS_MAX + 1];	/* "5.1.1" */
	char id[QUEUE_ID_LENGTH + 1];
	uint64_t offset;
	const char *host, *words;	/* not NUL-ended; host is empty for here */
	size_t host_length, words_length;
};

/* Appends LINE as text to TEXT. Blanks in host become '_', control characters in words '?', so that a
 * line is always a
 * line. false: no memory, nothing appended. */
bool state_append_line(stralloc *text, const struct state_line *line);

/* The next good line of [*at, end); others are passed over. false: no more. LINE points into the bytes. */
bool state_next_line(const char **at, const char *end, struct state_line *line);

/* Reads the whole file behind FD; replaces TEXT; *DUE_US (unless NULL) becomes its mtime. RESULT_OK; RESULT_RETRY: no memory,
 * I/O error; RESULT_NEVER: over STATE_FILE_MAX. */
enum result state_read(int fd, stralloc *text, uint64_t *due_us, struct why *why);

/* Appends LENGTH bytes at TEXT (whole lines) to the file behind FD, opened O_RDWR, on a fresh line, and
 * sets its mtime to DUE_US (0: it stays what it was). Not durable yet: state_sync. RESULT_OK; RESULT_RETRY: WHY;
 * the file was cut to what it was, as far as that worked. */
enum result state_write(int fd, const char *text, size_t length, uint64_t due_us, struct why *why);
/* Makes what state_write wrote durable; the directory of a new file is the caller's to sync. RESULT_RETRY: nothing
 * of it may be relied on, and syncing this file again proves nothing: write its whole text to a new one. */
enum result state_sync(int fd, struct why *why);

#endif
