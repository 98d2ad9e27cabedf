/* TLS in a session: STARTTLS (RFC 3207) and from the first byte (RFC 8314 3.3). See session.h. */
#include "session.h"

#include "common/log.h"
#include "common/tls_stream.h"
#include <stdlib.h>

bool session_offers_tls(const struct session *s)
{
	bool may_start = s->listener == LISTENER_SMTP || s->listener == LISTENER_SUBMISSION;

	return may_start && !s->stream.layer && tls_server_has_certificates(s->worker->tls);	/* RFC 3207 4.2: only once */
}

bool session_has_tls(const struct session *s)
{
	return s->stream.layer && !s->stream.is_shaking;
}

void session_log_tls_failure(const struct session *s, const struct why *why)
{
	char ip[NETWORK_TEXT_MAX];
	struct log_line line;

	log_start(&line, "tls-failed");
	log_text(&line, "session", s->id);
	log_text(&line, "client", ip_text(&s->ip, ip));
	log_text(&line, "name", s->client_name);
	log_why(&line, why);
	log_end(&line);
}

/* What came in clear may be of anybody on the way: nothing that it said counts (RFC 3207 4.2). */
static void session_forget(struct session *s)
{
	session_reset(s);
	free(s->helo);
	s->helo = NULL;
	s->is_extended = s->is_authenticated = false;
	s->idle_commands = 0;
}

static int tls_flags(const struct session *s)
{
	static const uint32_t listeners[] = {
		[LISTENER_SMTP] = LISTEN_SMTP, [LISTENER_SUBMISSION] = LISTEN_SUBMISSION,
		[LISTENER_SUBMISSIONS] = LISTEN_SUBMISSIONS, [LISTENER_LOCAL] = 0,
	};

	return s->worker->conf->tls_tickets & listeners[s->listener] ? 0 : TLS_NO_TICKETS;
}

void session_begin_tls(struct session *s)
{
	struct why why = { .errno_value = 0 };

	session_forget(s);
	s->state = IN_HANDSHAKE;
	s->has_moved = true;
	if (tls_stream_accept(&s->stream, s->worker->tls, tls_flags(s), &why) == RESULT_OK)
		return;
	session_log_tls_failure(s, &why);
	session_lose(s, ENDED_BY_ERROR);
}

void session_secured(struct session *s)
{
	s->has_moved = true;
	if (s->listener == LISTENER_SUBMISSIONS)
		session_await_greeting(s);
	else
		s->state = AT_START;
}
