/* How a session begins: limits, the client's host name, the banner. See session.h. */
#include "session.h"

#include "hostname.h"
#include "policy.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_WAIT_MS = 5000 };		/* for the client's host name, before it is greeted without */

/* ---- the banner ---- */

uint64_t session_greet_delay_ms(const struct session *s)
{
	return s->is_trusted ? 0 : (uint64_t)s->worker->conf->greet_delay_seconds * 1000;
}

/* Till the delay is over, and then for the host name. */
uint64_t session_greeting_wait_ms(const struct session *s)
{
	uint64_t delay = session_greet_delay_ms(s), waited = loop_now_ms(s->worker->loop) - s->started_ms;

	if (waited < delay)
		return delay - waited;
	return s->lookup && waited < NAME_WAIT_MS ? NAME_WAIT_MS - waited : 0;
}

/* RFC 5321 4.3.1: the client waits for the greeting. Who does not is no mail host, or carries another
 * protocol's request; our own clients are scripts at times. */
static bool session_spoke_early(const struct session *s)
{
	return s->listener == LISTENER_SMTP && !s->is_trusted && stream_has_input(&s->stream);
}

/* When nothing is left to wait for. Judged here, since a host name is more particular than a network. */
void session_greet(struct session *s)
{
	hostname_cancel(s->lookup);
	s->lookup = NULL;
	enum reply reply = policy_client(s);
	if (reply == SAY_GREETING && session_spoke_early(s))
		reply = SAY_EARLY_TALKER;
	if (reply == SAY_GREETING)
		session_words(s, "%s ESMTP dawk", s->worker->conf->hostname);
	s->state = AT_START;
	s->has_moved = true;
	session_say(s, reply, NULL, 0);
}

static void session_named(struct session *s, const char *name)
{
	s->lookup = NULL;
	s->client_name = name ? strdup(name) : NULL;
	if (s->state == AT_GREETING && session_greeting_wait_ms(s) == 0) {
		session_greet(s);
		session_resume(s);
	} else {
		session_settle(s);
	}
}

void session_await_greeting(struct session *s)
{
	s->state = AT_GREETING;
	s->has_moved = true;
	if (session_greeting_wait_ms(s) == 0)
		session_greet(s);
}

/* ---- a connection comes ---- */

/* Sorts with others of its time by nothing: it only has to be unlike them. splitmix64 over a counter. */
static void session_make_id(struct session *s)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
	uint64_t x = s->worker->session_seed += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	x ^= x >> 31;
	for (int i = 0; i < SESSION_ID_LENGTH; i++, x >>= 5)
		s->id[i] = digits[x & 31];
}

/* Loopback, relay-networks and root have no limit of connections. */
static bool session_is_over_limit(struct session *s)
{
	struct limits *limits = s->worker->opening->limits;

	if (s->listener == LISTENER_LOCAL ? s->uid == 0 : s->is_trusted || ip_is_loopback(&s->ip))
		return false;
	s->limits_key = s->listener == LISTENER_LOCAL ? limits_key_of_uid(limits, s->uid) : limits_key_of_address(limits, &s->ip);
	if (limits_count(limits, s->limits_key) >= s->worker->conf->client_limit)
		return true;
	limits_add(limits, s->worker->index, s->limits_key);
	s->is_counted = true;
	return false;
}

static void session_link(struct session *s)
{
	s->link = &s->worker->sessions;
	s->next = s->worker->sessions;
	if (s->next)
		s->next->link = &s->next;
	s->worker->sessions = s;
	s->worker->session_count++;
}

/* Who opens too many gets no handshake: an answer would cost more than the rest of the session. */
static void session_refuse(struct session *s)
{
	if (s->listener != LISTENER_SUBMISSIONS) {
		session_say(s, SAY_TOO_MANY_CONNECTIONS, NULL, 0);
		return;
	}
	session_log_refusal(s, SAY_TOO_MANY_CONNECTIONS, NULL, 0);
	session_lose(s, ENDED_BY_US);
}

static void session_welcome(struct session *s)
{
	s->is_trusted = policy_trusts(s);
	s->state = AT_GREETING;
	s->has_moved = true;
	if (session_is_over_limit(s)) {
		session_refuse(s);
		return;
	}
	if (!s->is_trusted && s->listener != LISTENER_LOCAL && worker_wants_names(s->worker->conf, &s->ip))
		s->lookup = hostname_ask(&s->worker->dns, &s->ip, s, session_named);
	if (s->listener == LISTENER_SUBMISSIONS)
		session_begin_tls(s);
	else
		session_await_greeting(s);
}

void session_start(struct worker *worker, int fd, enum listener_kind listener, const struct address_ip *ip, uint32_t uid)
{
	struct session *s = calloc(1, sizeof *s);
	struct why why;

	if (!s || stream_open(&s->stream, worker->loop, fd, session_ready, &why) != RESULT_OK) {
		if (!s)
			close(fd);
		free(s);
		return;
	}
	s->worker = worker;
	s->ip = *ip;
	s->uid = uid;
	s->listener = (uint8_t)listener;
	s->started_ms = loop_now_ms(worker->loop);
	session_make_id(s);
	session_link(s);
	session_welcome(s);
	session_settle(s);
}
