/* A client's connection in an event loop: reading and writing without a buffer of its own while
 * idle. Bytes are read into one buffer that all connections of the process share; what the parser
 * leaves over (part of a line) is kept in a small block of just its size. The same for writing. So
 * an idle connection costs its struct alone. Used by smtpd and pop3d; TLS goes in here. */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include "loop.h"
#include "result.h"

enum {
	STREAM_READ_MAX = 65536,	/* most bytes of one read, and the shared buffer's size */
	STREAM_KEEP_MAX = 81920,	/* most bytes a parser may leave over: a whole read while an answer is pending */
	STREAM_OUT_MAX = 262144,	/* unsent bytes before stream_put refuses */
};

struct stream {
	int fd;
	struct loop *loop;
	struct watch watch;
	char *kept, *unsent;		/* malloc'd, NULL when empty */
	uint32_t kept_length, unsent_length, unsent_sent;
	bool is_paused;
};

/* Takes over FD, non-blocking, and closes it on failure too. READY as of a watch; the owner finds
 * itself by container_of(watch, struct stream, watch). While paused, READY still comes for EPOLLHUP
 * and EPOLLERR, again and again: close then. */
enum result stream_open(struct stream *stream, struct loop *loop, int fd, void (*ready)(struct watch *, uint32_t), struct why *why);
void stream_close(struct stream *stream);	/* frees all; harmless when closed */

/* Reads what is there behind what was kept: *BYTES, *LENGTH are valid until any other stream is
 * read. RESULT_OK; RESULT_RETRY: nothing new yet; RESULT_END: the peer closed its side; RESULT_PEER: error. */
enum result stream_read(struct stream *stream, char **bytes, size_t *length, struct why *why);
/* Call once after each stream_read that was OK, with what the parser did not take (the tail of
 * those bytes). RESULT_PEER: over STREAM_KEEP_MAX; RESULT_RETRY: no memory (hang up with 421). */
enum result stream_keep(struct stream *stream, const char *rest, size_t length);
/* As a read of nothing new: what was kept comes again (for a session that goes on after waiting). */
enum result stream_again(struct stream *stream, char **bytes, size_t *length);

/* Collects output; sent by stream_flush with one send. RESULT_PEER: over STREAM_OUT_MAX (a client
 * that does not read). Only one stream at a time may have unflushed output in the shared buffer:
 * flush before the callback returns. */
enum result stream_put(struct stream *stream, const void *bytes, size_t length);
/* RESULT_OK: all sent; RESULT_RETRY: the rest is kept and EPOLLOUT is watched (call again from ready);
 * RESULT_PEER: gone. */
enum result stream_flush(struct stream *stream, struct why *why);
/* Stops or resumes watching for input (back-pressure while an answer is pending). */
void stream_pause(struct stream *stream, bool is_paused);
/* Drops input that has arrived already (before a TLS handshake, RFC 3207 4.2). */
void stream_drop_kept(struct stream *stream);

#endif
