#include "remoted/session.h"

#include "common/log.h"
#include "remoted/login.h"
#include "remoted/security.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void session_ready(struct watch *watch, uint32_t events);
static void idle_reply(struct session *session);
static void rset_reply(struct session *session);
static void quit_reply(struct session *session);

/* What a whole reply means in each state, and how long one is waited for. */
enum patience { PATIENCE_GREETING, PATIENCE_TLS, PATIENCE_COMMAND, PATIENCE_DATA, PATIENCE_IDLE, PATIENCE_RSET, PATIENCE_QUIT };
static const struct {
	const char *name;	/* for "timed out while ..." */
	enum patience patience;
	void (*reply)(struct session *session);
} states[SESSION_STATES] = {
	[SESSION_GREETING] = { "waiting for the greeting", PATIENCE_GREETING, greeting_reply },
	[SESSION_EHLO] = { "waiting for the answer to EHLO", PATIENCE_COMMAND, greeting_ehlo_reply },
	[SESSION_HELO] = { "waiting for the answer to HELO", PATIENCE_COMMAND, greeting_helo_reply },
	[SESSION_STARTTLS] = { "waiting for the answer to STARTTLS", PATIENCE_TLS, security_reply },
	[SESSION_SHAKING] = { "waiting for the TLS handshake", PATIENCE_TLS, NULL },
	[SESSION_LOGIN] = { "waiting for the answer to AUTH", PATIENCE_COMMAND, login_reply },
	[SESSION_IDLE] = { "idle", PATIENCE_IDLE, idle_reply },
	[SESSION_RSET] = { "waiting for the answer to RSET", PATIENCE_RSET, rset_reply },
	[SESSION_ENVELOPE] = { "sending the envelope", PATIENCE_COMMAND, transaction_reply },
	[SESSION_BODY] = { "sending the message", PATIENCE_COMMAND, transaction_reply },
	[SESSION_FINAL] = { "waiting for the answer to the message", PATIENCE_DATA, transaction_reply },
	[SESSION_QUIT] = { "ending", PATIENCE_QUIT, quit_reply },
};

static struct session *all_sessions;	/* by next_all: for the end of the process */
static const struct session *handled;	/* whose replies are being handled; NULL once it is freed */

/* ---- making and freeing ---- */

/* By the job's own route: that of the site is the route of whoever came first. */
static void find_domain(struct session *session)
{
	const char *next_hop = session->job->next_hop;
	struct route route;
	struct why why = { 0 };
	bool is_found = route_find(remoted.routes, next_hop, &route, &why) == RESULT_OK;

	route_domain(is_found ? &route : &session->site->route, next_hop, session->domain);
}

void session_start(struct site *site, struct job *job)
{
	struct session *session = calloc(1, sizeof *session);
	size_t i;

	if (!session) {
		job_tell_rest(job, DELIVERY_DEFERRED, "4.3.0", "", "no memory for a connection");
		job_free(job);
		return;
	}
	session->site = site;
	session->job = job;
	session->stream.fd = session->stream.watch.fd = -1;
	for (i = 0; i < 2; i++) {
		session->attempts[i].fd = session->attempts[i].watch.fd = -1;
		session->attempts[i].session = session;
	}
	session->next_all = all_sessions;
	if (all_sessions)
		all_sessions->previous_all = session;
	all_sessions = session;
	site->session_count++;
	snprintf(session->trouble_status, sizeof session->trouble_status, "4.4.1");
	snprintf(session->trouble, sizeof session->trouble, "no address to connect to");
	session->order_count = site->route.path[0] ? 1 : site_order_addresses(site, session->order, SESSION_ADDRESSES_MAX);
	find_domain(session);
	security_admit(session);
	session_next_address(session);
}

static void leave_idle_list(struct session *session)
{
	struct session **at = &session->site->idle;

	while (*at && *at != session)
		at = &(*at)->next_idle;
	if (*at)
		*at = session->next_idle;
}

