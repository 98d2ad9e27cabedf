#include "auth.h"

#include "ask.h"
#include "command.h"
#include "common/tls_stream.h"
#include <stdio.h>
#include <string.h>

static const char verb[] = "AUTH";

/* Of the session at hand; wiped as soon as it is in the pipe. */
static char response[SASL_MESSAGE_MAX];

static bool is_auth_listener(const struct session *s)
{
	static const uint32_t listeners[] = {
		[LISTENER_SMTP] = LISTEN_SMTP, [LISTENER_SUBMISSION] = LISTEN_SUBMISSION,
		[LISTENER_SUBMISSIONS] = LISTEN_SUBMISSIONS, [LISTENER_LOCAL] = 0,
	};

	return s->worker->conf->auth_listeners & listeners[s->listener];
}

/* RFC 9266; OUT: TLS_BINDING_SIZE bytes. Returns how many there are. */
static size_t binding_of(const struct session *s, unsigned char *out)
{
	return session_has_tls(s) && tls_binding(tls_stream_session(&s->stream), out, NULL) == RESULT_OK ? TLS_BINDING_SIZE : 0;
}

const char *auth_offer(const struct session *s, char *out)
{
	static const char plus[] = "-PLUS";
	unsigned char binding[TLS_BINDING_SIZE];
	const char *at = asks_mechanisms(s->worker->asks), *end = at + strlen(at), *word;
	size_t length, used = 0;

	*out = '\0';
	if (!is_auth_listener(s) || !session_has_tls(s))
		return out;
	bool is_bound = binding_of(s, binding) > 0;
	while (text_next_word(&at, end, &word, &length)) {
		bool needs_binding = length > strlen(plus) && !memcmp(word + length - strlen(plus), plus, strlen(plus));
		if (is_bound || !needs_binding)
			used += (size_t)snprintf(out + used, AUTH_OFFER_MAX - used, "%s %.*s", used ? "" : verb, (int)length, word);
	}
	if (used > 0 && used + 1 < AUTH_OFFER_MAX)
		memcpy(out + used, "\n", 2);
	return out;
}

/* RFC 4422 3.1 */
static bool is_mechanism(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", name[i], 64))
			return false;
	return length > 0 && length <= 20;
}

/* Sends the question of TYPE; the answer comes by session_login_told. */
static enum reply auth_ask(struct session *s, enum wire_type type, struct wire_value *values, size_t length)
{
	enum result result = ask_login(s->worker->asks, s, type, values, &s->ticket);

	explicit_bzero(response, length);
	s->exchange = 0;
	s->state = AT_HELLO;
	if (result == RESULT_NEVER)
		return SAY_AUTH_MALFORMED;
	if (result != RESULT_OK)
		return SAY_AUTH_LATER;
	s->state = WAITS_AUTH;
	return SAY_NOTHING;
}

static enum reply auth_begin(struct session *s, const char *mechanism, size_t mechanism_length, bool has_response, size_t length)
{
	unsigned char binding[TLS_BINDING_SIZE];
	char client[NETWORK_TEXT_MAX];
	struct wire_value values[LOGIN_ASK_FIELDS] = {
		[LOGIN_ASK_PURPOSE] = WIRE_NUMBER(LOGIN_FOR_SUBMISSION),
		[LOGIN_ASK_FLAGS] = WIRE_NUMBER(LOGIN_IS_TLS | (has_response ? LOGIN_HAS_RESPONSE : 0)),
		[LOGIN_ASK_MECHANISM] = WIRE_BYTES(mechanism, mechanism_length),
		[LOGIN_ASK_CLIENT] = WIRE_STRING(ip_text(&s->ip, client)), [LOGIN_ASK_SESSION] = WIRE_STRING(s->id),
		[LOGIN_ASK_BINDING] = WIRE_BYTES((const char *)binding, binding_of(s, binding)),
		[LOGIN_ASK_RESPONSE] = WIRE_BYTES(response, length),
	};

	return auth_ask(s, FRAME_LOGIN_ASK, values, length);
}

/* RFC 4954 4: when it may not come at all. SAY_OK: it may. */
static enum reply auth_judge(struct session *s)
{
	s->has_tried_auth = true;
	if (!is_auth_listener(s))
		return SAY_AUTH_NOT_HERE;
	if (!session_has_tls(s))
		return SAY_AUTH_NEEDS_TLS;
	if (s->is_authenticated || !s->is_extended) {
		session_words(s, s->is_authenticated ? "you have logged in already" : "say EHLO first");
		return SAY_NOT_NOW;
	}
	return SAY_OK;
}

enum reply auth(struct session *s, const char *arg, size_t length)	/* RFC 4954 4 */
{
	const char *at = arg, *end = arg + length, *mechanism, *initial = NULL, *more;
	size_t mechanism_length, initial_length = 0, more_length, count = 0;
	enum reply reply = auth_judge(s);

	if (reply != SAY_OK)
		return reply;
	if (!text_next_word(&at, end, &mechanism, &mechanism_length) || !is_mechanism(mechanism, mechanism_length))
		return SAY_AUTH_SYNTAX;
	bool has_response = text_next_word(&at, end, &initial, &initial_length);
	if (text_next_word(&at, end, &more, &more_length))
		return SAY_AUTH_SYNTAX;
	bool is_empty = initial_length == 1 && *initial == '=';
	if (has_response && !is_empty && !base64_decode(initial, initial_length, response, sizeof response, &count))
		return SAY_AUTH_NO_BASE64;
	return auth_begin(s, mechanism, mechanism_length, has_response, count);
}

enum reply auth_answer(struct session *s, const char *line, size_t length)
{
	struct wire_value values[LOGIN_NEXT_FIELDS] = { [LOGIN_NEXT_EXCHANGE] = WIRE_NUMBER(s->exchange) };
	size_t count;

	if (length == 1 && *line == '*') {
		auth_drop(s);
		return SAY_AUTH_CANCELLED;
	}
	if (!base64_decode(line, length, response, sizeof response, &count)) {
		auth_drop(s);
		return SAY_AUTH_NO_BASE64;
	}
	values[LOGIN_NEXT_FLAGS] = (struct wire_value)WIRE_NUMBER(LOGIN_HAS_RESPONSE);
	values[LOGIN_NEXT_RESPONSE] = (struct wire_value)WIRE_BYTES(response, count);
	return auth_ask(s, FRAME_LOGIN_NEXT, values, count);
}

void auth_drop(struct session *s)
{
	ask_drop_login(s->worker->asks, s->exchange);
	s->exchange = 0;
	if (s->state == AT_AUTH)
		s->state = AT_HELLO;
}

bool auth_is_command(const char *line, size_t length)
{
	size_t verb_length = strlen(verb);

	return length >= verb_length && text_equal_folded(line, verb_length, verb, verb_length) &&
	       (length == verb_length || strchr(" \t\r\n", line[verb_length]));
}

/* A client that did not wait for the answer to AUTH sends its password where a command is awaited. */
size_t auth_shown_length(const struct session *s, const char *line, size_t length)
{
	const char *at = line, *word;
	size_t word_length;

	if (!auth_is_command(line, length))
		return s->state == AT_AUTH || (s->has_tried_auth && !strcmp(command_name(line, length), "?")) ? 0 : length;
	text_next_word(&at, line + length, &word, &word_length);
	if (text_next_word(&at, line + length, &word, &word_length) && is_mechanism(word, word_length))
		return (size_t)(word + word_length - line);
	return strlen(verb);
}
