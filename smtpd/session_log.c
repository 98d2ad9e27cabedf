#include "command.h"
#include "common/log.h"
#include "common/tls_stream.h"

#include <string.h>

static const char *const endings[] = {
	[ENDED_BY_CLIENT] = "closed-by-client", [ENDED_BY_QUIT] = "quit", [ENDED_BY_US] = "hung-up",
	[ENDED_BY_TIMEOUT] = "timeout", [ENDED_BY_ERROR] = "error",
};

static void log_who(struct log_line *line, const struct session *s)
{
	char ip[NETWORK_TEXT_MAX];

	log_text(line, "session", s->id);
	log_text(line, "client", ip_text(&s->ip, ip));
	log_text(line, "name", s->client_name);
	log_text(line, "user", s->user);
	if (s->listener == LISTENER_LOCAL)
		log_number(line, "uid", s->uid);
}

/* The first ones of a session; the count of all stands in its last line. */
void session_log_refusal(struct session *s, enum reply reply, const char *line, size_t length)
{
	struct log_line out;

	if (s->refusals < UINT16_MAX)
		s->refusals++;
	if (s->refusals > SESSION_REFUSALS_LOGGED)
		return;
	log_start(&out, "refused");
	log_who(&out, s);
	log_number(&out, "code", (uint64_t)reply_code(reply));
	log_text(&out, "status", reply_enhanced(reply));
	if (line)
		log_bytes(&out, "command", line, length < 200 ? length : 200);
	if (s->transaction)
		log_text(&out, "from", s->transaction->mail.from.text);
	log_end(&out);
}

void session_log_end(const struct session *s)
{
	struct log_line line;

	log_start(&line, "session-end");
	log_who(&line, s);
	log_text(&line, "helo", s->helo);
	if (session_has_tls(s))
		tls_log(tls_stream_session(&s->stream), &line);
	log_text(&line, "how", endings[s->ending]);
	log_number(&line, "commands", s->commands);
	log_number(&line, "messages", s->messages);
	log_number(&line, "recipients", s->recipients);
	log_number(&line, "bytes", s->bytes);
	log_number(&line, "refusals", s->refusals);
	log_number(&line, "errors", s->errors);
	log_seconds(&line, "seconds", loop_now_ms(s->worker->loop) - s->started_ms);
	log_end(&line);
}
