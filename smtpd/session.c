#include "session.h"

#include "ask.h"
#include "auth.h"
#include "common/tls_stream.h"
#include "hostname.h"
#include "policy.h"
#include "sender.h"
#include "submission.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECIPIENT_WAIT_MS = 30000,	/* for authd */
	AUTH_WAIT_MS = 120000,
	SENDER_WAIT_MS = 20000,		/* for dnsd */
	COMMIT_WAIT_MS = 600000,	/* RFC 5321 4.5.3.2.6: the client waits no longer */
	LINGER_MS = 2000,
};

static void session_fire(struct timer *timer);

/* ---- its parts ---- */

const char *session_words(struct session *s, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(s->worker->words, sizeof s->worker->words, format, arguments);
	va_end(arguments);
	return s->worker->words;
}

struct transaction_client session_client(const struct session *s)
{
	return (struct transaction_client){
		.session_id = s->id, .helo = s->helo, .client_name = s->client_name, .user = s->user, .ip = s->ip, .uid = s->uid,
		.is_local = s->listener == LISTENER_LOCAL, .is_extended = s->is_extended,
		.is_submitted = s->listener != LISTENER_SMTP || s->user, .is_authenticated = s->is_authenticated,
		.tls = tls_stream_session(&s->stream),
	};
}

bool session_is_submission(const struct session *s)
{
	return s->listener == LISTENER_SUBMISSION || s->listener == LISTENER_SUBMISSIONS;
}

bool session_set_helo(struct session *s, const char *helo, size_t length)
{
	char *block = realloc(s->helo, length + 1);

	if (!block)
		return false;
	memcpy(block, helo, length);
	block[length] = '\0';
	s->helo = block;
	return true;
}

void session_reset(struct session *s)
{
	transaction_free(s->transaction);
	s->transaction = NULL;
	if (s->state != AT_START)
		s->state = AT_HELLO;
}

/* ---- its end ---- */

/* A commit that is under way goes on without its client, who may see its message twice, never not at all. */
static void session_let_go(struct session *s)
{
	if (s->state == WAITS_COMMIT) {
		s->transaction->session = NULL;
		s->transaction = NULL;
		s->worker->orphan_count++;
	}
	ask_cancel(s->worker->asks, s->ticket);
	auth_drop(s);
	hostname_cancel(s->lookup);
	sender_cancel(s->sender);
	transaction_free(s->transaction);
}

static void session_free(struct session *s)
{
	struct worker *worker = s->worker;

	session_log_end(s);
	session_let_go(s);
	loop_unset_timer(worker->loop, &s->timer);
	stream_close(&s->stream);
	if (s->is_counted)
		limits_remove(worker->opening->limits, worker->index, s->limits_key);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	free(s->helo);
	free(s->user);
	free(s->client_name);
	free(s);
	worker->session_count--;
	worker_note_gone(worker);
}

void session_lose(struct session *s, enum session_ending ending)
{
	s->is_lost = true;
	s->ending = (uint8_t)ending;
}

/* ---- writing ---- */

static enum session_ending ending_of(enum reply reply)
{
	return reply == SAY_BYE ? ENDED_BY_QUIT : reply == SAY_TIMEOUT ? ENDED_BY_TIMEOUT : ENDED_BY_US;
}

void session_say(struct session *s, enum reply reply, const char *line, size_t length)
{
	if (reply == SAY_NOTHING)
		return;
	if (reply_put(&s->stream, reply, s->worker->words, s->worker->conf->hostname) != RESULT_OK) {
		session_lose(s, ENDED_BY_ERROR);
		return;
	}
	if (reply_code(reply) >= 400)
		session_log_refusal(s, reply, line, length);
	if (reply_code(reply) >= 500)
		s->errors++;
	if (s->transaction)
		submission_note_refusal(s, reply);
	if (reply_hangs_up(reply) || s->must_close) {
		s->state = IS_CLOSING;
		s->ending = (uint8_t)ending_of(reply);
	} else if (s->errors >= s->worker->conf->error_limit && !(s->state & (IN_DATA | IN_CHUNK))) {
		session_say(s, SAY_TOO_MANY_ERRORS, NULL, 0);
	}
}

