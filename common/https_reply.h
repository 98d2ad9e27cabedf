/* The answer to one HTTP request (RFC 9110, RFC 9112), byte by byte: pure, and bounded whatever comes. Used by https.c. */
#ifndef COMMON_HTTPS_REPLY_H
#define COMMON_HTTPS_REPLY_H

#include "text.h"

enum {
	HTTPS_HEAD_MAX = 16384,		/* status lines, headers and trailers together */
	HTTPS_CHUNK_LINE_MAX = 256,	/* the line with a chunk's size */
	HTTPS_TYPE_MAX = 128,
};

enum https_place { HTTPS_STATUS, HTTPS_FIELDS, HTTPS_LENGTH, HTTPS_REST, HTTPS_SIZE, HTTPS_CHUNK, HTTPS_CHUNK_END, HTTPS_TRAILERS, HTTPS_END };

struct https_reply {			/* zeroed, but for body_max */
	size_t body_max;		/* a body of more bytes is refused */
	unsigned status;		/* 200 to 599; 0: none yet. Interim ones are passed over */
	bool has_head, is_whole;	/* all headers are there; the body too */
	bool is_too_long;		/* refused for body_max */
	char type[HTTPS_TYPE_MAX];	/* Content-Type, "" for none, cut; printable */
	stralloc body;
	/* https_reply.c's own */
	enum https_place place;
	stralloc line;
	size_t head_length;
	uint64_t left;			/* bytes of the body or chunk to come */
	bool has_length, is_chunked, is_old, may_fold;
};

/* Takes LENGTH bytes; those behind its end are passed over. RESULT_OK: see is_whole; RESULT_PEER: it breaks the rules or
 * a limit, WHY; RESULT_RETRY: no memory. Not to be called again after these. */
enum result https_reply_take(struct https_reply *reply, const char *bytes, size_t length, struct why *why);
/* Nothing more comes. IS_ORDERLY: the other side said so itself (RFC 9112 9.8); only then a body without a length of its
 * own is whole. RESULT_OK: is_whole; RESULT_PEER: it was cut off. */
enum result https_reply_end(struct https_reply *reply, bool is_orderly, struct why *why);
void https_reply_free(struct https_reply *reply);

#endif
