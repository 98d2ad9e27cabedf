#include "remoted/login.h"

#include "common/base64.h"
#include "common/log.h"
#include "common/text.h"
#include "remoted/scram.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE_BYTES = 18, USER_MAX = 320, PASSWORD_MAX = 500, RESPONSE_MAX = SCRAM_MESSAGE_MAX };

struct login {
	const struct mechanism *mechanism;
	unsigned step;			/* responses sent */
	char user[USER_MAX + 1], password[PASSWORD_MAX + 1];
	struct scram scram;
	bool is_proved;			/* the host has shown that it knows the password */
};

/* ---- mechanisms: each response, from what the host said; STEP 0 goes along with AUTH ---- */

static enum result respond_plain(struct login *login, const char *challenge, size_t challenge_length,
                                 char out[RESPONSE_MAX], size_t *length, struct why *why)
{
	(void)challenge;
	(void)challenge_length;
	if (login->step)
		return why_set(why, RESULT_PEER, "it wants to hear more than PLAIN says");
	*length = (size_t)snprintf(out, RESPONSE_MAX, "%c%s%c%s", 0, login->user, 0, login->password);
	return RESULT_OK;
}

static enum result respond_login(struct login *login, const char *challenge, size_t challenge_length,
                                 char out[RESPONSE_MAX], size_t *length, struct why *why)
{
	(void)challenge;
	(void)challenge_length;
	if (!login->step)
		return RESULT_END;
	if (login->step > 2)
		return why_set(why, RESULT_PEER, "it wants to hear more than LOGIN says");
	*length = (size_t)snprintf(out, RESPONSE_MAX, "%s", login->step == 1 ? login->user : login->password);
	return RESULT_OK;
}

static enum result respond_scram(struct login *login, const char *challenge, size_t challenge_length,
                                 char out[RESPONSE_MAX], size_t *length, struct why *why)
{
	unsigned char random[NONCE_BYTES];
	char nonce[BASE64_SIZE(NONCE_BYTES)];
	enum result result = RESULT_OK;

	out[0] = 0;
	if (login->step == 0) {
		random_bytes(random, sizeof random);
		base64_encode(random, sizeof random, nonce);
		if (!scram_first(&login->scram, login->user, nonce, out))
			result = why_set(why, RESULT_PEER, "the name of the user is too long");
	} else if (login->step == 1) {
		result = scram_final(&login->scram, challenge, challenge_length, login->password, out, why);
	} else {
		result = scram_judge(&login->scram, challenge, challenge_length, why);
		login->is_proved = result == RESULT_OK;
	}
	*length = strlen(out);
	return result;
}

static const struct mechanism {
	const char *name;
	unsigned capability;
	bool proves_host;		/* the host has to show something too */
	/* RESULT_OK: OUT, *LENGTH bytes; RESULT_END: nothing goes along with AUTH; RESULT_PEER: WHY */
	enum result (*respond)(struct login *login, const char *challenge, size_t challenge_length,
	                       char out[RESPONSE_MAX], size_t *length, struct why *why);
} mechanisms[] = {			/* the best first */
	{ "SCRAM-SHA-256", CAN_AUTH_SCRAM_SHA_256, true, respond_scram },
	{ "PLAIN", CAN_AUTH_PLAIN, false, respond_plain },
	{ "LOGIN", CAN_AUTH_LOGIN, false, respond_login },
};
enum { MECHANISMS = sizeof mechanisms / sizeof *mechanisms };

unsigned login_mechanisms(const char *at, const char *end)
{
	unsigned found = 0;
	const char *word;
	size_t length, i;

	while (text_next_word(&at, end, &word, &length))
		for (i = 0; i < MECHANISMS; i++)
			if (text_equal_folded(word, length, mechanisms[i].name, strlen(mechanisms[i].name)))
				found |= mechanisms[i].capability;
	return found;
}

/* ---- the end ---- */

void login_free(struct session *session)
{
	if (!session->login)
		return;
	explicit_bzero(session->login, sizeof *session->login);
	free(session->login);
	session->login = NULL;
}

/* Loudly, since nobody but the admin can mend it: the mail waits. */
static void fail(struct session *session, const char *words)
{
	struct site *site = session->site;
	struct log_line line;
	char told[SESSION_WORDS_MAX + 1];

	snprintf(told, sizeof told, "%.250s: login %s: %.300s", session->where, site->route.secret, words);
	log_start(&line, "login-failed");
	log_text(&line, "host", session->where);
	log_text(&line, "login", site->route.secret);
	log_text(&line, "mechanism", session->login && session->login->mechanism ? session->login->mechanism->name : NULL);
	log_text(&line, "words", words);
	log_text(&line, "advice", "mail for this route waits; mend the route: line in the secrets and run dawk update");
	log_end(&line);
	site_hold(site, LOGIN_HELD_MS, "4.7.8", told);
	session_say(session, "QUIT\r\n");
	session_flush(session);
	session_fail(session, "4.7.8", told);
}