static void log_end_of(const struct session *session)
{
	struct log_line line;

	log_start(&line, "session-end");
	log_text(&line, "host", session->where);
	log_text(&line, "site", session->site->key);
	log_number(&line, "messages", session->messages);
	log_number(&line, "recipients", session->recipients);
	log_number(&line, "refused", session->refused);
	log_text(&line, "why", session->trouble);
	log_end(&line);
}

void session_free(struct session *session)
{
	if (session->host[0])
		log_end_of(session);
	if (handled == session)
		handled = NULL;
	leave_idle_list(session);
	session_stop_connecting(session);
	loop_unset_timer(remoted.loop, &session->timer);
	security_end(session);
	login_free(session);
	stream_close(&session->stream);
	session->site->session_count--;
	if (session->next_all)
		session->next_all->previous_all = session->previous_all;
	if (session->previous_all)
		session->previous_all->next_all = session->next_all;
	else
		all_sessions = session->next_all;
	free(session);
}

static bool is_sent(const struct session *session)
{
	return session->job && session->is_body_out && (session->state == SESSION_FINAL || session->state == SESSION_ENVELOPE);
}

size_t session_end_all(bool spares_sent)
{
	struct session *session, *next;
	size_t spared = 0;

	for (session = all_sessions; session; session = next) {
		next = session->next_all;
		if (spares_sent && is_sent(session))
			spared++;
		else if (session->job)
			session_fail(session, "4.3.2", "this host's mail service is being restarted");
		else
			session_free(session);
	}
	return spared;
}

/* ---- trouble ---- */

void session_note_trouble(struct session *session, const char *status, const char *words)
{
	session->is_insecure = false;
	if (session->is_put_off || (*status == '5' && session->may_pass))
		return;
	session->may_pass |= *status == '4';
	snprintf(session->trouble_status, sizeof session->trouble_status, "%s", status);
	snprintf(session->trouble_host, sizeof session->trouble_host, "%s", session->host);
	snprintf(session->trouble, sizeof session->trouble, "%s", words);
}

void session_fail(struct session *session, const char *status, const char *words)
{
	const char *host = words == session->trouble ? session->trouble_host : session->host;
	struct job *job = session->job;

	if (words != session->trouble)
		snprintf(session->trouble, sizeof session->trouble, "%s", words);
	session->job = NULL;
	if (job && session->is_insecure && status == session->trouble_status && !(job->flags & REMOTE_REQUIRETLS))
		site_hold(session->site, SITE_INSECURE_MS, status, session->trouble);	/* a queue full of mail for it is no reason to knock that often */
	if (job) {
		job_tell_rest(job, *status == '5' ? DELIVERY_FAILED : DELIVERY_DEFERRED, status, host, session->trouble);
		job_free(job);
	}
	session_free(session);
}

/* Content is on its way for recipients that the host took: it may deliver it, whatever is heard of that. */
static bool may_deliver(const struct session *session)
{
	return session->state >= SESSION_BODY || (session->state == SESSION_ENVELOPE && session->chunks && session->accepted);
}

void session_pass_on(struct session *session, const char *status, const char *words)
{
	struct site *site = session->site;
	struct job *job = session->job;

	if (!job || may_deliver(session) || !job_drop_told(job)) {
		session_fail(session, status, words);
		return;
	}
	session_note_trouble(session, status, words);
	if (session->is_reused) {	/* the other side may have had enough of a kept connection: nothing is known against it */
		session->job = NULL;
		session_say(session, "QUIT\r\n");
		session_flush(session);
		session_free(session);
		site_start_job(site, job);
	} else {
		session_leave_host(session);
	}
}

static bool is_securing(const struct session *session)
{
	return session->state == SESSION_STARTTLS || session->state == SESSION_SHAKING;
}

static void host_lost(struct session *session, const char *words)
{
	if (session->state < SESSION_BODY && session->job && !session->is_reused)
		session_mark_bad(session);
	session_pass_on(session, "4.4.2", words);
}