static uint64_t session_wait_ms(const struct session *s)
{
	uint64_t wait = (uint64_t)s->worker->conf->smtp_timeout_seconds * 1000, now = loop_now_ms(s->worker->loop);

	switch (s->state) {
	case AT_GREETING:	return session_greeting_wait_ms(s);
	case WAITS_SENDER:	return SENDER_WAIT_MS;
	case WAITS_RECIPIENT:	return RECIPIENT_WAIT_MS;
	case WAITS_AUTH:	return AUTH_WAIT_MS;
	case WAITS_COMMIT:	return COMMIT_WAIT_MS;
	case IS_LINGERING:	return LINGER_MS;
	case IN_HANDSHAKE:	return (uint64_t)s->worker->conf->tls_handshake_timeout_seconds * 1000;
	}
	if (!s->transaction || !s->transaction->deadline_ms || now + wait < s->transaction->deadline_ms)
		return wait;
	return s->transaction->deadline_ms > now ? s->transaction->deadline_ms - now : 0;
}

static void session_set_timer(struct session *s)
{
	s->has_moved = false;
	if (!loop_set_timer(s->worker->loop, &s->timer, session_wait_ms(s), session_fire))
		session_lose(s, ENDED_BY_ERROR);
}

/* The last reply is out. What the client has sent and nobody read would make the kernel reset the
 * connection and the reply with it: half-close, and drop what comes. */
static void session_linger(struct session *s)
{
	if (s->ending == ENDED_BY_QUIT || stream_shutdown(&s->stream)) {
		s->is_lost = true;
		return;
	}
	session_reset(s);
	s->state = IS_LINGERING;
	s->has_moved = true;
}

/* Sends. The handshake begins behind the last byte in clear; where it ends here, what comes after it goes out too. */
static enum result session_flush(struct session *s)
{
	struct why why = { .errno_value = 0 };
	enum result sent = stream_flush(&s->stream, &why);

	if (sent == RESULT_OK && s->state == STARTS_TLS) {
		session_begin_tls(s);
	} else if (sent == RESULT_OK && s->state == IN_HANDSHAKE && !s->stream.is_shaking) {
		session_secured(s);
		sent = stream_flush(&s->stream, &why);
	}
	if (sent == RESULT_PEER && s->state == IN_HANDSHAKE)
		session_log_tls_failure(s, &why);
	if (sent == RESULT_PEER)
		session_lose(s, ENDED_BY_CLIENT);
	return sent;
}

/* Every entry from outside ends here: sends, watches, waits, or frees. S is gone afterwards when it was lost. */
void session_settle(struct session *s)
{
	enum result sent = RESULT_OK;

	if (s->worker->is_ending && s->state & (STARTS_TLS | IN_HANDSHAKE))
		session_lose(s, ENDED_BY_US);	/* nothing can be said now */
	else if (s->worker->is_ending && !(s->state & (WAITS_COMMIT | IS_CLOSING | IS_LINGERING)))
		session_say(s, SAY_SHUTTING_DOWN, NULL, 0);
	if (!s->is_lost)
		sent = session_flush(s);
	if (!s->is_lost && sent == RESULT_OK && s->state == IS_CLOSING)
		session_linger(s);
	if (!s->is_lost && s->has_moved)
		session_set_timer(s);
	if (s->is_lost) {
		session_free(s);
		return;
	}
	bool is_paused = sent == RESULT_RETRY || (s->stream.is_paused && s->state & (WAITS_ELSEWHERE | AT_GREETING));
	if (is_paused != s->stream.is_paused)
		stream_pause(&s->stream, is_paused);
}

/* ---- reading ---- */

static void session_take(struct session *s, const char *bytes, size_t length)
{
	size_t used = session_consume(s, bytes, length);

	if (!s->is_lost && stream_keep(&s->stream, bytes + used, length - used) != RESULT_OK)
		session_lose(s, ENDED_BY_ERROR);
}

