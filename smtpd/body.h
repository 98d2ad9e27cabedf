/* The content of a message as DATA and BDAT carry it: dots unstuffed, the end found, bare CR and LF judged
 * (RFC 5321 2.3.8, 4.1.1.4, 4.5.2). Pure: no socket, no memory; fuzzed and tested byte by byte.
 *
 * Only <CRLF>.<CRLF> ends a message, whatever else stands around: <LF>.<LF>, <CR>.<CR>, <LF>.<CRLF> and
 * their kin never do, which closes SMTP smuggling. Normalising turns each bare CR or LF into CRLF,
 * but a line that began by a bare newline has neither a stuffed dot nor an end. */
#ifndef SMTPD_BODY_H
#define SMTPD_BODY_H

#include "common/result.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BODY_LINE_MAX = 65536 };	/* bytes of a line, CRLF not counted; RFC 5321 4.5.3.1.6 asks for 998 */

enum body_state { BODY_TEXT, BODY_CR, BODY_LINE, BODY_DOT, BODY_DOT_CR, BODY_STATES };

struct body {
	uint8_t state;			/* enum body_state; starts with BODY_LINE */
	bool has_bare_newline;
	bool has_long_line;
	uint32_t line_length;
};

void body_start(struct body *body);

/* Takes content out of LENGTH bytes at BYTES; TAKE is called for the spans that belong to the
 * message, in order, as long as they come. *USED: bytes consumed. RESULT_END: the final dot was found,
 * what follows is not content; RESULT_RETRY: all consumed, more to come. */
enum result body_feed(struct body *body, const char *bytes, size_t length, size_t *used,
                      void (*take)(void *context, const char *bytes, size_t length), void *context);

/* The same for a piece of a chunk of BDAT (RFC 3030 2): a dot means nothing there, and nothing in it is the end. LENGTH may be 0.
 * LAST: nothing follows, a CR that is still held was a bare one. */
void body_feed_chunk(struct body *body, const char *bytes, size_t length, bool is_last,
                     void (*take)(void *context, const char *bytes, size_t length), void *context);

#endif
