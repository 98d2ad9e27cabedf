/* Passwords, digests of APOP and tokens against what is stored or what a program says. */
#include "authd/digest.h"
#include "authd/login_private.h"
#include "authd/starter.h"

#include <nettle/memops.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PROGRAM_PATIENCE_MS = (PROGRAM_SECONDS_MAX + 5) * 1000,
	APOP_INPUT_MAX = 2048,		/* time stamp and secret */
};

/* ---- programs: checkpassword, oauth-checker ---- */

/* What the program said, acted on after the callback of the channel, which is part of LOGIN. */
static void program_done(struct timer *timer)
{
	struct login *login = container_of(timer, struct login, timer);
	struct why why = { 0 };

	switch (login->program_verdict) {
	case LOGIN_OK:
		login_accept(login);
		break;
	case LOGIN_REFUSED:
		if (mechanism_is_bearer(login->mechanism))
			mechanism_token_refused(login);
		else
			login_refuse(login);
		break;
	default:
		why_set(&why, RESULT_RETRY, login->program_status > 255 ? "the program took too long" : "the program ended with exit code %u",
		        (unsigned)login->program_status);
		login_later(login, NULL, &why);
	}
}

static bool take_place(struct login *login, const struct frame *f)
{
	static const char maildir[] = "/Maildir";
	struct place *place = calloc(1, sizeof *place);

	login->place = place;
	if (!place || !frame_value_copy(f, PROGRAM_TELL_HOME, place->maildir, sizeof place->maildir - sizeof maildir))
		return false;
	memcpy(place->maildir + strlen(place->maildir), maildir, sizeof maildir);
	place->uid = (uid_t)f->value[PROGRAM_TELL_UID].number;
	place->gid = (gid_t)f->value[PROGRAM_TELL_GID].number;
	return true;
}

/* Whose the token is. Where the client named somebody it has to be him. */
static enum login_verdict take_owner(struct login *login, const struct frame *f)
{
	char user[WIRE_ADDRESS_MAX + 1], key[ADDRESS_MAX + 1];

	if (!frame_value_copy(f, PROGRAM_TELL_USER, user, sizeof user))
		return LOGIN_LATER;
	if (!user[0])
		return login->key[0] ? LOGIN_OK : LOGIN_REFUSED;
	if (!accounts_key(user, key) || (login->user[0] && strcmp(key, login->key)))
		return LOGIN_REFUSED;
	memcpy(login->key, key, sizeof key);
	return LOGIN_OK;
}

static void program_told(struct channel *channel, struct frame *f)
{
	struct login *login = container_of(channel, struct login, program);

	if (f->type == FRAME_PROGRAM_TELL) {
		login->program_verdict = f->value[PROGRAM_TELL_VERDICT].number;
		login->program_status = f->value[PROGRAM_TELL_STATUS].number;
	}
	if (login->program_verdict == LOGIN_OK && mechanism_is_bearer(login->mechanism))
		login->program_verdict = take_owner(login, f);
	else if (login->program_verdict == LOGIN_OK && !take_place(login, f))
		login->program_verdict = LOGIN_LATER;
	channel_close(channel);
	loop_set_timer(logins.loop, &login->timer, 0, program_done);	/* moves it, which can't fail */
}

static void program_lost(struct channel *channel, const struct why *why)
{
	login_later(container_of(channel, struct login, program), NULL, why);
}

static void program_late(struct timer *timer)
{
	login_later(container_of(timer, struct login, timer), NULL, NULL);
}

static void ask_program(struct login *login, enum login_program program)
{
	const struct wire_value values[PROGRAM_ASK_FIELDS] = {
		[PROGRAM_ASK_KIND] = WIRE_NUMBER(program), [PROGRAM_ASK_USER] = WIRE_STRING(login->user),
		[PROGRAM_ASK_SECRET] = WIRE_STRING(login->secret),
	};
	struct why why = { 0 };
	int ends[2];

	if (channel_pair(ends, &why) != RESULT_OK) {
		login_later(login, NULL, &why);
		return;
	}
	if (channel_open(&login->program, logins.loop, ends[0], program_told, program_lost, &why) != RESULT_OK) {
		close(ends[1]);
		login_later(login, NULL, &why);
		return;
	}
	if (channel_send(logins.starter, FRAME_PROGRAM_ASK, values, ends[1], &why) != RESULT_OK ||
	    !loop_set_timer(logins.loop, &login->timer, PROGRAM_PATIENCE_MS, program_late))
		login_later(login, NULL, &why);
}

void login_check_token(struct login *login)
{
	ask_program(login, PROGRAM_OAUTH);
}

/* ---- hashes ---- */

static void check_done(struct check *check, enum result result, bool is_match);

/* Hash number WHICH, from 0. */
static const char *secret_name(const struct login *login, unsigned which)
{
	const char *at = login->hashes.s, *end = at + login->hashes.len;

	for (; at < end; at += strlen(at) + 1, at += strlen(at) + 1)
		if (which-- == 0)
			return at;
	return NULL;
}

