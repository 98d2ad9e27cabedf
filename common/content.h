/* The content of a queue file in pieces, with CRLF as LF: how it stands in mailboxes and how
 * programs read it. Bounded memory whatever its size. Used by maildir.c and locald. */
#ifndef COMMON_CONTENT_H
#define COMMON_CONTENT_H

#include "result.h"
#include <stdbool.h>
#include <stdint.h>

struct content {
	int fd;			/* not owned, read with pread */
	uint64_t offset, left;	/* of what has not been read yet */
	uint64_t lines;		/* line ends in what was given so far */
	bool has_held_cr;	/* a CR at the end of the last piece, whose LF may follow */
	char last;		/* the last byte given; LF at the start */
};

/* Starts over at LENGTH bytes at OFFSET of FD. */
void content_start(struct content *content, int fd, uint64_t offset, uint64_t length);

/* Reads the next piece, at most SIZE (2 at least) bytes, into BUFFER; CRLF has become LF, lone CR and LF
 * stay. A content that does not end in a line end gets one. RESULT_OK: *LENGTH bytes, at least one;
 * RESULT_END: no more; RESULT_RETRY: it can't be read, or the file is shorter than it should be. */
enum result content_read(struct content *content, char *buffer, size_t size, size_t *length, struct why *why);

#endif
