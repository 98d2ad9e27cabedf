/* Replies of an SMTP or LMTP server: a parser of lines, pure. RFC 5321 4.2, RFC 2034, RFC 3463. */
#ifndef REMOTED_REPLY_H
#define REMOTED_REPLY_H

#include "common/result.h"
#include <stdbool.h>
#include <stddef.h>

enum {
	REPLY_LINE_MAX = 4096,		/* RFC 5321 4.5.3.1.5 asks for 512; some say more */
	REPLY_LINES_MAX = 200,
	REPLY_TEXT_MAX = 900,		/* bytes of words that are kept */
};

struct reply {
	int code;			/* 0: before the first line */
	int lines;
	bool is_whole;			/* the last line has come */
	char text[REPLY_TEXT_MAX + 1];	/* "550 5.1.1 no such user / see http://..."; printable, NUL-ended */
	size_t length;
};

/* Takes one line of LENGTH bytes, without its line end, into REPLY (zeroed before the first one).
 * RESULT_OK: reply->is_whole tells whether it is complete; RESULT_PEER: no reply, another code than
 * the lines before, or too many lines. */
enum result reply_take_line(struct reply *reply, const char *line, size_t length, struct why *why);

/* The enhanced status code in the reply's text where its class fits the code, else FALLBACK for a
 * 2xx, 4xx or 5xx with its first digit set to the code's. OUT: 12 bytes. */
void reply_status(const struct reply *reply, const char *fallback, char *out);

/* Are WORDS the text of a reply? What this program says of a host itself begins with no code. */
bool reply_is_text(const char *words);

/* What follows the code (and the separator) in a line, as EHLO keywords need it. */
const char *reply_line_words(const char *line, size_t length, size_t *words_length);

#endif