/* After an answer from elsewhere: what came meanwhile is run now. */
void session_resume(struct session *s)
{
	char *bytes;
	size_t length;

	s->has_moved = true;
	if (!s->worker->is_ending && stream_again(&s->stream, &bytes, &length) == RESULT_OK)
		session_take(s, bytes, length);
	session_settle(s);
}

static void session_read(struct session *s)
{
	char *bytes;
	size_t length;
	struct why why = { .errno_value = 0 };

	switch (stream_read(&s->stream, &bytes, &length, &why)) {
	case RESULT_OK:
		break;
	case RESULT_RETRY:
		return;
	case RESULT_END:
	default:
		if (s->state == IN_HANDSHAKE)
			session_log_tls_failure(s, &why);
		session_lose(s, s->ending ? s->ending : ENDED_BY_CLIENT);
		return;
	}
	if (s->state == IN_HANDSHAKE)
		session_secured(s);	/* its last bytes brought more with them */
	if (s->state == AT_GREETING && session_greet_delay_ms(s) > 0)
		session_say(s, SAY_EARLY_TALKER, NULL, 0);	/* RFC 5321 4.3.1: the client waits for the greeting */
	session_take(s, bytes, length);
}

/* While an answer is owed nothing is read; the first byte that comes all the same stops the watching. */
void session_ready(struct watch *watch, uint32_t events)
{
	struct session *s = container_of(container_of(watch, struct stream, watch), struct session, stream);
	bool waits = s->state & WAITS_ELSEWHERE || s->stream.unsent ||
	             (s->state == AT_GREETING && session_greet_delay_ms(s) == 0);

	if (events & EPOLLERR || (events & EPOLLHUP && waits))
		session_lose(s, s->ending ? s->ending : ENDED_BY_CLIENT);
	else if (events & (EPOLLIN | EPOLLHUP) && waits)
		stream_pause(&s->stream, true);
	else if (events & (EPOLLIN | EPOLLHUP))
		session_read(s);
	session_settle(s);
}

/* ---- what happens to it ---- */

void session_committed(struct session *s, enum reply reply)
{
	if (reply == SAY_QUEUED) {
		s->messages++;
		s->recipients += s->transaction->accepted_count;
		s->idle_commands = 0;
	}
	session_words(s, "%s", s->transaction->commit.id);
	session_reset(s);
	session_say(s, reply, NULL, 0);
	session_resume(s);
}

static enum reply recipient_reply(struct session *s, enum recipient_verdict verdict)
{
	struct transaction *t = s->transaction;
	enum reply reply;
	struct why why;

	session_words(s, "%s", asks_words(s->worker->asks));
	if (verdict == RECIPIENT_AWAY && policy_inner_away(s) == SAY_RECIPIENT_OK)
		verdict = RECIPIENT_EXISTS;
	switch (verdict) {
	case RECIPIENT_REFUSED:
		return SAY_INNER_REFUSES;
	case RECIPIENT_PUT_OFF:
		return SAY_INNER_LATER;
	case RECIPIENT_AWAY:
		return SAY_INNER_AWAY;
	case RECIPIENT_EXISTS:
		resolve(s->worker->resolver, &t->asked->to, &s->worker->meaning, &why);
		reply = submission_recipient(s, &t->asked->to);
		return reply == SAY_RECIPIENT_OK ? transaction_add_recipient(t, t->asked) : reply;
	case RECIPIENT_UNKNOWN:
		return SAY_NO_SUCH_RECIPIENT;
	case RECIPIENT_FULL:
		return s->worker->conf->quota_policy == QUOTA_REJECT ? SAY_MAILBOX_FULL : SAY_MAILBOX_FULL_LATER;
	default:
		return SAY_LATER;
	}
}

void session_recipient_told(struct session *s, enum recipient_verdict verdict)
{
	s->ticket = 0;
	if (s->state != WAITS_RECIPIENT)
		return;
	s->state = s->state_after;
	enum reply reply = recipient_reply(s, verdict);
	if (reply == SAY_RECIPIENT_OK)
		s->state = AT_RCPT;
	session_say(s, reply, s->transaction->asked->to.text, s->transaction->asked->to.length);
	session_resume(s);
}

