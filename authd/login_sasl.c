/* The mechanisms: what each message of a client means, and what comes next. RFC 4422. */
#include "authd/keys.h"
#include "authd/login_private.h"
#include "authd/sasl.h"

#include <stdlib.h>
#include <string.h>

struct scram_login {
	struct scram exchange;
	struct keys keys;
	size_t proven;		/* which key, once it is */
};

struct mechanism {
	const char *name;
	uint32_t bit;		/* enum mechanism_bit; 0: offered in ways of its own */
	bool needs_binding, is_bearer;
	const char *prompt;	/* the challenge to a client that said nothing with its command */
	void (*step)(struct login *login, const char *response, size_t length);
};

/* ---- PLAIN, LOGIN, APOP ---- */

static void plain(struct login *login, const char *response, size_t length)	/* RFC 4616 */
{
	struct sasl_credentials credentials;

	if (!sasl_take_plain(response, length, &credentials))
		login_malformed(login);
	else if (login_take_user(login, credentials.name, credentials.secret, strlen(credentials.secret)))
		login_check_password(login);
	explicit_bzero(&credentials, sizeof credentials);
}

/* A name, then a password, each on request; the words of the requests are what all clients know. */
static void login_in_two(struct login *login, const char *response, size_t length)
{
	static const char prompt[] = "Password:";
	char secret[SASL_SECRET_MAX + 1], name[SASL_NAME_MAX + 1];

	if (login->step++ == 0) {
		if (sasl_copy(response, length, login->user, sizeof login->user))
			login_challenge(login, prompt, strlen(prompt));
		else
			login_malformed(login);
		return;
	}
	memcpy(name, login->user, sizeof name);
	if (!sasl_copy(response, length, secret, sizeof secret))
		login_malformed(login);
	else if (login_take_user(login, name, secret, length))
		login_check_password(login);
	explicit_bzero(secret, sizeof secret);
}

/* RFC 1939 7: name NUL digest, by POP3's command alone. */
static void apop(struct login *login, const char *response, size_t length)
{
	struct sasl_credentials credentials;
	const char *nul = length ? memchr(response, 0, length) : NULL;
	size_t name_length = nul ? (size_t)(nul - response) : 0;

	if (!nul || !sasl_copy(response, name_length, credentials.name, sizeof credentials.name) ||
	    !sasl_copy(nul + 1, length - name_length - 1, credentials.secret, sizeof credentials.secret))
		login_malformed(login);
	else if (login_take_user(login, credentials.name, credentials.secret, strlen(credentials.secret)))
		login_check_apop(login);
}

/* ---- SCRAM: RFC 5802, RFC 7677 ---- */

/* RFC 5802 6: the mechanism's name and the client's flag say the same, and a client that believes we can't
 * bind channels while we said we can was lied to on the way. */
static bool is_binding_right(const struct login *login, char flag)
{
	if (login->mechanism->needs_binding)
		return flag == 'p';
	return flag == 'n' || (flag == 'y' && !(login->binding_length && keys_mechanisms() & MECHANISM_SCRAM_SHA_256_PLUS));
}

/* An authzid must be the same user. */
static bool is_for_himself(const struct login *login)
{
	char key[ADDRESS_MAX + 1];
	const char *authzid = login->scram->exchange.authzid;

	return !*authzid || !strcmp(authzid, login->user) || (accounts_key(authzid, key) && !strcmp(key, login->key));
}

static void scram_first(struct login *login, const char *response, size_t length)
{
	char nonce[BASE64_SIZE(SCRAM_SALT_SIZE)], message[SCRAM_MESSAGE_MAX];
	unsigned char random[SCRAM_SALT_SIZE];
	struct scram_login *scram = calloc(1, sizeof *scram);
	struct why why = { 0 };

	login->scram = scram;
	if (!scram) {
		why_set(&why, RESULT_RETRY, "no memory for a login");
		login_later(login, NULL, &why);
		return;
	}
	if (!scram_take_first(&scram->exchange, response, length)) {
		login_malformed(login);
		return;
	}
	if (!login_take_user(login, scram->exchange.name, "", 0))
		return;
	if (!is_binding_right(login, scram->exchange.flag) || !is_for_himself(login)) {
		login_refuse(login);
		return;
	}
	if (keys_find(login->key, &scram->keys, &why) != RESULT_OK) {
		login_later(login, NULL, &why);
		return;
	}
	random_bytes(random, sizeof random);
	base64_encode(random, sizeof random, nonce);
	if (scram_put_first(&scram->exchange, nonce, &scram->keys.items[0], message))
		login_challenge(login, message, strlen(message));
	else
		login_malformed(login);
}

