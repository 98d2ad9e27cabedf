#include "pop3d/session.h"
#include "common/log.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
	log_number(&line, "in", c->in_bytes);
	log_number(&line, "out", c->out_bytes);
	log_number(&line, "errors", c->errors);
	log_seconds(&line, "seconds", loop_now_ms(worker.loop) - c->began_ms);
	log_end(&line);
}

void connection_close(struct connection *c, const char *end)
{
	log_connection(c, end);
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
			return true;
		shutdown(c->client.fd, SHUT_WR);
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

/* Runs the lines at BYTES as long as the state lets it; keeps the rest. false: *C is gone. */
static bool run_lines(struct connection *c, const char *bytes, size_t length)
{
	enum result result = RESULT_OK;
	size_t used, line_length;
	const char *line;

	while (result != RESULT_RETRY && c->state < AT_LOGIN && !c->is_quitting) {
		result = line_take(bytes, length, &c->is_skipping, &used, &line, &line_length);
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
		run_lines(c, bytes, length);
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

	if (events & EPOLLOUT) {
		bool was_full = c->client.unsent != NULL;
		if (!connection_flush(c))
			return;
		if (was_full && !c->client.unsent && c->state == AT_TRANSACTION) {
			relay_client_drained(c);
			return;	/* what else is ready is told again */
		}
	}
	if (c->client.is_paused && (events & (EPOLLHUP | EPOLLERR)))
		connection_close(c, "hung-up");
	else if (c->state == AT_TRANSACTION)
		relay_client_ready(c, events);
	else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !c->client.is_paused)
		read_lines(c);
}

void connection_resume(struct connection *c)
{
	size_t length;
	char *bytes;

	c->state = AT_AUTHORIZATION;
	connection_wait(c);
	stream_again(&c->client, &bytes, &length);
	run_lines(c, bytes, length);
}

/* ---- authd's answer ---- */

static struct connection *find_waiting(uint64_t serial)
{
	struct connection *c = worker.connections;

	while (c && (c->state != AT_LOGIN || c->serial != serial))
		c = c->next;
	return c;
}

void connection_told(struct frame *f)
{
	struct connection *c = find_waiting(f->value[LOGIN_TELL_SERIAL].number);
	char words[257], answer[300];

	if (!c) {	/* hung up meanwhile: the session, if there is one, sees the end of file */
		if (f->descriptor >= 0)
			close(f->descriptor);
		return;
	}
	if (f->value[LOGIN_TELL_VERDICT].number == LOGIN_OK && f->descriptor >= 0) {
		relay_start(c, f->descriptor);
		return;
	}
	if (f->descriptor >= 0)
		close(f->descriptor);
	if (!frame_value_copy(f, LOGIN_TELL_WORDS, words, sizeof words))
		words[0] = 0;
	snprintf(answer, sizeof answer, "-ERR %s\r\n", words);
	put(c, f->value[LOGIN_TELL_VERDICT].number == LOGIN_REFUSED ? authorization_error(c, answer) : answer);
	if (c->errors >= worker.conf->error_limit) {
		c->is_quitting = true;
		c->end = "errors";
	}
	if (connection_flush(c) && !c->is_quitting)
		connection_resume(c);
}

/* ---- the beginning ---- */

static void make_id(struct connection *c)
{
	unsigned char random[SESSION_ID_LENGTH / 2];

	random_bytes(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(c->id + 2 * i, 3, "%02x", random[i]);
}

static void greet(struct connection *c)
{
	char banner[600];

	c->has_stamp = worker.offers_apop;
	if (c->has_stamp)
		snprintf(banner, sizeof banner, "+OK %s POP3 server ready <%s@%s>\r\n", worker.conf->hostname, c->id, worker.conf->hostname);
	else
		snprintf(banner, sizeof banner, "+OK %s POP3 server ready\r\n", worker.conf->hostname);
	put(c, banner);
	connection_flush(c);
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

void connection_open(int fd, const struct address_ip *ip)
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
	if (count_client(c)) {
		greet(c);
		return;
	}
	put(c, "-ERR [SYS/TEMP] too many connections from your address\r\n");
	c->is_quitting = true;
	c->end = "client-limit";
	connection_flush(c);
}

void connections_close(const char *end)
{
	while (worker.connections)
		connection_close(worker.connections, end);
}