static void time_over(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, timer);
	char words[SESSION_WORDS_MAX + 1];

	if (session->state == SESSION_IDLE) {
		session_quit(session);
		return;
	}
	if (session->state == SESSION_QUIT) {
		session_free(session);
		return;
	}
	snprintf(words, sizeof words, "%s%stimed out while %s", is_securing(session) ? "" : session->where,
	         is_securing(session) ? "" : ": ", states[session->state].name);
	if (is_securing(session)) {
		security_lost(session, words);
		return;
	}
	host_lost(session, words);
}

void session_wait(struct session *session, enum session_state state)
{
	const struct configuration *conf = remoted.conf;
	const uint64_t waits[] = {
		[PATIENCE_GREETING] = conf->greeting_timeout_seconds * 1000ull,
		[PATIENCE_TLS] = conf->starttls_timeout_seconds * 1000ull,
		[PATIENCE_COMMAND] = conf->command_timeout_seconds * 1000ull,
		[PATIENCE_DATA] = conf->data_timeout_seconds * 1000ull,
		[PATIENCE_IDLE] = SESSION_IDLE_MS,
		[PATIENCE_RSET] = SESSION_RSET_MS,
		[PATIENCE_QUIT] = SESSION_QUIT_MS,
	};

	session->state = state;
	loop_set_timer(remoted.loop, &session->timer, waits[states[state].patience], time_over);
}

/* ---- writing ---- */

bool session_say(struct session *session, const char *format, ...)
{
	char line[4096];
	va_list arguments;
	int length, words;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (length <= 0 || length >= (int)sizeof line)
		return false;
	words = length >= 2 && !memcmp(line + length - 2, "\r\n", 2) ? length - 2 : length;
	return text_is_printable(line, (size_t)words) && stream_put(&session->stream, line, (size_t)length) == RESULT_OK;
}

/* What a failing write means is told by the read that follows: the peer may have said why. */
void session_flush(struct session *session)
{
	struct why why = { 0 };

	stream_flush(&session->stream, &why);
}

/* ---- replies ---- */

static void lose(struct session *session, const struct why *why)
{
	char words[SESSION_WORDS_MAX + 1];

	if (session->state == SESSION_QUIT) {
		session_free(session);
		return;
	}
	if (is_securing(session)) {
		snprintf(words, sizeof words, "connection lost while %s%s%.200s", states[session->state].name, why->text[0] ? ": " : "", why->text);
		security_lost(session, words);
		return;
	}
	snprintf(words, sizeof words, "%.300s: connection lost while %s%s%.200s", session->where, states[session->state].name,
	         why->text[0] ? ": " : "", why->text);
	host_lost(session, words);
}

/* Takes lines until a reply is whole. RESULT_OK: it is, *AT stands behind it. */
static enum result take_reply(struct session *session, const char **at, const char *end, struct why *why)
{
	while (*at < end) {
		const char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
		size_t length;
		enum result result;

		if (!newline)
			return end - line > REPLY_LINE_MAX ? why_set(why, RESULT_PEER, "an over-long line") : RESULT_RETRY;
		length = (size_t)(newline - line);
		if (length > REPLY_LINE_MAX)
			return why_set(why, RESULT_PEER, "an over-long line");
		*at = newline + 1;
		if (length && line[length - 1] == '\r')
			length--;
		if (session->reply.is_whole)
			session->reply = (struct reply){ 0 };
		result = reply_take_line(&session->reply, line, length, why);
		if (result != RESULT_OK)
			return result;
		if (session->state == SESSION_EHLO && session->reply.code == 250 && session->reply.lines > 1)
			greeting_take_keyword(session, line, length);
		if (session->reply.is_whole)
			return RESULT_OK;
	}
	return RESULT_RETRY;
}

static void read_replies(struct session *session, char *bytes, size_t length)
{
	const char *at = bytes, *end = bytes + length;
	struct why why = { 0 };
	enum result result;

	handled = session;
	while ((result = take_reply(session, &at, end, &why)) == RESULT_OK) {
		session->behind = (size_t)(end - at);
		states[session->state].reply(session);
		if (!handled || session->stream.fd < 0 || session->state == SESSION_SHAKING)
			return;
	}
	if (result == RESULT_RETRY && stream_keep(&session->stream, at, (size_t)(end - at)) == RESULT_OK)
		return;
	lose(session, &why);
}

