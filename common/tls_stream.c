#include "tls_stream.h"

static enum result layer_shake(void *state, struct why *why) { return tls_handshake(state, why); }

static enum result layer_read(void *state, void *bytes, size_t size, size_t *count, struct why *why)
{
	return tls_read(state, bytes, size, count, why);
}

static enum result layer_write(void *state, const void *bytes, size_t length, size_t *count, struct why *why)
{
	return tls_write(state, bytes, length, count, why);
}

static uint32_t layer_wants(const void *state) { return tls_wants(state); }

static void layer_bye(void *state) { tls_bye(state); }

static void layer_free(void *state) { tls_free(state); }

static const struct stream_layer tls_layer = { layer_shake, layer_read, layer_write, layer_wants, layer_bye, layer_free };

enum result tls_stream_accept(struct stream *stream, struct tls_server *server, int flags, struct why *why)
{
	struct tls_session *session;
	enum result result = tls_accept(server, stream->fd, flags, &session, why);

	if (result == RESULT_OK)
		stream_add_layer(stream, &tls_layer, session);
	return result;
}

enum result tls_stream_connect(struct stream *stream, struct tls_client *client, const char *name, const char *resume_key, struct why *why)
{
	struct tls_session *session;
	enum result result = tls_connect(client, stream->fd, name, resume_key, &session, why);

	if (result == RESULT_OK)
		stream_add_layer(stream, &tls_layer, session);
	return result;
}

struct tls_session *tls_stream_session(const struct stream *stream)
{
	return stream->layer == &tls_layer ? stream->layer_state : NULL;
}
