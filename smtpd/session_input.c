#include "auth.h"
#include "command.h"
#include "submission.h"

#include <string.h>

static bool takes_bare_newline(const struct session *s)
{
	return s->is_trusted || s->worker->conf->bare_newline == BARE_NEWLINE_NORMALIZE;
}

/* ---- content ---- */

static void session_end_content(struct session *s)
{
	struct transaction_client client = session_client(s);
	enum reply reply = s->transaction->refused;

	if (reply == SAY_NOTHING)
		reply = submission_content(s);
	if (reply == SAY_NOTHING)
		reply = transaction_finish(s->transaction, &client);
	if (reply == SAY_NOTHING) {
		s->state = WAITS_COMMIT;
		return;
	}
	submission_note_refusal(s, reply);
	session_reset(s);
	session_say(s, reply, NULL, 0);
}

static void session_end_chunk(struct session *s)
{
	struct transaction *t = s->transaction;

	if (s->chunk_refusal != SAY_NOTHING) {
		s->state = s->state_after;
		session_words(s, "BDAT has no place here");
		session_say(s, s->chunk_refusal, NULL, 0);
	} else if (s->chunk_is_last) {
		session_end_content(s);
	} else if (t->refused != SAY_NOTHING) {
		enum reply reply = t->refused;
		session_reset(s);
		session_say(s, reply, NULL, 0);
	} else {
		s->state = AT_CHUNK;
		session_words(s, "%llu", (unsigned long long)t->chunk_bytes);
		session_say(s, SAY_CHUNK_OK, NULL, 0);
	}
}

static size_t session_take_data(struct session *s, const char *bytes, size_t length)
{
	struct transaction_client client = session_client(s);
	size_t used;
	enum result result = transaction_feed_data(s->transaction, &client, bytes, length, &used);

	s->bytes += used;
	if (result == RESULT_END)
		session_end_content(s);
	return used;
}

static size_t session_take_chunk(struct session *s, const char *bytes, size_t length)
{
	struct transaction_client client = session_client(s);

	if (length > s->chunk_left)
		length = (size_t)s->chunk_left;
	if (s->chunk_refusal == SAY_NOTHING)
		transaction_feed_chunk(s->transaction, &client, bytes, length);
	s->bytes += length;
	s->chunk_left -= length;
	if (s->chunk_left == 0)
		session_end_chunk(s);
	return length;
}

/* ---- lines ---- */

static void session_run_line(struct session *s, const char *line, size_t length)
{
	enum reply reply = SAY_BARE_NEWLINE_LINE;
	bool is_whole = length > 0 && line[length - 1] == '\r';

	s->commands++;
	length -= is_whole;
	size_t shown = auth_shown_length(s, line, length);
	if (!is_whole && !takes_bare_newline(s))
		auth_drop(s);
	else
		reply = s->state == AT_AUTH ? auth_answer(s, line, length) : command_run(s, line, length);
	session_say(s, reply, shown > 0 ? line : NULL, shown);
	if (s->state == IN_CHUNK && s->chunk_left == 0)
		session_end_chunk(s);
}

/* 0: the line is not whole yet. A line that is too long is dropped as it comes. */
static size_t session_take_line(struct session *s, const char *bytes, size_t length)
{
	const char *lf = memchr(bytes, '\n', length);
	size_t line = lf ? (size_t)(lf - bytes) : length;
	bool is_login = s->state == AT_AUTH || (!s->is_discarding && auth_is_command(bytes, line));
	bool is_too_long = s->is_discarding || line > (is_login ? AUTH_LINE_MAX : COMMAND_LINE_MAX);

	if (!lf) {
		s->is_discarding = is_too_long;
		return is_too_long ? length : 0;
	}
	s->has_moved = true;
	s->is_discarding = false;
	s->is_pipelined = line + 1 < length;
	if (is_too_long) {
		auth_drop(s);
		session_say(s, is_login ? SAY_AUTH_LINE_TOO_LONG : SAY_LINE_TOO_LONG, NULL, 0);
	} else {
		session_run_line(s, bytes, line);
	}
	return line + 1;
}

size_t session_consume(struct session *s, const char *bytes, size_t length)
{
	size_t at = 0, used = 1;

	while (at < length && used > 0 && !s->is_lost) {
		switch (s->state) {
		case IN_DATA:
			s->has_moved = true;
			used = session_take_data(s, bytes + at, length - at);
			break;
		case IN_CHUNK:
			s->has_moved = true;
			used = session_take_chunk(s, bytes + at, length - at);
			break;
		case AT_GREETING:
		case STARTS_TLS:
		case WAITS_SENDER:
		case WAITS_RECIPIENT:
		case WAITS_AUTH:
		case WAITS_COMMIT:
			return at;
		case IS_CLOSING:
		case IS_LINGERING:
			return length;
		default:
			used = session_take_line(s, bytes + at, length - at);
		}
		at += used;
	}
	return at;
}