static void session_ready(struct watch *watch, uint32_t events)
{
	struct session *session = container_of(container_of(watch, struct stream, watch), struct session, stream);
	struct why why = { 0 };
	enum result result;
	size_t length;
	char *bytes;

	if (session->stream.is_shaking) {
		security_shake(session);
		return;
	}
	if (events & EPOLLOUT) {
		result = stream_flush(&session->stream, &why);
		if (result == RESULT_OK && session->state == SESSION_BODY) {
			transaction_more_body(session);
			return;	/* what was read meanwhile comes with the next turn */
		}
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	result = stream_read(&session->stream, &bytes, &length, &why);
	if (result == RESULT_OK)
		read_replies(session, bytes, length);
	else if (result != RESULT_RETRY)
		lose(session, &why);
}

/* ---- the beginning of a connection ---- */

void session_connected(struct session *session, int fd, const struct host_address *address)
{
	const struct site *site = session->site;
	char ip[NETWORK_TEXT_MAX];
	struct why why = { 0 };

	session->place = (size_t)(address - session->order);
	session->is_insecure = false;
	if (site->route.path[0]) {
		snprintf(session->host, sizeof session->host, "%s", site->route.path);
		snprintf(session->where, sizeof session->where, "%s", site->route.path);
	} else {
		const char *name = site->hosts.exchanges[address->exchange].name;
		snprintf(session->host, sizeof session->host, site->route.is_ip ? "[%s]" : "%s", name);
		snprintf(session->where, sizeof session->where, "%s[%s]:%u", site->route.is_ip ? "" : name, ip_text(&address->ip, ip), site->route.port);
	}
	session->reply = (struct reply){ 0 };
	if (stream_open(&session->stream, remoted.loop, fd, session_ready, &why) != RESULT_OK) {
		session_fail(session, "4.3.0", why.text);
		return;
	}
	if (!security_connected(session))
		session_wait(session, SESSION_GREETING);
}

void session_leave_host(struct session *session)
{
	login_free(session);
	session_say(session, "QUIT\r\n");
	session_flush(session);
	stream_close(&session->stream);
	session_next_address(session);
}

/* ---- between messages ---- */

static void idle_reply(struct session *session)
{
	/* most likely 421: the other side ends it */
	snprintf(session->trouble, sizeof session->trouble, "%.200s", session->reply.text);
	session_free(session);
}

static void rset_reply(struct session *session)
{
	if (session->reply.code / 100 == 2)
		transaction_start(session);
	else
		session_pass_on(session, "4.4.2", session->reply.text);
}

static void quit_reply(struct session *session)
{
	session_free(session);
}

void session_quit(struct session *session)
{
	leave_idle_list(session);
	security_end(session);
	session_say(session, "QUIT\r\n");
	session_flush(session);
	session_wait(session, SESSION_QUIT);
}

void session_job_ended(struct session *session)
{
	if (session->job) {
		job_free(session->job);
		session->job = NULL;
	}
	session->trouble[0] = 0;
	session->may_pass = false;
	session->messages++;
	if (session->state < SESSION_ENVELOPE || session->reply.code == 421 || session->messages >= SESSION_MESSAGES_MAX ||
	    session->chunks || security_is_private(session)) {
		session_quit(session);
		return;
	}
	/* it is there for the next job at once, which may be on its way since the last result was told: RSET can wait for that */
	session->needs_rset = session->state != SESSION_FINAL || !session->accepted;
	session_wait(session, SESSION_IDLE);
	session->next_idle = session->site->idle;
	session->site->idle = session;
}

bool session_take(struct session *session, struct job *job)
{
	if (session->state != SESSION_IDLE || stream_has_input(&session->stream) || !security_suits(session, job))
		return false;
	leave_idle_list(session);
	session->job = job;
	session->is_reused = true;
	if (!session->needs_rset) {
		transaction_start(session);
		return true;
	}
	session_say(session, "RSET\r\n");
	session_flush(session);
	session_wait(session, SESSION_RSET);
	return true;
}