/* ---- the dialog ---- */

/* The user and his password of the login NAME. RESULT_NEVER: WHY. */
static enum result find(struct login *login, const char *name, struct why *why)
{
	const char *value, *colon;
	size_t length, user_length;

	if (!remoted.logins || table_find(remoted.logins, name, strlen(name), &value, &length, why) != RESULT_OK)
		return why_set(why, RESULT_NEVER, "the secrets have no line route:%s (run `dawk update`)", name);
	colon = memchr(value, ':', length);
	if (!colon)
		return why_set(why, RESULT_NEVER, "the line route:%s of the secrets is not USER:PASSWORD", name);
	user_length = (size_t)(colon - value);
	length -= user_length + 1;
	if (user_length > USER_MAX || length > PASSWORD_MAX || memchr(value, 0, user_length + length + 1))
		return why_set(why, RESULT_NEVER, "the user or the password of route:%s is too long", name);
	memcpy(login->user, value, user_length);
	memcpy(login->password, colon + 1, length);
	return RESULT_OK;
}

static const struct mechanism *choose(unsigned capabilities)
{
	size_t i;

	for (i = 0; i < MECHANISMS; i++)
		if (capabilities & mechanisms[i].capability)
			return &mechanisms[i];
	return NULL;
}

/* false: the session has failed. */
static bool say_response(struct session *session, const char *challenge, size_t length)
{
	char response[RESPONSE_MAX], encoded[BASE64_SIZE(RESPONSE_MAX)];
	struct login *login = session->login;
	struct why why = { 0 };
	size_t response_length = 0;
	enum result result = login->mechanism->respond(login, challenge, length, response, &response_length, &why);
	bool is_said;

	if (result == RESULT_PEER) {
		fail(session, why.text);
		return false;
	}
	base64_encode(response, response_length, encoded);
	if (login->step++)
		is_said = session_say(session, "%s\r\n", encoded);
	else
		is_said = session_say(session, "AUTH %s%s%s\r\n", login->mechanism->name, result == RESULT_OK ? " " : "", encoded);
	explicit_bzero(response, sizeof response);
	explicit_bzero(encoded, sizeof encoded);
	if (!is_said) {
		fail(session, "the user and the password are too long to be sent");
		return false;
	}
	session_flush(session);
	session_wait(session, SESSION_LOGIN);
	return true;
}

bool login_begins(struct session *session)
{
	const char *name = session->site->route.secret;
	struct why why = { 0 };

	if (!*name || session->is_logged_in)
		return false;
	session->login = calloc(1, sizeof *session->login);
	if (!session->login) {
		session_fail(session, "4.3.0", "no memory for a login");
		return true;
	}
	session->login->mechanism = choose(session->capabilities);
	if (!session->is_encrypted)
		fail(session, "no password goes without TLS");
	else if (find(session->login, name, &why) != RESULT_OK)
		fail(session, why.text);
	else if (!session->login->mechanism)
		fail(session, "it offers no AUTH with SCRAM-SHA-256, PLAIN or LOGIN");
	else
		say_response(session, "", 0);
	return true;
}

static void succeed(struct session *session)
{
	if (session->login->mechanism->proves_host && !session->login->is_proved) {
		fail(session, "it took the login without a sign that it knows the password: it may be somebody else");
		return;
	}
	login_free(session);
	session->is_logged_in = true;
	transaction_start(session);
}

/* RFC 4954 6: 4xx says nothing of the login, but for 432, which wants a person. Another host may be better off. */
static void put_off(struct session *session)
{
	char words[SESSION_WORDS_MAX + 1], status[12];

	reply_status(&session->reply, "4.7.0", status);
	snprintf(words, sizeof words, "%.250s: login %s: %.300s", session->where, session->site->route.secret, session->reply.text);
	session_pass_on(session, status, words);
}

void login_reply(struct session *session)
{
	const struct reply *reply = &session->reply;
	char challenge[RESPONSE_MAX];
	size_t length = 0;

	if (reply->code == 235) {
		succeed(session);
		return;
	}
	if (reply->code / 100 == 4 && reply->code != 432) {
		put_off(session);
		return;
	}
	if (reply->code != 334) {
		fail(session, reply->text);
		return;
	}
	/* LOGIN's challenges are words for people, PLAIN's is empty */
	if (session->login->mechanism->proves_host &&
	    (reply->length < 4 || !base64_decode(reply->text + 4, reply->length - 4, challenge, sizeof challenge, &length))) {
		fail(session, "its challenge is not base64");
		return;
	}
	say_response(session, challenge, length);
}

/* ---- the table ---- */

void login_take_table(int fd)
{
	struct table *made;
	struct why why = { 0 };

	if (table_open_descriptor(fd, "secret/routes", &made, &why) != RESULT_OK) {
		log_failure("logins-unreadable", &why);
		return;
	}
	table_close(remoted.logins);
	remoted.logins = made;
	remoted.login_generation++;
}
