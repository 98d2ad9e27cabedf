#include "command.h"

#include "auth.h"
#include "policy.h"
#include "submission.h"
#include "verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ANYWHERE = AT_START | AT_HELLO | AT_MAIL | AT_RCPT | AT_CHUNK,
	AFTER_HELLO = AT_HELLO | AT_MAIL | AT_RCPT | AT_CHUNK,
};

/* ---- HELO, EHLO: RFC 5321 4.1.1.1 ---- */

static enum reply hello(struct session *s, const char *arg, size_t length, bool is_extended)
{
	const char *at = arg, *name;
	size_t name_length;

	if (!text_next_word(&at, arg + length, &name, &name_length))
		return SAY_HELO_NEEDS_NAME;
	if (name_length > ADDRESS_DOMAIN_MAX || !session_set_helo(s, name, name_length))
		return SAY_HELO_NEEDS_NAME;
	enum reply reply = policy_helo(s, s->helo);
	if (reply != SAY_HELO)
		return reply;
	session_reset(s);
	s->is_extended = is_extended;
	s->state = AT_HELLO;
	return SAY_HELO;
}

static enum reply helo(struct session *s, const char *arg, size_t length)
{
	enum reply reply = hello(s, arg, length, false);

	if (reply == SAY_HELO)
		session_words(s, "%s", s->worker->conf->hostname);
	return reply;
}

/* RFC 8689 2: only where the message has not been in clear; a socket of this host is as good as TLS. */
static bool may_require_tls(const struct session *s)
{
	return session_has_tls(s) || s->listener == LISTENER_LOCAL;
}

/* What is on offer: RFC 2920, 1870, 6152, 2034, 3030 (without BINARYMIME), 6531, 3461, 9422, 4954, 3207, 8689. */
static enum reply ehlo(struct session *s, const char *arg, size_t length)
{
	const struct configuration *conf = s->worker->conf;
	enum reply reply = hello(s, arg, length, true);
	char logins[AUTH_OFFER_MAX];

	if (reply == SAY_HELO)
		session_words(s, "%s\nPIPELINING\nSIZE %llu\n8BITMIME\nENHANCEDSTATUSCODES\nCHUNKING\nSMTPUTF8\nDSN\n"
		              "LIMITS MAILMAX=%d RCPTMAX=%u\n%s%s%s%sHELP", conf->hostname,
		              (unsigned long long)conf->message_size_limit_bytes, SESSION_MESSAGES_MAX, conf->recipient_limit,
		              auth_offer(s, logins), session_offers_tls(s) ? "STARTTLS\n" : "",
		              may_require_tls(s) ? "REQUIRETLS\n" : "", verify_may_expand(s) ? "EXPN\n" : "");	/* RFC 5321 3.5.2 */
	return reply;
}

/* The answer is the last byte in clear. What a client, or somebody on the way to it, sends behind the command without
 * waiting is never run: the session ends. */
static enum reply starttls(struct session *s, const char *arg, size_t length)	/* RFC 3207 4 */
{
	(void)arg;
	if (length > 0) {
		session_words(s, "STARTTLS takes no argument");
		return SAY_SYNTAX;
	}
	if (session_has_tls(s)) {
		session_words(s, "TLS is on already");
		return SAY_NOT_NOW;
	}
	if (!session_offers_tls(s))
		return s->listener == LISTENER_LOCAL ? SAY_UNKNOWN_COMMAND : SAY_NO_TLS;
	if (s->is_pipelined)
		return SAY_TLS_TOO_EARLY;	/* RFC 3207 4.1: it ends a group, and nobody may begin before the answer */
	if (!tls_keys_answer())
		return SAY_NO_TLS;
	s->state = STARTS_TLS;
	return SAY_START_TLS;
}

/* ---- a transaction ---- */

static enum reply mail(struct session *s, const char *arg, size_t length)	/* RFC 5321 4.1.1.2 */
{
	struct mail_parameters parameters;
	struct why words = { .errno_value = 0 };

	if (session_is_submission(s) && !s->is_authenticated)
		return SAY_NEEDS_LOGIN;		/* RFC 6409 4.3 */
	if (s->messages >= SESSION_MESSAGES_MAX)
		return SAY_TOO_MANY_MESSAGES;	/* RFC 9422 4.1 */
	enum reply reply = parameters_of_mail(arg, length, &parameters, &words);
	session_words(s, "%s", words.text);
	if (reply != SAY_OK)
		return reply;
	if (parameters.requires_tls && !may_require_tls(s)) {
		session_words(s, "REQUIRETLS needs TLS");
		return SAY_PARAMETER_UNKNOWN;
	}
	if (parameters.size_bytes > s->worker->conf->message_size_limit_bytes)
		return SAY_TOO_BIG;		/* RFC 1870 6.1 */
	reply = submission_mail(s, &parameters.from);
	if (reply == SAY_SENDER_OK)
		reply = policy_sender(s, &parameters.from);
	if (reply != SAY_SENDER_OK && reply != SAY_NOTHING)
		return reply;
	s->transaction = transaction_make(s->worker, s, &parameters);
	if (!s->transaction)
		return SAY_NO_MEMORY;
	if (s->user || s->listener == LISTENER_LOCAL)
		s->transaction->author = calloc(1, sizeof *s->transaction->author);
	s->transaction->is_normalizing = s->is_trusted || s->worker->conf->bare_newline == BARE_NEWLINE_NORMALIZE;
	if (reply == SAY_NOTHING)
		return session_ask_sender(s);
	s->state = AT_MAIL;
	return SAY_SENDER_OK;
}

