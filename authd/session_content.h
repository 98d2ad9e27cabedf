/* A message file on its way to a POP3 client: LF becomes CRLF, lines that begin with a dot get
 * another (RFC 1939 3). And the output that collects answers, so that pipelined commands share
 * sends. Used by the session alone. */
#ifndef AUTHD_SESSION_CONTENT_H
#define AUTHD_SESSION_CONTENT_H

#include "common/result.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTPUT_BYTES = 32 * 1024, CONTENT_BLOCK_BYTES = 64 * 1024 };

struct output {
	int fd;			/* a blocking stream socket with a send time-out */
	bool is_broken;		/* the peer is gone or stuck: what is put is dropped */
	size_t length;
	uint64_t sent_bytes;
	char bytes[OUTPUT_BYTES];
};

void output_put(struct output *output, const void *bytes, size_t length);
void output_format(struct output *output, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sends what is collected. */
void output_flush(struct output *output);

struct content {
	char last;		/* the byte before this block */
	uint64_t line_bytes;	/* of the line so far, CR included */
	bool is_top;		/* stop after body_lines lines of the body (TOP, RFC 1939 7) */
	bool in_body;
	uint64_t body_lines;
};

/* Puts LENGTH bytes of a message file, the next ones after those of earlier calls with CONTENT
 * (zeroed before the first). A CR that stands before its LF already is not doubled. false: TOP has
 * all its lines. */
bool content_put(struct content *content, struct output *output, const char *bytes, size_t length);
/* The end: a last line without newline gets one; then the final dot. */
void content_end(const struct content *content, struct output *output);

/* Octets that content_put and content_end send of these bytes, without stuffed and final dots. */
uint64_t content_octets(struct content *content, const char *bytes, size_t length);
uint64_t content_octets_end(const struct content *content);

/* The first bytes of a file, read before they are asked for. */
struct content_ahead { size_t length; char bytes[CONTENT_BLOCK_BYTES]; };
/* Reads them from FD. What goes wrong shows again when the rest is read. */
void content_read_ahead(int fd, struct content_ahead *ahead);

/* Sends what was read AHEAD of the file at FD, where that is not NULL, then the rest; stops early for TOP. RESULT_RETRY:
 * it can't be read to its end. */
enum result content_send(int fd, const struct content_ahead *ahead, struct content *content, struct output *output, struct why *why);
/* The size of the file at FD as POP3 counts it. */
enum result content_measure(int fd, uint64_t *octets, struct why *why);

#endif
