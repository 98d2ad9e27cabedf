#include "pop3d/session.h"
#include "common/base64.h"
#include "common/log.h"
#include "common/text.h"
#include "common/tls_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOGIN_PATIENCE_MS = 120 * 1000, RELAY_PATIENCE_SECONDS = 60 };

/* ---- the end of a connection ---- */

static void log_connection(const struct connection *c, const char *end)
{
	char client[NETWORK_TEXT_MAX];
	struct log_line line;

	log_start(&line, "disconnect");
	log_text(&line, "session", c->id);
	log_text(&line, "client", ip_text(&c->ip, client));
	log_text(&line, "user", c->name);
	log_text(&line, "end", end);
	if (c->client.layer && !c->client.is_shaking)
		tls_log(tls_stream_session(&c->client), &line);
	log_number(&line, "in", c->in_bytes);
	log_number(&line, "out", c->out_bytes);
	log_number(&line, "errors", c->errors);
	log_seconds(&line, "seconds", loop_now_ms(worker.loop) - c->began_ms);
	log_end(&line);
}

void connection_close(struct connection *c, const char *end)
{
	log_connection(c, end);
	authorization_cancel(c);
	if (c->limit_key)
		limits_remove(opening.limits, worker.index, c->limit_key);
	loop_unset_timer(worker.loop, &c->timer);
	stream_close(&c->client);
	stream_close(&c->server);
	worker.connection_count--;
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	free(c->name);
	free(c);
}

/* RFC 1939 3: the autologout timer closes without a word and without removing a message. */
static void time_is_up(struct timer *timer)
{
	connection_close(container_of(timer, struct connection, timer), "timeout");
}

void connection_wait(struct connection *c)
{
	uint64_t wait = worker.conf->pop3_timeout_seconds * (uint64_t)1000;

	if (c->state == AT_LOGIN || c->state == AT_START)
		wait = LOGIN_PATIENCE_MS;
	else if (c->state == AT_HANDSHAKE)
		wait = worker.conf->tls_handshake_timeout_seconds * (uint64_t)1000;
	else if (c->state == AT_TRANSACTION)	/* the session has a timer of its own */
		wait += RELAY_PATIENCE_SECONDS * 1000;
	loop_set_timer(worker.loop, &c->timer, wait, time_is_up);
}

bool connection_flush(struct connection *c)
{
	struct why why = { 0 };

	switch (stream_flush(&c->client, &why)) {
	case RESULT_OK:
		if (!c->is_quitting)
			return c->state != AT_STLS || connection_begin_tls(c);
		stream_shutdown(&c->client);
		connection_close(c, c->end);
		return false;
	case RESULT_RETRY:
		return true;
	default:
		connection_close(c, "hung-up");
		return false;
	}
}

/* ---- lines of the client ---- */

static void put(struct connection *c, const char *answer)
{
	size_t length = strlen(answer);

	c->out_bytes += length;
	if (stream_put(&c->client, answer, length) != RESULT_OK)
		c->is_quitting = true;	/* does not read what it asks for */
}

static void answer_line(struct connection *c, const char *line, size_t length)
{
	const char *answer = authorization_line(c, line, length);

	if (answer)
		put(c, answer);
	if (c->errors >= worker.conf->error_limit && !c->is_quitting) {
		put(c, "-ERR too many errors\r\n");
		c->is_quitting = true;
		c->end = "errors";
	}
}

bool connection_run(struct connection *c, const char *bytes, size_t length)
{
	enum result result = RESULT_OK;
	size_t used, line_length;
	const char *line;

	while (result != RESULT_RETRY && c->state < AT_LOGIN && !c->is_quitting) {
		result = line_take(bytes, length, &c->is_skipping, &used, &line, &line_length);
		c->is_pipelined = used < length;
		if (result == RESULT_OK)
			answer_line(c, line, line_length);
		else if (result == RESULT_PEER)
			put(c, authorization_error(c, "-ERR line too long\r\n"));
		bytes += used;
		length -= used;
	}
	result = stream_keep(&c->client, bytes, c->is_quitting ? 0 : length);
	if (result != RESULT_OK) {
		put(c, "-ERR [SYS/TEMP] too much at once\r\n");
		c->end = "too-much";
		c->is_quitting = true;
	}
	stream_pause(&c->client, c->state >= AT_LOGIN || c->is_quitting);
	return connection_flush(c);
}

static void read_lines(struct connection *c)
{
	struct why why = { 0 };
	char *bytes;
	size_t length, before = c->client.kept_length;

	switch (stream_read(&c->client, &bytes, &length, &why)) {
	case RESULT_OK:
		c->in_bytes += length - before;
		if (memchr(bytes + before, '\n', length - before))	/* RFC 1939 3: a command, not a byte now and then */
			connection_wait(c);
		connection_run(c, bytes, length);
		return;
	case RESULT_RETRY:
		return;
	default:
		connection_close(c, "hung-up");
	}
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct connection *c = container_of(container_of(watch, struct stream, watch), struct connection, client);

	if (events & EPOLLOUT && c->state != AT_HANDSHAKE) {
		bool was_full = c->client.unsent != NULL;
		if (!connection_flush(c))
			return;
		if (was_full && !c->client.unsent && c->state == AT_TRANSACTION) {
			relay_client_drained(c);
			return;	/* what else is ready is told again */
		}
	}
	if (c->state == AT_HANDSHAKE)
		connection_handshake_ready(c);
	else if (c->client.is_paused && (events & (EPOLLHUP | EPOLLERR)))
		connection_close(c, "hung-up");
	else if (c->state == AT_TRANSACTION)
		relay_client_ready(c, events);
	else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !c->client.is_paused)
		read_lines(c);
}

