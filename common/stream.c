#include "stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One of each per process: only the stream whose callback runs uses them. Pages that no stream ever
 * filled cost nothing. */
static char input[STREAM_KEEP_MAX + STREAM_READ_MAX];
static char output[STREAM_OUT_MAX];
static size_t output_length;
static const struct stream *output_owner;

static void stream_forget(struct stream *stream)
{
	*stream = (struct stream){ .fd = -1, .watch = { .fd = -1 } };
}

enum result stream_open(struct stream *stream, struct loop *loop, int fd, void (*ready)(struct watch *, uint32_t), struct why *why)
{
	stream_forget(stream);
	enum result result = loop_watch(loop, &stream->watch, fd, EPOLLIN, ready, why);
	if (result != RESULT_OK) {
		close(fd);
		stream_forget(stream);
		return result;
	}
	stream->loop = loop;
	stream->fd = fd;
	return RESULT_OK;
}

void stream_close(struct stream *stream)
{
	if (stream->fd < 0)
		return;
	loop_unwatch(stream->loop, &stream->watch);
	if (stream->layer) {
		stream->layer->bye(stream->layer_state);
		stream->layer->free(stream->layer_state);
	}
	close(stream->fd);
	free(stream->kept);
	free(stream->unsent);
	if (output_owner == stream)
		output_length = 0;
	stream_forget(stream);
}

static void stream_watch_again(struct stream *stream)
{
	uint32_t events = (stream->is_paused ? 0U : (uint32_t)EPOLLIN) | (stream->unsent ? (uint32_t)EPOLLOUT : 0U);

	if (stream->is_shaking)
		events = stream->layer->wants(stream->layer_state);
	loop_rewatch(stream->loop, &stream->watch, events);
}

/* ---- a layer ---- */

void stream_add_layer(struct stream *stream, const struct stream_layer *layer, void *state)
{
	assert(!stream->layer && !stream->unsent && (output_owner != stream || output_length == 0));
	stream_drop_kept(stream);
	stream->layer = layer;
	stream->layer_state = state;
	stream->is_shaking = true;
	stream_watch_again(stream);
}

static enum result layer_shake(struct stream *stream, struct why *why)
{
	enum result result = stream->layer->shake(stream->layer_state, why);

	stream->is_shaking = result != RESULT_OK;
	stream_watch_again(stream);
	return result;
}

/* Whole records alone, so that no decrypted byte stays where no event tells of it. */
static enum result layer_read(struct stream *stream, char *at, size_t *got, struct why *why)
{
	enum result result = stream->is_shaking ? layer_shake(stream, why) : RESULT_OK;
	size_t count;

	for (*got = 0; result == RESULT_OK && STREAM_READ_MAX - *got >= STREAM_RECORD_MAX; *got += count)
		result = stream->layer->read(stream->layer_state, at + *got, STREAM_READ_MAX - *got, &count, why);
	if (*got > 0 && result != RESULT_OK && result != RESULT_RETRY)
		shutdown(stream->fd, SHUT_RD);	/* nobody else may give an event in which this end comes again */
	return *got > 0 ? RESULT_OK : result;
}

int stream_shutdown(struct stream *stream)
{
	if (stream->layer)
		stream->layer->bye(stream->layer_state);
	return shutdown(stream->fd, SHUT_WR);
}

/* ---- reading ---- */

enum result stream_again(struct stream *stream, char **bytes, size_t *length)
{
	if (stream->kept_length > 0)
		memcpy(input, stream->kept, stream->kept_length);
	*bytes = input;
	*length = stream->kept_length;
	return *length > 0 ? RESULT_OK : RESULT_RETRY;
}