static uint64_t cache_until_ms(void)
{
	return loop_now_ms(logins.loop) + (uint64_t)logins.conf->login_cache_seconds * 1000;
}

static void check_next(struct login *login)
{
	struct why why = { 0 };

	login->secret_name = login->hashes.s + login->hashes_used;
	login->check = (struct check){
		.hash = login->secret_name + strlen(login->secret_name) + 1, .secret = login->secret, .done = check_done,
	};
	login->hashes_used = (size_t)(login->check.hash - login->hashes.s) + strlen(login->check.hash) + 1;
	if (checkers_submit(&login->check) == RESULT_OK)
		return;
	why_set(&why, RESULT_RETRY, "too many passwords wait to be checked");
	login_later(login, NULL, &why);
}

static void remember(struct login *login)
{
	unsigned which = 0;

	while (secret_name(login, which) != login->secret_name)
		which++;
	cache_add(&logins.cache, &login->mark, which, cache_until_ms());
}

static void check_done(struct check *check, enum result result, bool is_match)
{
	struct login *login = container_of(check, struct login, check);
	struct why why = { 0 };

	if (result != RESULT_OK) {
		why_set(&why, RESULT_RETRY, "the process that checks passwords died");
		login_later(login, NULL, &why);
	} else if (is_match && login->source != ACCOUNT_NONE) {
		if (logins.conf->login_cache_seconds)
			remember(login);
		login_accept(login);
	} else if (login->hashes_used < login->hashes.len) {
		check_next(login);
	} else {
		login->secret_name = NULL;
		login_refuse(login);
	}
}

static void check_hashes(struct login *login)
{
	unsigned which;

	if (login->source == ACCOUNT_NONE && logins.conf->checkpassword && login->key[0]) {
		ask_program(login, PROGRAM_CHECKPASSWORD);
		return;
	}
	login->mark = cache_mark(&logins.cache, login->key, login->secret, login->hashes.s, login->hashes.len);
	if (login->source != ACCOUNT_NONE && cache_find(&logins.cache, &login->mark, loop_now_ms(logins.loop), cache_until_ms(), &which)) {
		login->secret_name = secret_name(login, which);
		login_accept(login);
		return;
	}
	check_next(login);
}

static void looked_up(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *words)
{
	struct login *login = container_of(lookup, struct login, lookup);
	struct why why = words ? *words : (struct why){ 0 };

	login->place = calloc(1, sizeof *login->place);
	if (result != RESULT_RETRY && login->place)
		result = accounts_take_system(account, &login->hashes, &login->source, login->place, &why);
	if (result == RESULT_OK && login->source == ACCOUNT_NONE) {
		free(login->place);
		login->place = NULL;
	}
	if (result == RESULT_OK)
		check_hashes(login);
	else
		login_later(login, NULL, &why);
}

void login_check_password(struct login *login)
{
	char name[ADDRESS_LOCAL_MAX + 1];
	struct why why = { 0 };

	if (accounts_hashes(login->key, &login->hashes, &login->source, &why) != RESULT_OK)
		login_later(login, NULL, &why);
	else if (login->source == ACCOUNT_SYSTEM && accounts_system_name(login->key, name))
		lookup_ask(&login->lookup, name, true, looked_up);
	else
		check_hashes(login);
}

/* ---- APOP ---- */

/* RFC 1939 7: the digest of the banner's time stamp followed by the secret. */
static bool is_apop_match(const struct login *login, const stralloc *secret)
{
	char input[APOP_INPUT_MAX], hex[MD5_HEX_LENGTH + 1];
	size_t stamp_length = login->binding_length;

	if (secret->len > sizeof input - stamp_length || strlen(login->secret) != MD5_HEX_LENGTH || stamp_length == 0)
		return false;
	memcpy(input, login->binding, stamp_length);
	memcpy(input + stamp_length, secret->s, secret->len);
	md5_hex(input, stamp_length + secret->len, hex);
	explicit_bzero(input, sizeof input);
	return memeql_sec(hex, login->secret, MD5_HEX_LENGTH);
}

void login_check_apop(struct login *login)
{
	struct why why = { 0 };
	stralloc secret = { 0 };
	enum result result = accounts_apop(login->key, &secret, &why);
	bool is_match = result == RESULT_OK && is_apop_match(login, &secret);

	if (secret.s)
		explicit_bzero(secret.s, secret.len);
	free(secret.s);
	login->source = ACCOUNT_TABLE;
	if (result == RESULT_RETRY || result == RESULT_NEVER)
		login_later(login, NULL, &why);
	else if (is_match)
		login_accept(login);
	else
		login_refuse(login);
}

void login_check_end(struct login *login)
{
	lookup_cancel(&login->lookup);
	channel_close(&login->program);
}