static void resume_at(struct connection *c, unsigned state)
{
	size_t length;
	char *bytes;

	c->state = state;
	connection_wait(c);
	stream_again(&c->client, &bytes, &length);
	connection_run(c, bytes, length);
}

void connection_resume(struct connection *c)
{
	resume_at(c, AT_AUTHORIZATION);
}

/* ---- authd's answer ---- */

static struct connection *find_waiting(uint64_t serial)
{
	struct connection *c = worker.connections;

	while (c && (c->state != AT_LOGIN || c->serial != serial))
		c = c->next;
	return c;
}

static void challenge(struct connection *c, const struct frame *f)
{
	const struct wire_value *data = &f->value[LOGIN_TELL_DATA];
	char answer[BASE64_SIZE(2048) + 4] = "+ ";

	c->exchange = f->value[LOGIN_TELL_EXCHANGE].number;
	base64_encode(data->bytes, data->length, answer + 2);
	put(c, answer);
	put(c, "\r\n");
	if (connection_flush(c) && !c->is_quitting)
		resume_at(c, AT_SASL);
}

static void refuse_login(struct connection *c, const struct frame *f)
{
	uint64_t verdict = f->value[LOGIN_TELL_VERDICT].number;
	bool is_temporary = verdict == LOGIN_LATER || verdict == LOGIN_BLOCKED;
	char words[257], answer[300];

	if (!frame_value_copy(f, LOGIN_TELL_WORDS, words, sizeof words))
		words[0] = 0;
	snprintf(answer, sizeof answer, "-ERR %s\r\n", words);
	put(c, is_temporary ? answer : authorization_error(c, answer));
	if (c->errors >= worker.conf->error_limit) {
		c->is_quitting = true;
		c->end = "errors";
	}
	if (connection_flush(c) && !c->is_quitting)
		connection_resume(c);
}

static void succeed(struct connection *c, struct frame *f)
{
	char address[WIRE_ADDRESS_MAX + 1];

	if (frame_value_copy(f, LOGIN_TELL_ADDRESS, address, sizeof address) && *address) {
		free(c->name);
		c->name = strdup(address);	/* without memory the log lacks it */
	}
	relay_start(c, f->descriptor);
}

void connection_told(struct frame *f)
{
	struct connection *c = find_waiting(f->value[LOGIN_TELL_SERIAL].number);
	uint64_t verdict = f->value[LOGIN_TELL_VERDICT].number;

	if (c && verdict == LOGIN_OK && f->descriptor >= 0) {
		succeed(c, f);
		return;
	}
	if (f->descriptor >= 0)	/* hung up meanwhile: the session sees the end of file */
		close(f->descriptor);
	if (c && verdict == LOGIN_CHALLENGE)
		challenge(c, f);
	else if (c)
		refuse_login(c, f);
}

/* ---- the beginning ---- */

static void make_id(struct connection *c)
{
	unsigned char random[SESSION_ID_LENGTH / 2];

	random_bytes(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(c->id + 2 * i, 3, "%02x", random[i]);
}

bool connection_greet(struct connection *c)
{
	char banner[600];

	c->has_stamp = worker.offers_apop;
	if (c->has_stamp)
		snprintf(banner, sizeof banner, "+OK %s POP3 server ready <%s@%s>\r\n", worker.conf->hostname, c->id, worker.conf->hostname);
	else
		snprintf(banner, sizeof banner, "+OK %s POP3 server ready\r\n", worker.conf->hostname);
	put(c, banner);
	return connection_flush(c);
}

/* Counts the connection. false: its address has as many as it may. */
static bool count_client(struct connection *c)
{
	uint64_t key = limits_key_of_address(opening.limits, &c->ip);

	if (ip_is_loopback(&c->ip) || network_list_contains(&worker.conf->relay_networks, &c->ip))
		return true;
	if (limits_count(opening.limits, key) >= worker.conf->client_limit)
		return false;
	limits_add(opening.limits, worker.index, key);
	c->limit_key = key;
	return true;
}

/* By a listener with TLS nothing can be said without a handshake, which would cost more than the rest. */
static void refuse(struct connection *c)
{
	if (c->is_tls_listener) {
		connection_close(c, "client-limit");
		return;
	}
	put(c, "-ERR [SYS/TEMP] too many connections from your address\r\n");
	c->is_quitting = true;
	c->end = "client-limit";
	connection_flush(c);
}

void connection_open(int fd, const struct address_ip *ip, bool is_tls)
{
	struct connection *c = calloc(1, sizeof *c);
	struct why why = { 0 };

	if (!c) {
		close(fd);
		return;
	}
	c->server.fd = c->server.watch.fd = -1;
	if (stream_open(&c->client, worker.loop, fd, client_ready, &why) != RESULT_OK) {
		free(c);
		return;
	}
	c->ip = *ip;
	c->is_tls_listener = is_tls;
	c->state = AT_AUTHORIZATION;
	c->end = "hung-up";
	c->began_ms = loop_now_ms(worker.loop);
	c->may_log_in = network_list_contains(&worker.conf->clear_login, ip);
	make_id(c);
	c->next = worker.connections;
	c->at = &worker.connections;
	if (c->next)
		c->next->at = &c->next;
	worker.connections = c;
	worker.connection_count++;
	connection_wait(c);
	if (!count_client(c))
		refuse(c);
	else if (is_tls)
		connection_begin_tls(c);
	else
		connection_greet(c);
}

void connections_close(const char *end)
{
	while (worker.connections)
		connection_close(worker.connections, end);
}
