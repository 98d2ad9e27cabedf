/* The commands before login: RFC 1939 4 and 7, RFC 2449, RFC 5034, RFC 6856. */
#include "pop3d/session.h"
#include "common/base64.h"
#include "common/text.h"
#include "common/tls_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char say_no_clear[] = "-ERR passwords are not taken without TLS from your address\r\n";
static const char say_later[] = "-ERR [SYS/TEMP] unable to log in now, try again later\r\n";
static const char say_bad_base64[] = "-ERR this is not base64\r\n";
static const char say_too_long[] = "-ERR a name or password is empty, too long, or has a character that can't be\r\n";

const char *authorization_error(struct connection *c, const char *answer)
{
	c->errors++;
	return answer;
}

static const char *remember_name(struct connection *c, const char *name)
{
	free(c->name);
	c->name = strdup(name);
	return c->name ? NULL : say_later;
}

/* The response is in worker.response. NULL: authd was asked. */
static const char *ask(struct connection *c, const char *mechanism, size_t mechanism_length, const char *binding,
                       size_t binding_length, bool has_response, size_t length)
{
	char client[NETWORK_TEXT_MAX];
	uint64_t flags = (has_response ? LOGIN_HAS_RESPONSE : 0) | (c->client.layer ? LOGIN_IS_TLS : 0);
	const struct wire_value values[LOGIN_ASK_FIELDS] = {
		[LOGIN_ASK_SERIAL] = WIRE_NUMBER(++worker.last_serial), [LOGIN_ASK_PURPOSE] = WIRE_NUMBER(LOGIN_FOR_POP3),
		[LOGIN_ASK_FLAGS] = WIRE_NUMBER(flags), [LOGIN_ASK_MECHANISM] = WIRE_BYTES(mechanism, mechanism_length),
		[LOGIN_ASK_CLIENT] = WIRE_STRING(ip_text(&c->ip, client)), [LOGIN_ASK_SESSION] = WIRE_STRING(c->id),
		[LOGIN_ASK_BINDING] = WIRE_BYTES(binding, binding_length), [LOGIN_ASK_RESPONSE] = WIRE_BYTES(worker.response, length),
	};
	enum result result = channel_send(&worker.authd, FRAME_LOGIN_ASK, values, -1, NULL);

	explicit_bzero(worker.response, length);
	if (result != RESULT_OK)
		return result == RESULT_NEVER ? authorization_error(c, say_too_long) : say_later;
	c->serial = worker.last_serial;
	c->state = AT_LOGIN;
	return NULL;
}

/* To the challenge of c->exchange. */
static const char *answer_challenge(struct connection *c, size_t length)
{
	const struct wire_value values[LOGIN_NEXT_FIELDS] = {
		[LOGIN_NEXT_SERIAL] = WIRE_NUMBER(++worker.last_serial), [LOGIN_NEXT_EXCHANGE] = WIRE_NUMBER(c->exchange),
		[LOGIN_NEXT_FLAGS] = WIRE_NUMBER(LOGIN_HAS_RESPONSE), [LOGIN_NEXT_RESPONSE] = WIRE_BYTES(worker.response, length),
	};
	enum result result = channel_send(&worker.authd, FRAME_LOGIN_NEXT, values, -1, NULL);

	explicit_bzero(worker.response, length);
	c->exchange = 0;
	c->state = result == RESULT_OK ? AT_LOGIN : AT_AUTHORIZATION;
	c->serial = worker.last_serial;
	return result == RESULT_OK ? NULL : say_later;
}

void authorization_cancel(struct connection *c)
{
	const struct wire_value values[LOGIN_NEXT_FIELDS] = {
		[LOGIN_NEXT_EXCHANGE] = WIRE_NUMBER(c->exchange), [LOGIN_NEXT_FLAGS] = WIRE_NUMBER(LOGIN_IS_CANCELLED),
	};

	if (c->exchange)
		channel_send(&worker.authd, FRAME_LOGIN_NEXT, values, -1, NULL);
	c->exchange = 0;
}

/* A name and a secret, each behind a NUL where WITH_AUTHZID, the second one in any case (RFC 4616). */
static const char *log_in(struct connection *c, const char *mechanism, bool with_authzid, const char *secret, size_t length, const char *stamp)
{
	size_t name_length = strlen(c->name), used = 0;

	if (name_length + length + 2 > sizeof worker.response)
		return authorization_error(c, say_too_long);
	if (with_authzid)
		worker.response[used++] = '\0';
	memcpy(worker.response + used, c->name, name_length + 1);
	used += name_length + 1;
	memcpy(worker.response + used, secret, length);
	return ask(c, mechanism, strlen(mechanism), stamp, strlen(stamp), true, used + length);
}