static enum reply login_reply(struct session *s, const struct frame *f)
{
	const struct wire_value *data = &f->value[LOGIN_TELL_DATA];
	char text[BASE64_SIZE(2048)];

	switch (f->value[LOGIN_TELL_VERDICT].number) {
	case LOGIN_OK:
		s->user = strndup(f->value[LOGIN_TELL_ADDRESS].bytes, f->value[LOGIN_TELL_ADDRESS].length);
		s->is_authenticated = s->user != NULL;
		return s->is_authenticated ? SAY_LOGGED_IN : SAY_NO_MEMORY;
	case LOGIN_CHALLENGE:
		s->exchange = (uint32_t)f->value[LOGIN_TELL_EXCHANGE].number;
		s->state = AT_AUTH;
		base64_encode(data->bytes, data->length, text);
		session_words(s, "%s", text);
		return SAY_CHALLENGE;
	case LOGIN_REFUSED:	return SAY_AUTH_REFUSED;
	case LOGIN_MALFORMED:	return SAY_AUTH_MALFORMED;
	case LOGIN_NOT_OFFERED:	return SAY_AUTH_UNKNOWN;
	case LOGIN_BLOCKED:	return SAY_AUTH_BLOCKED;
	default:		return SAY_AUTH_LATER;
	}
}

void session_login_told(struct session *s, const struct frame *f)
{
	s->ticket = 0;
	if (s->state != WAITS_AUTH)
		return;
	s->state = AT_HELLO;
	session_say(s, f ? login_reply(s, f) : SAY_AUTH_LATER, "AUTH", strlen("AUTH"));
	session_resume(s);
}

/* The reply may change the state, so that the transaction of a refused sender goes after it. */
static void session_sender_judged(struct session *s, enum reply reply)
{
	struct transaction *t = s->transaction;

	s->sender = NULL;
	s->state = reply == SAY_SENDER_OK ? AT_MAIL : AT_HELLO;
	session_words(s, "%s", t->mail.from.domain);
	session_say(s, reply, t->mail.from.text, t->mail.from.length);
	if (reply != SAY_SENDER_OK) {
		transaction_free(t);
		s->transaction = NULL;
	}
	session_resume(s);
}

enum reply session_ask_sender(struct session *s)
{
	s->sender = sender_ask(&s->worker->dns, s->transaction->mail.from.domain, s, session_sender_judged);
	if (!s->sender) {
		session_reset(s);
		return SAY_NO_MEMORY;
	}
	s->state = WAITS_SENDER;
	return SAY_NOTHING;
}

static void session_fire(struct timer *timer)
{
	struct session *s = container_of(timer, struct session, timer);

	switch (s->state) {
	case AT_GREETING:
		s->has_moved = true;
		if (session_greeting_wait_ms(s) > 0)
			break;
		session_greet(s);
		session_resume(s);
		return;
	case WAITS_SENDER:
		sender_cancel(s->sender);
		session_sender_judged(s, SAY_SENDER_LATER);
		return;
	case WAITS_RECIPIENT:
		ask_cancel(s->worker->asks, s->ticket);
		session_recipient_told(s, RECIPIENT_LATER);
		return;
	case WAITS_AUTH:
		ask_cancel(s->worker->asks, s->ticket);
		session_login_told(s, NULL);
		return;
	case WAITS_COMMIT:
	case IS_CLOSING:
	case IS_LINGERING:
	case IN_HANDSHAKE:
		session_lose(s, s->ending ? s->ending : ENDED_BY_TIMEOUT);
		break;
	default:
		session_say(s, SAY_TIMEOUT, NULL, 0);	/* RFC 5321 4.5.3.2.7 */
		s->has_moved = true;
	}
	session_settle(s);
}

void session_shut_down(struct session *s)
{
	if (s->state & (WAITS_RECIPIENT | WAITS_AUTH)) {
		ask_cancel(s->worker->asks, s->ticket);
		s->state = s->state == WAITS_AUTH ? AT_HELLO : s->state_after;
	}
	sender_cancel(s->sender);
	s->sender = NULL;
	session_settle(s);
}