static enum reply rcpt(struct session *s, const char *arg, size_t length)	/* RFC 5321 4.1.1.3 */
{
	struct rcpt_parameters parameters;
	struct why words = { .errno_value = 0 };
	struct transaction *t = s->transaction;

	t->attempted_count++;
	if (t->accepted_count >= s->worker->conf->recipient_limit)
		return SAY_TOO_MANY_RECIPIENTS;	/* RFC 5321 4.5.3.1.10 */
	enum reply reply = parameters_of_rcpt(arg, length, t->mail.smtputf8, &parameters, &words);
	session_words(s, "%s", words.text);
	if (reply != SAY_OK)
		return reply;
	reply = policy_recipient(s, &parameters);
	if (reply == SAY_NOTHING) {
		s->state_after = s->state;
		s->state = WAITS_RECIPIENT;
		return SAY_NOTHING;
	}
	if (reply == SAY_RECIPIENT_OK)
		reply = submission_recipient(s, &parameters.to);
	if (reply == SAY_RECIPIENT_OK)
		reply = transaction_add_recipient(t, &parameters);
	if (reply == SAY_RECIPIENT_OK)
		s->state = AT_RCPT;
	return reply;
}

/* A client that sends its message without waiting, after a DATA that failed, would have the message run
 * as commands: hang up instead. */
static enum reply refuse_data(struct session *s, enum reply reply)
{
	if (s->is_pipelined)
		s->must_close = true;
	return reply;
}

static enum reply data(struct session *s, const char *arg, size_t length)	/* RFC 5321 4.1.1.4 */
{
	(void)arg;
	if (length > 0) {
		session_words(s, "DATA takes no argument");
		return refuse_data(s, SAY_SYNTAX);
	}
	if (s->transaction->accepted_count == 0)
		return refuse_data(s, SAY_NO_VALID_RECIPIENT);
	transaction_begin_content(s->transaction);
	s->state = IN_DATA;
	return SAY_GO_AHEAD;
}

/* "SIZE [LAST]", RFC 3030 2. */
static bool bdat_parse(const char *arg, size_t length, uint64_t *size, bool *is_last)
{
	const char *at = arg, *end = arg + length, *word;
	size_t word_length;

	if (!text_next_word(&at, end, &word, &word_length) || !text_to_number(word, word_length, size))
		return false;
	*is_last = text_next_word(&at, end, &word, &word_length);
	if (*is_last && !text_equal_folded(word, word_length, "LAST", 4))
		return false;
	return !text_next_word(&at, end, &word, &word_length);
}

/* A chunk that nobody wants has to be read all the same, or it would run as commands. */
static enum reply bdat(struct session *s, const char *arg, size_t length)	/* RFC 3030 */
{
	struct transaction *t = s->transaction;

	if (!bdat_parse(arg, length, &s->chunk_left, &s->chunk_is_last)) {
		session_words(s, "BDAT SIZE [LAST]");
		return refuse_data(s, SAY_SYNTAX);
	}
	s->state_after = s->state;
	s->chunk_refusal = SAY_NOTHING;
	if (s->state != AT_RCPT && s->state != AT_CHUNK)
		s->chunk_refusal = t && t->attempted_count ? SAY_NO_VALID_RECIPIENT : SAY_NOT_NOW;
	if (s->chunk_refusal != SAY_NOTHING && s->chunk_left > s->worker->conf->message_size_limit_bytes) {
		session_words(s, "BDAT has no place here");
		s->must_close = true;	/* no deadline of a message would end it */
		return s->chunk_refusal;
	}
	if (s->chunk_refusal == SAY_NOTHING && !t->is_chunked) {
		transaction_begin_content(t);
		t->is_chunked = true;
	}
	s->state = IN_CHUNK;
	return SAY_NOTHING;
}

static enum reply rset(struct session *s, const char *arg, size_t length)	/* RFC 5321 4.1.1.5 */
{
	(void)arg, (void)length;
	session_reset(s);
	return SAY_OK;
}

/* ---- the rest ---- */

static enum reply noop(struct session *s, const char *arg, size_t length)
{
	(void)s, (void)arg, (void)length;
	return SAY_OK;
}

