/* The commands before login: RFC 1939 4 and 7, RFC 2449, RFC 5034, RFC 6856. */
#include "pop3d/session.h"
#include "common/text.h"

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

/* NULL: authd was asked. */
static const char *log_in(struct connection *c, enum login_mechanism mechanism, const char *secret, const char *challenge)
{
	char client[NETWORK_TEXT_MAX];
	const struct wire_value values[LOGIN_ASK_FIELDS] = {
		WIRE_NUMBER(++worker.last_serial), WIRE_NUMBER(mechanism), WIRE_STRING(ip_text(&c->ip, client)),
		WIRE_STRING(c->id), WIRE_STRING(c->name), WIRE_STRING(secret), WIRE_STRING(challenge),
	};

	if (channel_send(&worker.authd, FRAME_LOGIN_ASK, values, -1, NULL) != RESULT_OK)
		return say_later;
	c->serial = worker.last_serial;
	c->state = AT_LOGIN;
	return NULL;
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
	char secret[SECRET_MAX_BYTES + 1];
	const char *answer;

	if (!c->name)
		return authorization_error(c, "-ERR USER first\r\n");
	if (!credential_copy(argument, length, secret, sizeof secret))
		return authorization_error(c, say_too_long);
	answer = log_in(c, LOGIN_PASSWORD, secret, "");
	explicit_bzero(secret, sizeof secret);
	return answer;
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
	return log_in(c, LOGIN_APOP, digest, stamp);
}

/* ---- SASL, RFC 5034 ---- */

static const char *sasl_plain(struct connection *c, const char *response, size_t length)
{
	struct credentials credentials;
	const char *answer;

	c->state = AT_AUTHORIZATION;
	if (!plain_parse(response, length, &credentials))
		return authorization_error(c, "-ERR this is no response of PLAIN\r\n");
	answer = remember_name(c, credentials.name);
	if (!answer)
		answer = log_in(c, LOGIN_PASSWORD, credentials.secret, "");
	explicit_bzero(&credentials, sizeof credentials);
	return answer;
}

static const char *sasl_name(struct connection *c, const char *response, size_t length)
{
	char name[NAME_MAX_BYTES + 1];

	c->state = AT_AUTHORIZATION;
	if (!credential_copy(response, length, name, sizeof name))
		return authorization_error(c, say_too_long);
	if (remember_name(c, name))
		return say_later;
	c->state = AT_SASL_PASSWORD;
	return "+ UGFzc3dvcmQ6\r\n";
}

static const char *sasl_password(struct connection *c, const char *response, size_t length)
{
	char secret[SECRET_MAX_BYTES + 1];
	const char *answer;

	c->state = AT_AUTHORIZATION;
	if (!credential_copy(response, length, secret, sizeof secret))
		return authorization_error(c, say_too_long);
	answer = log_in(c, LOGIN_PASSWORD, secret, "");
	explicit_bzero(secret, sizeof secret);
	return answer;
}

static const struct {
	const char *name;
	unsigned state;
	const char *prompt;	/* without an initial response */
	const char *(*run)(struct connection *, const char *, size_t);
} mechanisms[] = {
	{ "PLAIN", AT_SASL_PLAIN, "+ \r\n", sasl_plain },
	{ "LOGIN", AT_SASL_NAME, "+ VXNlcm5hbWU6\r\n", sasl_name },
	{ "", AT_SASL_PASSWORD, "", sasl_password },
};

static const char *sasl_response(struct connection *c, const char *text, size_t length)
{
	char bytes[LINE_MAX_BYTES];
	size_t count;
	const char *answer = NULL;
	unsigned state = c->state;

	c->state = AT_AUTHORIZATION;
	if (length == 1 && text[0] == '*')
		return authorization_error(c, "-ERR cancelled\r\n");
	if (!base64_decode(text, length, bytes, sizeof bytes, &count))
		return authorization_error(c, say_bad_base64);
	for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
		if (mechanisms[i].state == state)
			answer = mechanisms[i].run(c, bytes, count);
	explicit_bzero(bytes, sizeof bytes);
	return answer;
}

static const char *auth(struct connection *c, const char *argument, size_t length)
{
	size_t name_length, rest_length;
	const char *rest;

	if (!length)
		return c->may_log_in ? "+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n" : "+OK\r\n.\r\n";
	line_split(argument, length, &name_length, &rest, &rest_length);
	for (size_t i = 0; i < 2; i++) {
		if (!text_equal_folded(argument, name_length, mechanisms[i].name, strlen(mechanisms[i].name)))
			continue;
		if (!c->may_log_in)
			return authorization_error(c, say_no_clear);
		c->state = mechanisms[i].state;
		return rest_length ? sasl_response(c, rest, rest_length) : mechanisms[i].prompt;
	}
	return authorization_error(c, "-ERR this mechanism is not offered\r\n");
}

/* ---- the others ---- */

static const char *capa(struct connection *c, const char *argument, size_t length)	/* RFC 2449 5 */
{
	(void)argument;
	(void)length;
	return c->may_log_in ? "+OK\r\nTOP\r\nUIDL\r\nUSER\r\nSASL PLAIN LOGIN\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	                       "PIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\nIMPLEMENTATION dawk\r\n.\r\n"
	                     : "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	                       "PIPELINING\r\nEXPIRE NEVER\r\nUTF8\r\nLANG\r\nIMPLEMENTATION dawk\r\n.\r\n";
}

static const char *stls(struct connection *c, const char *argument, size_t length)	/* RFC 2595 4 */
{
	(void)argument;
	(void)length;
	return authorization_error(c, "-ERR TLS is not offered here\r\n");
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
