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
	STREAM_RECORD_MAX = 16384,	/* most bytes that one read of a layer gives, RFC 8446 5.1 */
};

/* What may stand between the bytes and the descriptor: TLS (tls_stream.c). Results as tls.h says. */
struct stream_layer {
	enum result (*shake)(void *state, struct why *why);
	enum result (*read)(void *state, void *bytes, size_t size, size_t *count, struct why *why);
	enum result (*write)(void *state, const void *bytes, size_t length, size_t *count, struct why *why);
	uint32_t (*wants)(const void *state);
	void (*bye)(void *state);		/* nothing more will be written */
	void (*free)(void *state);
};

struct stream {
	int fd;
	struct loop *loop;
	struct watch watch;
	const struct stream_layer *layer;	/* NULL: none, the bytes go as they are */
	void *layer_state;
	char *kept, *unsent;		/* malloc'd, NULL when empty */
	uint32_t kept_length, unsent_length, unsent_sent;
	bool is_paused;
	bool is_shaking;		/* the layer's handshake is not done: nothing is read or sent */
};

/* Takes over FD, non-blocking, and closes it on failure too. READY as of a watch; the owner finds
 * itself by container_of(watch, struct stream, watch). While paused, READY still comes for EPOLLHUP
 * and EPOLLERR, again and again: close then. */
enum result stream_open(struct stream *stream, struct loop *loop, int fd, void (*ready)(struct watch *, uint32_t), struct why *why);
void stream_close(struct stream *stream);	/* frees all; harmless when closed */

/* Reads what is there behind what was kept: *BYTES, *LENGTH are valid until any other stream is
 * read. RESULT_OK; RESULT_RETRY: nothing new yet; RESULT_END: the peer closed its side; RESULT_PEER: error. */
enum result stream_read(struct stream *stream, char **bytes, size_t *length, struct why *why);
/* Has the peer sent anything that nobody has read? Takes nothing. */
bool stream_has_input(const struct stream *stream);
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
 * RESULT_PEER: it can't be sent, and the other side is told that no more comes (SHUT_WR): a read that follows has what it said
 * last, and then its end. */
enum result stream_flush(struct stream *stream, struct why *why);
/* Stops or resumes watching for input (back-pressure while an answer is pending). */
void stream_pause(struct stream *stream, bool is_paused);
/* Drops input that has arrived already (before a TLS handshake, RFC 3207 4.2). */
void stream_drop_kept(struct stream *stream);
/* All bytes go through LAYER from now on; the stream owns STATE. Call when all output is flushed and
 * with nothing of stream_read in hand: what was kept is dropped. Until the handshake is done (is_shaking) stream_read and
 * stream_flush say RESULT_RETRY and do it; the one that ends it goes on as usual. */
void stream_add_layer(struct stream *stream, const struct stream_layer *layer, void *state);
/* Ends our direction, in order: the layer's goodbye, then shutdown(2). -1 as shutdown. */
int stream_shutdown(struct stream *stream);

#endif
