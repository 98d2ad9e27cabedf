/* A pipe between two processes of the suite: frames over a Unix stream socketpair, pipelined both
 * ways, descriptors beside them. Used by every daemon.
 *
 * Sending collects: frames go out together at channel_flush, which the loop calls at the end of
 * each turn for every channel that has something (one sendmsg for many frames and descriptors).
 * A frame that does not parse, or a descriptor too many, costs the sender the channel. */
#ifndef COMMON_CHANNEL_H
#define COMMON_CHANNEL_H

#include "frame.h"
#include "loop.h"

enum {
	CHANNEL_OUT_MAX = 4 << 20,	/* bytes waiting to be sent */
	CHANNEL_DESCRIPTORS_MAX = 200,	/* in one sendmsg; SCM_MAX_FD is 253 */
};

struct channel {
	int fd;				/* -1: closed */
	struct loop *loop;		/* NULL: blocking use */
	struct watch watch;
	stralloc in, out;
	size_t in_used, out_sent;
	struct channel_descriptors {	/* queues, in order of their frames */
		struct channel_descriptor { int fd; size_t frame_start; } *items;
		size_t count, size;
	} in_descriptors, out_descriptors;
	struct channel *next_dirty;
	bool is_dirty;
	/* A whole frame came. Handlers own f->descriptor. They may send and may close any channel. */
	void (*frame)(struct channel *channel, struct frame *f);
	/* The channel is closed (end of file, error, or bytes that do not parse); already channel_close'd.
	 * WHY says what; errno_value 0 and an empty text: orderly end of file. */
	void (*lost)(struct channel *channel, const struct why *why);
};

/* Makes a connected pair, both close-on-exec and blocking. */
enum result channel_pair(int ends[2], struct why *why);

/* Takes over FD. With LOOP the descriptor becomes non-blocking and is watched, frame and lost are
 * called from the loop; without (NULL) use channel_wait. CHANNEL needs no setting before. */
enum result channel_open(struct channel *channel, struct loop *loop, int fd,
                         void (*frame)(struct channel *, struct frame *),
                         void (*lost)(struct channel *, const struct why *), struct why *why);
/* Closes, drops what is unsent, closes waiting descriptors. Does not call lost. Harmless when closed. */
void channel_close(struct channel *channel);

/* Adds a frame to what is sent. DESCRIPTOR (or -1) belongs to the channel from now on, also on
 * failure, and is closed once sent. RESULT_RETRY: no memory, CHANNEL_OUT_MAX reached, or closed:
 * the frame will not go out. RESULT_NEVER: a value is over its limit. */
enum result channel_send(struct channel *channel, enum wire_type type, const struct wire_value *values,
                         int descriptor, struct why *why);
/* Bytes that wait to be sent: for senders that pace themselves. */
size_t channel_waiting(const struct channel *channel);
/* With a loop: sends what can be sent now (lost is called later on failure). Without: blocks
 * until all is sent. RESULT_PEER: it can't be sent; both sides come to the end of the pipe. */
enum result channel_flush(struct channel *channel, struct why *why);

/* Blocking use only: waits up to TIMEOUT_MS (-1: no limit; 0: only what has arrived) for the next
 * frame. F stays valid until the next call. RESULT_OK; RESULT_RETRY: time is up; RESULT_END: orderly
 * end of file; RESULT_PEER: see WHY. Unsent frames are flushed before it waits, within the same time:
 * what the other side does not read by then stays unsent, until CHANNEL_OUT_MAX. */
enum result channel_wait(struct channel *channel, struct frame *f, int timeout_ms, struct why *why);

#endif