static void scram_final(struct login *login, const char *response, size_t length)
{
	struct scram_login *scram = login->scram;
	char message[SCRAM_MESSAGE_MAX];
	bool is_proven = false;

	if (scram_take_final(&scram->exchange, response, length, login->binding, login->binding_length))
		for (size_t i = 0; i < scram->keys.count; i++)
			if (scram_is_proven(&scram->exchange, &scram->keys.items[i])) {
				is_proven = true;
				scram->proven = i;
			}
	if (!is_proven) {
		login_refuse(login);
		return;
	}
	scram_put_final(&scram->exchange, &scram->keys.items[scram->proven], message);
	login_challenge(login, message, strlen(message));	/* RFC 4954 4: no data goes along with success */
}

static void scram(struct login *login, const char *response, size_t length)
{
	switch (login->step++) {
	case 0:
		scram_first(login, response, length);
		return;
	case 1:
		scram_final(login, response, length);
		return;
	default:
		if (length > 0) {
			login_malformed(login);
			return;
		}
		login->secret_name = login->scram->keys.names[login->scram->proven];
		login->source = ACCOUNT_TABLE;
		login_accept(login);
	}
}

void scram_login_free(struct login *login)
{
	if (login->scram)
		explicit_bzero(login->scram, sizeof *login->scram);
	free(login->scram);
	login->scram = NULL;
}

/* ---- OAUTHBEARER, XOAUTH2 ---- */

static void take_bearer(struct login *login, bool is_whole, const struct sasl_bearer *bearer)
{
	login->source = ACCOUNT_TABLE;
	if (!is_whole)
		login_malformed(login);
	else if (login_take_user(login, bearer->name, bearer->token, bearer->token_length))
		login_check_token(login);
}

static void oauthbearer(struct login *login, const char *response, size_t length)	/* RFC 7628 */
{
	struct sasl_bearer bearer;

	if (login->step++)
		login_refuse(login);	/* 3.2.3: what the client says to our words does not matter */
	else
		take_bearer(login, sasl_take_oauthbearer(response, length, &bearer), &bearer);
}

static void xoauth2(struct login *login, const char *response, size_t length)
{
	struct sasl_bearer bearer;

	if (login->step++)
		login_refuse(login);
	else
		take_bearer(login, sasl_take_xoauth2(response, length, &bearer), &bearer);
}

/* RFC 7628 3.2.2; the other one has the same with a number. */
void mechanism_token_refused(struct login *login)
{
	static const char words[] = "{\"status\":\"invalid_token\"}";
	static const char old_words[] = "{\"status\":\"401\",\"schemes\":\"bearer\"}";
	bool is_old = login->mechanism->bit == MECHANISM_XOAUTH2;

	loop_unset_timer(logins.loop, &login->timer);
	login->program_verdict = 0;
	login_challenge(login, is_old ? old_words : words, is_old ? strlen(old_words) : strlen(words));
}

/* ---- the table ---- */

static const struct mechanism mechanisms[] = {
	{ "PLAIN", MECHANISM_PLAIN, false, false, "", plain },
	{ "LOGIN", MECHANISM_LOGIN, false, false, "Username:", login_in_two },
	{ "SCRAM-SHA-256", MECHANISM_SCRAM_SHA_256, false, false, "", scram },
	{ "SCRAM-SHA-256-PLUS", MECHANISM_SCRAM_SHA_256_PLUS, true, false, "", scram },
	{ "OAUTHBEARER", MECHANISM_OAUTHBEARER, false, true, "", oauthbearer },
	{ "XOAUTH2", MECHANISM_XOAUTH2, false, true, "", xoauth2 },
	/* of POP3, by names that no client can give */
	{ "USER/PASS", 0, false, false, "", plain },
	{ "APOP/MD5", 0, false, false, "", apop },
};

const struct mechanism *mechanism_find(const struct login *login, const char *name, size_t length)
{
	const struct mechanism *mechanism = mechanisms, *end = mechanism + sizeof mechanisms / sizeof *mechanisms;

	while (mechanism < end && !text_equal_folded(name, length, mechanism->name, strlen(mechanism->name)))
		mechanism++;
	if (mechanism == end || (mechanism->needs_binding && login->binding_length == 0))
		return NULL;
	if (mechanism->bit)
		return keys_mechanisms() & mechanism->bit ? mechanism : NULL;
	return login->purpose == LOGIN_FOR_POP3 ? mechanism : NULL;
}

const char *mechanism_name(const struct mechanism *mechanism)
{
	return mechanism ? mechanism->name : NULL;
}

bool mechanism_is_bearer(const struct mechanism *mechanism)
{
	return mechanism->is_bearer;
}

bool mechanism_is_proof(const struct mechanism *mechanism)
{
	return mechanism->step == apop || mechanism->step == scram;
}

void mechanism_step(struct login *login, const char *response, size_t length)
{
	const char *prompt = login->mechanism->prompt;

	if (response)
		login->mechanism->step(login, response, length);
	else
		login_challenge(login, prompt, strlen(prompt));
}