static const char *user(struct connection *c, const char *argument, size_t length)	/* RFC 1939 7 */
{
	char name[NAME_MAX_BYTES + 1];

	if (!c->may_log_in)
		return authorization_error(c, say_no_clear);
	while (length && argument[length - 1] == ' ')	/* people at a keyboard */
		length--;
	if (!credential_copy(argument, length, name, sizeof name))
		return authorization_error(c, say_too_long);
	if (remember_name(c, name))
		return say_later;
	return "+OK send PASS\r\n";
}

static const char *pass(struct connection *c, const char *argument, size_t length)	/* RFC 1939 7 */
{
	if (!c->name)
		return authorization_error(c, "-ERR USER first\r\n");
	if (!credential_is_fit(argument, length))
		return authorization_error(c, say_too_long);
	return log_in(c, "USER/PASS", true, argument, length, "");
}

static const char *apop(struct connection *c, const char *argument, size_t length)	/* RFC 1939 7 */
{
	char name[NAME_MAX_BYTES + 1], digest[64], stamp[512];
	const char *blank = memrchr(argument, ' ', length);

	if (!c->has_stamp)
		return authorization_error(c, "-ERR APOP is not offered here\r\n");
	if (!blank || !credential_copy(argument, (size_t)(blank - argument), name, sizeof name) ||
	    !credential_copy(blank + 1, (size_t)(argument + length - blank - 1), digest, sizeof digest))
		return authorization_error(c, "-ERR APOP takes a name and a digest\r\n");
	if (remember_name(c, name))
		return say_later;
	text_lower(digest, strlen(digest));
	snprintf(stamp, sizeof stamp, "<%s@%s>", c->id, worker.conf->hostname);
	return log_in(c, "APOP/MD5", false, digest, strlen(digest), stamp);
}

/* ---- SASL, RFC 5034 ---- */

static const char *sasl_response(struct connection *c, const char *text, size_t length)
{
	size_t count;

	c->state = AT_AUTHORIZATION;
	if (length == 1 && text[0] == '*') {
		authorization_cancel(c);
		return authorization_error(c, "-ERR cancelled\r\n");
	}
	if (base64_decode(text, length, worker.response, sizeof worker.response, &count))
		return answer_challenge(c, count);
	authorization_cancel(c);
	return authorization_error(c, say_bad_base64);
}

/* RFC 4422 3.1 */
static bool is_mechanism(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", name[i]) || !name[i])
			return false;
	return length > 0 && length <= 20;
}

/* What ties a login to this connection: RFC 9266. OUT: TLS_BINDING_SIZE bytes. Returns how many there are. */
static size_t binding_of(const struct connection *c, unsigned char *out)
{
	bool is_bound = c->client.layer && tls_binding(tls_stream_session(&c->client), out, NULL) == RESULT_OK;

	return is_bound ? TLS_BINDING_SIZE : 0;
}

/* The names on offer, each between BEFORE and AFTER, into OUT. */
static void put_mechanisms(const struct connection *c, const char *before, const char *after, char *out, size_t size)
{
	unsigned char binding[TLS_BINDING_SIZE];
	const char *at = worker.mechanisms, *end = at + strlen(at), *word;
	bool is_bound = binding_of(c, binding) > 0;
	size_t length, used = 0;

	*out = '\0';
	while (c->may_log_in && text_next_word(&at, end, &word, &length)) {
		if (!is_bound && length > 5 && !memcmp(word + length - 5, "-PLUS", 5))
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%.*s%s", before, (int)length, word, after);
		if (used >= size)
			return;
	}
}

