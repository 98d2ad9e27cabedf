/* After login: bytes between the client and the session of its mailbox, a socketpair away. Both ways
 * through the buffers that all connections share; who does not read stops the other. */
#include "pop3d/session.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static const char say_no_mailbox[] = "-ERR [SYS/TEMP] the mailbox can't be opened now\r\n";

static void server_ready(struct watch *watch, uint32_t events);

void relay_start(struct connection *c, int fd)
{
	struct why why = { 0 };

	c->state = AT_START;
	connection_wait(c);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (stream_open(&c->server, worker.loop, fd, server_ready, &why) == RESULT_OK)
		return;
	if (stream_put(&c->client, say_no_mailbox, strlen(say_no_mailbox)) == RESULT_OK && connection_flush(c))
		connection_resume(c);
}

/* ---- client to session ---- */

/* BYTES are what the client sent. The client waits while the session is behind. */
static void pass_up(struct connection *c, const char *bytes, size_t length)
{
	struct why why = { 0 };
	enum result result = stream_put(&c->server, bytes, length);

	stream_keep(&c->client, "", 0);
	if (result == RESULT_OK)
		result = stream_flush(&c->server, &why);
	/* RESULT_PEER: the session has ended; what it said last is still to be read */
	stream_pause(&c->client, result != RESULT_OK);
}

static void end_up(struct connection *c)
{
	c->client_has_ended = true;
	stream_pause(&c->client, true);
	if (!c->server.unsent)
		shutdown(c->server.fd, SHUT_WR);
}

void relay_client_ready(struct connection *c, uint32_t events)
{
	struct why why = { 0 };
	size_t length;
	char *bytes;

	if (c->client.is_paused || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	switch (stream_read(&c->client, &bytes, &length, &why)) {
	case RESULT_OK:
		c->in_bytes += length;
		connection_wait(c);
		pass_up(c, bytes, length);
		return;
	case RESULT_RETRY:
		return;
	case RESULT_END:
		end_up(c);
		return;
	default:
		connection_close(c, "hung-up");
	}
}

/* ---- session to client ---- */

/* A paused server is not watched at all: it may have ended with bytes still to be read, and the
 * kernel would tell its end again and again. */
static void hold_server(struct connection *c)
{
	if (!c->server.unsent)
		loop_unwatch(worker.loop, &c->server.watch);
	stream_pause(&c->server, true);
}

/* The session is closed first: its end would be told again and again while the client takes the rest. */
static void finish(struct connection *c)
{
	stream_close(&c->server);
	stream_pause(&c->client, true);
	c->is_quitting = true;
	c->end = "closed";
	connection_flush(c);
}

static void pass_down(struct connection *c, const char *bytes, size_t length)
{
	stream_keep(&c->server, "", 0);
	c->out_bytes += length;
	connection_wait(c);
	if (stream_put(&c->client, bytes, length) != RESULT_OK) {
		connection_close(c, "not-reading");
		return;
	}
	if (connection_flush(c) && c->client.unsent)
		hold_server(c);
}

/* "-ERR [IN-USE] ...": the login did not come about. */
static void start_failed(struct connection *c, const char *bytes, size_t length)
{
	enum result result = stream_put(&c->client, bytes, length);

	c->out_bytes += length;
	stream_close(&c->server);
	if (result == RESULT_OK && connection_flush(c))
		connection_resume(c);
	else if (result != RESULT_OK)
		connection_close(c, "not-reading");
}

static void start_answered(struct connection *c, const char *bytes, size_t length)
{
	size_t kept_length;
	char *kept;

	if (!memchr(bytes, '\n', length)) {
		if (stream_keep(&c->server, bytes, length) != RESULT_OK)
			start_failed(c, say_no_mailbox, strlen(say_no_mailbox));
		return;
	}
	if (bytes[0] == '-') {
		start_failed(c, bytes, length);
		return;
	}
	c->state = AT_TRANSACTION;
	stream_pause(&c->client, false);
	stream_keep(&c->server, "", 0);
	c->out_bytes += length;
	if (stream_put(&c->client, bytes, length) != RESULT_OK || !connection_flush(c))
		return;
	connection_wait(c);
	if (stream_again(&c->client, &kept, &kept_length) == RESULT_OK)
		pass_up(c, kept, kept_length);
}

static void server_ended(struct connection *c)
{
	if (c->state == AT_START)
		start_failed(c, say_no_mailbox, strlen(say_no_mailbox));
	else
		finish(c);
}

static void server_writable(struct connection *c)
{
	struct why why = { 0 };

	if (stream_flush(&c->server, &why) != RESULT_OK)
		return;
	if (c->client_has_ended)
		shutdown(c->server.fd, SHUT_WR);
	else
		stream_pause(&c->client, false);
}

static void server_ready(struct watch *watch, uint32_t events)
{
	struct connection *c = container_of(container_of(watch, struct stream, watch), struct connection, server);
	struct why why = { 0 };
	size_t length;
	char *bytes;

	if (events & EPOLLOUT)
		server_writable(c);
	if (c->server.is_paused) {
		if (events & (EPOLLHUP | EPOLLERR))
			loop_unwatch(worker.loop, &c->server.watch);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	switch (stream_read(&c->server, &bytes, &length, &why)) {
	case RESULT_OK:
		if (c->state == AT_START)
			start_answered(c, bytes, length);
		else
			pass_down(c, bytes, length);
		return;
	case RESULT_RETRY:
		return;
	default:
		server_ended(c);
	}
}

void relay_client_drained(struct connection *c)
{
	struct why why = { 0 };

	if (!c->server.is_paused)
		return;
	if (c->server.watch.fd < 0 &&
	    loop_watch(worker.loop, &c->server.watch, c->server.fd, EPOLLIN, server_ready, &why) != RESULT_OK) {
		connection_close(c, "error");
		return;
	}
	stream_pause(&c->server, false);
}