static enum reply verb(struct session *s, const char *arg, size_t length)
{
	(void)s, (void)arg, (void)length;
	return SAY_VERB;
}

static enum reply quit(struct session *s, const char *arg, size_t length)
{
	(void)s, (void)arg, (void)length;
	return SAY_BYE;
}

static enum reply http(struct session *s, const char *arg, size_t length)
{
	(void)s, (void)arg, (void)length;
	return SAY_NOT_HTTP;
}

static enum reply help(struct session *s, const char *arg, size_t length);

/* ---- the table ---- */

static const struct command {
	const char *verb;
	int at;				/* session states where it is legal, else 503 */
	const char *otherwise;		/* what the 503 says */
	bool is_idle;			/* brings a message no nearer: too many count as errors */
	enum reply (*run)(struct session *, const char *arg, size_t length);
} commands[] = {
	{ "EHLO", ANYWHERE,         NULL,                      true,  ehlo },
	{ "HELO", ANYWHERE,         NULL,                      true,  helo },
	{ "AUTH", AT_HELLO,         "say EHLO first, and finish what is begun", true, auth },
	{ "STARTTLS", AT_HELLO,     "say EHLO first, and finish what is begun", true, starttls },
	{ "MAIL", AT_HELLO,         "say HELO first, and one MAIL at a time", false, mail },
	{ "RCPT", AT_MAIL | AT_RCPT, "say MAIL first",         false, rcpt },
	{ "DATA", AT_MAIL | AT_RCPT, "say MAIL and RCPT first", false, data },
	{ "BDAT", ANYWHERE,         NULL,                      false, bdat },
	{ "RSET", ANYWHERE,         NULL,                      true,  rset },
	{ "NOOP", ANYWHERE,         NULL,                      true,  noop },
	{ "QUIT", ANYWHERE,         NULL,                      false, quit },
	{ "HELP", ANYWHERE,         NULL,                      true,  help },
	{ "VRFY", ANYWHERE,         NULL,                      true,  vrfy },
	{ "EXPN", ANYWHERE,         NULL,                      true,  expn },
	{ "VERB", ANYWHERE,         NULL,                      true,  verb },
	{ "GET", ANYWHERE,          NULL,                      true,  http },
	{ "POST", ANYWHERE,         NULL,                      true,  http },
	{ "HEAD", ANYWHERE,         NULL,                      true,  http },
	{ "PUT", ANYWHERE,          NULL,                      true,  http },
	{ "DELETE", ANYWHERE,       NULL,                      true,  http },
	{ "OPTIONS", ANYWHERE,      NULL,                      true,  http },
	{ "PATCH", ANYWHERE,        NULL,                      true,  http },
	{ "TRACE", ANYWHERE,        NULL,                      true,  http },
	{ "CONNECT", ANYWHERE,      NULL,                      true,  http },
};

static enum reply help(struct session *s, const char *arg, size_t length)	/* RFC 5321 4.1.1.8 */
{
	char text[256];
	size_t used = 0;

	(void)arg, (void)length;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (commands[i].run != http)
			used += (size_t)snprintf(text + used, sizeof text - used, " %s", commands[i].verb);
	session_words(s, "%s takes mail:%s\nsee smtpd(8) and RFC 5321", s->worker->conf->hostname, text);
	return SAY_HELP;
}

static const struct command *command_find(const char *line, size_t length)
{
	size_t verb = 0;

	while (verb < length && line[verb] != ' ' && line[verb] != '\t')
		verb++;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (text_equal_folded(line, verb, commands[i].verb, strlen(commands[i].verb)))
			return &commands[i];
	return NULL;
}

const char *command_name(const char *line, size_t length)
{
	const struct command *command = command_find(line, length);

	return command ? command->verb : "?";
}

static bool idles_too_long(struct session *s, const struct command *command)
{
	if (!command->is_idle || s->idle_commands >= SESSION_IDLE_COMMANDS_MAX)
		return command->is_idle;
	s->idle_commands++;
	return false;
}

enum reply command_run(struct session *s, const char *line, size_t length)
{
	const struct command *command;

	while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
		length--;			/* RFC 5321 4.1.1: blanks before the line end */
	if (!text_is_printable(line, length))
		return SAY_CONTROL_CHARACTER;
	command = command_find(line, length);
	if (!command)
		return SAY_UNKNOWN_COMMAND;
	if (idles_too_long(s, command))
		s->errors++;
	if (!(command->at & s->state)) {
		session_words(s, "%s", command->otherwise);
		return command->run == data ? refuse_data(s, SAY_NOT_NOW) : SAY_NOT_NOW;
	}
	size_t verb = strlen(command->verb);
	const char *arg = line + verb;
	for (length -= verb; length > 0 && (*arg == ' ' || *arg == '\t'); arg++)
		length--;
	return command->run(s, arg, length);
}