bool stream_has_input(const struct stream *stream)
{
	char byte;

	return stream->kept_length > 0 || recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

enum result stream_read(struct stream *stream, char **bytes, size_t *length, struct why *why)
{
	ssize_t got;

	if (stream->layer) {
		size_t more;
		enum result result = layer_read(stream, input + stream->kept_length, &more, why);
		if (result != RESULT_OK)
			return result;
		(void)stream_again(stream, bytes, length);
		*length += more;
		return RESULT_OK;
	}
	do
		got = recv(stream->fd, input + stream->kept_length, STREAM_READ_MAX, 0);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return RESULT_END;
	if (got < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? RESULT_RETRY : why_errno(why, RESULT_PEER, "read");
	(void)stream_again(stream, bytes, length);
	*length += (size_t)got;
	return RESULT_OK;
}

void stream_drop_kept(struct stream *stream)
{
	free(stream->kept);
	stream->kept = NULL;
	stream->kept_length = 0;
}

enum result stream_keep(struct stream *stream, const char *rest, size_t length)
{
	if (length == 0) {
		stream_drop_kept(stream);
		return RESULT_OK;
	}
	if (length > STREAM_KEEP_MAX)
		return RESULT_PEER;
	if (length != stream->kept_length) {
		char *block = realloc(stream->kept, length);
		if (!block)
			return RESULT_RETRY;
		stream->kept = block;
	}
	memcpy(stream->kept, rest, length);
	stream->kept_length = (uint32_t)length;
	return RESULT_OK;
}

enum result stream_put(struct stream *stream, const void *bytes, size_t length)
{
	assert(output_length == 0 || output_owner == stream);
	output_owner = stream;
	if (length > STREAM_OUT_MAX - output_length ||
	    stream->unsent_length - stream->unsent_sent + output_length + length > STREAM_OUT_MAX)
		return RESULT_PEER;
	memcpy(output + output_length, bytes, length);
	output_length += length;
	return RESULT_OK;
}

static enum result layer_send(struct stream *stream, const char *bytes, size_t length, size_t *sent, struct why *why)
{
	enum result result = stream->is_shaking ? RESULT_RETRY : RESULT_OK;
	size_t count;

	for (; result == RESULT_OK && *sent < length; *sent += count)
		result = stream->layer->write(stream->layer_state, bytes + *sent, length - *sent, &count, why);
	return result;
}

/* Sends from BYTES; *SENT: how many went. */
static enum result stream_send(struct stream *stream, const char *bytes, size_t length, size_t *sent, struct why *why)
{
	*sent = 0;
	if (stream->layer)
		return layer_send(stream, bytes, length, sent, why);
	while (*sent < length) {
		ssize_t n = send(stream->fd, bytes + *sent, length - *sent, MSG_NOSIGNAL);
		if (n >= 0)
			*sent += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
			return RESULT_RETRY;	/* the kernel is short of room: it says when there is some */
		else if (errno != EINTR)
			return why_errno(why, RESULT_PEER, "write");
	}
	return RESULT_OK;
}

/* What is new goes behind what waits already; what went out makes room for it. */
static enum result stream_hold(struct stream *stream, const char *bytes, size_t length, struct why *why)
{
	size_t waiting = stream->unsent_length - stream->unsent_sent;

	if (stream->unsent && stream->unsent_sent > 0)
		memmove(stream->unsent, stream->unsent + stream->unsent_sent, waiting);
	char *block = realloc(stream->unsent, waiting + length);
	if (!block)
		return why_errno(why, RESULT_PEER, "memory for %zu unsent bytes", length);
	memcpy(block + waiting, bytes, length);
	stream->unsent = block;
	stream->unsent_sent = 0;
	stream->unsent_length = (uint32_t)(waiting + length);
	return RESULT_OK;
}

static enum result stream_send_unsent(struct stream *stream, struct why *why)
{
	size_t sent;
	enum result result = stream_send(stream, stream->unsent + stream->unsent_sent,
	                                 stream->unsent_length - stream->unsent_sent, &sent, why);

	stream->unsent_sent += (uint32_t)sent;
	if (result == RESULT_OK) {
		free(stream->unsent);
		stream->unsent = NULL;
		stream->unsent_length = stream->unsent_sent = 0;
	}
	return result;
}

enum result stream_flush(struct stream *stream, struct why *why)
{
	enum result result = RESULT_OK;
	size_t length = output_owner == stream ? output_length : 0, sent = 0;

	if (output_owner == stream)
		output_length = 0;
	if (stream->is_shaking && layer_shake(stream, why) == RESULT_PEER)
		return RESULT_PEER;
	if (!stream->unsent && length > 0)
		result = stream_send(stream, output, length, &sent, why);
	if (result != RESULT_PEER && sent < length && stream_hold(stream, output + sent, length - sent, why) != RESULT_OK)
		result = RESULT_PEER;
	if (result == RESULT_OK && stream->unsent)
		result = stream_send_unsent(stream, why);
	if (result == RESULT_PEER)
		shutdown(stream->fd, SHUT_WR);	/* who still reads what the other side said last comes to its end by this */
	else
		stream_watch_again(stream);
	return result;
}

void stream_pause(struct stream *stream, bool is_paused)
{
	stream->is_paused = is_paused;
	stream_watch_again(stream);
}