static const char *auth(struct connection *c, const char *argument, size_t length)
{
	static char list[WORKER_MECHANISMS_MAX * 3];
	unsigned char binding[TLS_BINDING_SIZE];
	size_t name_length, text_length, count = 0;
	const char *text;

	if (!length) {
		char names[WORKER_MECHANISMS_MAX * 2];
		put_mechanisms(c, "", "\r\n", names, sizeof names);
		snprintf(list, sizeof list, "+OK\r\n%s.\r\n", names);
		return list;
	}
	line_split(argument, length, &name_length, &text, &text_length);
	if (!is_mechanism(argument, name_length))
		return authorization_error(c, "-ERR this mechanism is not offered\r\n");
	if (!c->may_log_in)
		return authorization_error(c, say_no_clear);
	bool is_empty = text_length == 1 && *text == '=';	/* RFC 5034 4 */
	if (!is_empty && !base64_decode(text, text_length, worker.response, sizeof worker.response, &count))
		return authorization_error(c, say_bad_base64);
	return ask(c, argument, name_length, (const char *)binding, binding_of(c, binding), text_length > 0, count);
}

/* ---- the others ---- */

static const char *capa(struct connection *c, const char *argument, size_t length)	/* RFC 2449 5 */
{
	static char answer[512 + WORKER_MECHANISMS_MAX * 2];
	char names[WORKER_MECHANISMS_MAX * 2], sasl[WORKER_MECHANISMS_MAX * 2 + 32] = "";

	(void)argument;
	(void)length;
	put_mechanisms(c, " ", "", names, sizeof names);
	if (c->may_log_in)
		snprintf(sasl, sizeof sasl, *names ? "USER\r\nSASL%s\r\n" : "USER\r\n", names);
	snprintf(answer, sizeof answer,
	         "+OK\r\nTOP\r\nUIDL\r\n%s%sRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8%s\r\nLANG\r\n"
	         "IMPLEMENTATION dawk\r\n.\r\n", sasl,
	         connection_offers_tls(c) ? "STLS\r\n" : "", c->may_log_in ? " USER" : "");
	return answer;
}

/* The answer is the last byte in clear: what stands behind the command, by whomever, is never run. */
static const char *stls(struct connection *c, const char *argument, size_t length)	/* RFC 2595 4 */
{
	(void)argument;
	if (length)
		return authorization_error(c, "-ERR STLS takes no argument\r\n");
	if (c->client.layer)
		return authorization_error(c, "-ERR TLS is on already\r\n");
	if (!connection_offers_tls(c))
		return authorization_error(c, "-ERR TLS is not offered here\r\n");
	if (c->is_pipelined) {
		c->is_quitting = true;
		c->end = "errors";
		return authorization_error(c, "-ERR wait for the answer to STLS\r\n");
	}
	if (!tls_keys_answer())
		return "-ERR [SYS/TEMP] TLS is not available now\r\n";	/* RFC 3206 4 */
	c->state = AT_STLS;
	return "+OK begin TLS\r\n";
}

static const char *utf8(struct connection *c, const char *argument, size_t length)	/* RFC 6856 2 */
{
	(void)c;
	(void)argument;
	(void)length;
	return "+OK messages go out as they are\r\n";
}

static const char *lang(struct connection *c, const char *argument, size_t length)	/* RFC 6856 3 */
{
	(void)c;
	if (!length)
		return "+OK\r\nen English\r\n.\r\n";
	if (text_equal_folded(argument, length, "en", 2) || text_equal_folded(argument, length, "*", 1))
		return "+OK en English\r\n";
	return "-ERR this language is not spoken here\r\n";
}

static const char *noop(struct connection *c, const char *argument, size_t length)
{
	(void)c;
	(void)argument;
	(void)length;
	return "+OK\r\n";
}

static const char *quit(struct connection *c, const char *argument, size_t length)	/* RFC 1939 4 */
{
	(void)argument;
	(void)length;
	c->is_quitting = true;
	c->end = "quit";
	return "+OK bye\r\n";
}

static const struct {
	const char *verb;
	const char *(*run)(struct connection *, const char *, size_t);
} commands[] = {
	{ "USER", user },
	{ "PASS", pass },
	{ "APOP", apop },
	{ "AUTH", auth },
	{ "CAPA", capa },
	{ "STLS", stls },
	{ "UTF8", utf8 },
	{ "LANG", lang },
	{ "NOOP", noop },
	{ "QUIT", quit },
};

const char *authorization_line(struct connection *c, const char *line, size_t length)
{
	size_t verb_length, argument_length;
	const char *argument;

	if (c->state != AT_AUTHORIZATION)
		return sasl_response(c, line, length);
	line_split(line, length, &verb_length, &argument, &argument_length);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (text_equal_folded(line, verb_length, commands[i].verb, strlen(commands[i].verb)))
			return commands[i].run(c, argument, argument_length);
	return authorization_error(c, "-ERR log in first, or say QUIT\r\n");
}
