/* A message's content as SMTP data: CRLF line ends alone, dots stuffed, and the final dot (RFC 5321
 * 4.5.2, 2.3.8); or as chunks of BDAT, where dots are like other bytes (RFC 3030). Pure but for the reading. */
#ifndef REMOTED_BODY_H
#define REMOTED_BODY_H

#include "common/result.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BODY_PIECE = 32768, BODY_OUT_MAX = 2 * BODY_PIECE + 8 };

/* Zeroed at the start of a message, with at_line_start true. */
struct body {
	bool at_line_start;
	bool after_cr;		/* the last byte was a CR, not put yet */
	bool is_chunked;	/* no dots are added */
};

/* Turns LENGTH (<= BODY_PIECE) bytes of content at IN into OUT (BODY_OUT_MAX bytes); returns how many. A CR or LF
 * alone becomes CRLF: what leaves here can't be read in two ways. */
size_t body_convert(struct body *body, const char *in, size_t length, char *out);
/* After the last piece: ends an unfinished line and puts the final dot, where there is one. */
size_t body_end(struct body *body, char *out);

/* Does the content hold a byte above 0x7f? RESULT_OK: no; RESULT_END: yes; RESULT_RETRY: can't be read. */
enum result body_scan(int message, uint64_t offset, uint64_t length, struct why *why);

/* Up to BODY_PIECE bytes of content at AT, of LENGTH left. RESULT_OK with *GOT; RESULT_RETRY: WHY. */
enum result body_read(int message, uint64_t at, uint64_t left, char *out, size_t *got, struct why *why);

#endif
