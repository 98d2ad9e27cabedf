#include "authd/login.h"
#include "authd/accounts.h"
#include "authd/checkers.h"
#include "authd/digest.h"
#include "authd/refusal.h"
#include "authd/starter.h"
#include "authd/throttle.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a client reads after "-ERR" or "535"; nothing tells an unknown name from a wrong password. */
static const char words_refused[] = "[AUTH] authentication failed";
static const char words_later[] = "[SYS/TEMP] unable to log in now, try again later";
static const char words_mbox[] = "[SYS/PERM] this mailbox is an mbox file, which POP3 does not serve";
static const char words_uid[] = "[SYS/PERM] this mailbox has no account to serve it";

enum {
	PROGRAM_PATIENCE_MS = (PROGRAM_SECONDS_MAX + 5) * 1000,
	APOP_INPUT_MAX = 2048,		/* time stamp and secret */
};

struct login {
	struct login *next, **at;	/* in the list of all */
	struct channel *worker;		/* NULL: gone meanwhile */
	uint64_t serial, mechanism, arrived_ms;
	struct address_ip ip;
	enum account_source source;
	struct check check;
	struct timer timer;		/* the end of patience with the program, then what it said */
	struct channel program;		/* to the keeper of the checkpassword program */
	uint64_t program_verdict;	/* 0: not told yet */
	struct place *place;		/* as the program said; NULL */
	stralloc hashes;		/* each with its NUL */
	size_t hashes_used;
	char key[ADDRESS_MAX + 1];
	char client[65], session[33], user[WIRE_ADDRESS_MAX + 1], secret[1025], challenge[257];
};

static struct {
	const struct configuration *conf;
	struct loop *loop;
	struct channel *starter;
	struct login *first;
	size_t count;
	struct throttle throttle;
} logins;

/* ---- the end of a login ---- */

static void login_free(struct login *login)
{
	*login->at = login->next;
	if (login->next)
		login->next->at = login->at;
	logins.count--;
	loop_unset_timer(logins.loop, &login->timer);
	channel_close(&login->program);
	free(login->hashes.s);
	free(login->place);
	explicit_bzero(login->secret, sizeof login->secret);
	free(login);
}

static void log_login(const struct login *login, const char *event, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_text(&line, "session", login->session);
	log_text(&line, "client", login->client);
	log_text(&line, "user", login->key[0] ? login->key : login->user);
	log_why(&line, why);
	log_end(&line);
}

/* FD (or -1) goes with the answer. */
static void answer(struct channel *worker, uint64_t serial, enum login_verdict verdict, const char *words, int fd)
{
	const struct wire_value values[LOGIN_TELL_FIELDS] = {
		WIRE_NUMBER(serial), WIRE_NUMBER(verdict), WIRE_STRING(words),
	};

	if (worker)
		channel_send(worker, FRAME_LOGIN_TELL, values, fd, NULL);
	else if (fd >= 0)
		close(fd);
}

static void login_end(struct login *login, enum login_verdict verdict, const char *words, int fd)
{
	answer(login->worker, login->serial, verdict, words, fd);
	login_free(login);
}

static void login_later(struct login *login, const char *words, const struct why *why)
{
	log_login(login, "login-deferred", why);
	login_end(login, LOGIN_LATER, words, -1);
}

static void refuse(struct channel *worker, uint64_t serial)
{
	answer(worker, serial, LOGIN_REFUSED, words_refused, -1);
}

/* Loopback and our own networks are exempt from limits per address. */
static bool is_exempt(const struct address_ip *ip)
{
	return !ip->family || ip_is_loopback(ip) || network_list_contains(&logins.conf->relay_networks, ip);
}

/* Counted from the arrival, so that the time of the answer does not tell what was checked. */
static void login_refuse(struct login *login)
{
	uint64_t now = loop_now_ms(logins.loop), wait = THROTTLE_FIRST_MS;

	log_login(login, "login-refused", NULL);
	if (!is_exempt(&login->ip))
		wait = throttle_fail(&logins.throttle, &login->ip, now);
	wait = login->arrived_ms + wait > now ? login->arrived_ms + wait - now : 0;
	if (login->worker)
		refusal_wait(login->worker, login->serial, wait);
	login_free(login);	/* and its password, at once */
}

/* ---- success ---- */

static enum result start_session(const struct login *login, const struct place *place, int *fd, struct why *why)
{
	const struct wire_value values[SESSION_START_FIELDS] = {
		WIRE_NUMBER(place->uid), WIRE_NUMBER(place->gid), WIRE_STRING(place->maildir), WIRE_STRING(place->quota),
		WIRE_STRING(login->key), WIRE_STRING(login->session), WIRE_STRING(login->client),
	};
	int ends[2];
	enum result result = channel_pair(ends, why);

	if (result != RESULT_OK)
		return result;
	result = channel_send(logins.starter, FRAME_SESSION_START, values, ends[1], why);
	if (result == RESULT_OK)
		*fd = ends[0];
	else
		close(ends[0]);
	return result;
}

static void login_succeed(struct login *login, const struct place *place)
{
	struct why why = { 0 };
	int fd = -1;

	if (place->is_mbox) {
		login_later(login, words_mbox, &why);
		return;
	}
	if (place->uid == 0 && geteuid() == 0) {
		why_set(&why, RESULT_NEVER, "a mailbox of uid 0 is not served");
		login_later(login, words_uid, &why);
		return;
	}
	if (start_session(login, place, &fd, &why) != RESULT_OK) {
		login_later(login, words_later, &why);
		return;
	}
	log_login(login, "login", NULL);
	login_end(login, LOGIN_OK, "", fd);
}

/* OTHERWISE: the mailbox to take when the tables have none; NULL: there has to be one. */
static void login_find_place(struct login *login, const struct place *otherwise)
{
	struct why why = { 0 };
	struct place place = { 0 };
	enum result result = accounts_place(login->key, login->source, &place, &why);

	if (result == RESULT_OK) {
		login_succeed(login, &place);
	} else if (result == RESULT_END && otherwise) {
		login_succeed(login, otherwise);
	} else {
		if (result == RESULT_END)
			why_set(&why, RESULT_RETRY, "there is a password but no mailbox: run `dawk update`");
		login_later(login, words_later, &why);
	}
}

/* ---- the checkpassword program ---- */

/* What the program said, acted on after the callback of the channel, which is part of LOGIN. */
static void program_done(struct timer *timer)
{
	struct login *login = container_of(timer, struct login, timer);

	switch (login->program_verdict) {
	case LOGIN_OK:
		login_find_place(login, login->place);
		break;
	case LOGIN_REFUSED:
		login_refuse(login);
		break;
	default:
		login_later(login, words_later, NULL);
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

static void program_told(struct channel *channel, struct frame *f)
{
	struct login *login = container_of(channel, struct login, program);

	if (f->type == FRAME_PROGRAM_TELL)
		login->program_verdict = f->value[PROGRAM_TELL_VERDICT].number;
	if (login->program_verdict == LOGIN_OK && !take_place(login, f))
		login->program_verdict = LOGIN_LATER;
	channel_close(channel);
	loop_set_timer(logins.loop, &login->timer, 0, program_done);	/* moves it, which can't fail */
}

static void program_lost(struct channel *channel, const struct why *why)
{
	login_later(container_of(channel, struct login, program), words_later, why);
}

static void program_late(struct timer *timer)
{
	login_later(container_of(timer, struct login, timer), words_later, NULL);
}

static void login_ask_program(struct login *login)
{
	const struct wire_value values[PROGRAM_ASK_FIELDS] = {
		WIRE_STRING(login->user), WIRE_STRING(login->secret), WIRE_STRING(login->challenge),
	};
	struct why why = { 0 };
	int ends[2];

	if (channel_pair(ends, &why) != RESULT_OK) {
		login_later(login, words_later, &why);
		return;
	}
	if (channel_open(&login->program, logins.loop, ends[0], program_told, program_lost, &why) != RESULT_OK) {
		close(ends[1]);
		login_later(login, words_later, &why);
		return;
	}
	if (channel_send(logins.starter, FRAME_PROGRAM_ASK, values, ends[1], &why) != RESULT_OK ||
	    !loop_set_timer(logins.loop, &login->timer, PROGRAM_PATIENCE_MS, program_late))
		login_later(login, words_later, &why);
}

/* ---- checks ---- */

static void check_done(struct check *check, enum result result, bool is_match);

static void login_check_next(struct login *login)
{
	struct why why = { 0 };

	login->check = (struct check){
		.hash = login->hashes.s + login->hashes_used, .secret = login->secret, .done = check_done,
	};
	login->hashes_used += strlen(login->check.hash) + 1;
	if (checkers_submit(&login->check) == RESULT_OK)
		return;
	why_set(&why, RESULT_RETRY, "too many passwords wait to be checked");
	login_later(login, words_later, &why);
}

static void check_done(struct check *check, enum result result, bool is_match)
{
	struct login *login = container_of(check, struct login, check);
	struct why why = { 0 };

	if (result != RESULT_OK) {
		why_set(&why, RESULT_RETRY, "the process that checks passwords died");
		login_later(login, words_later, &why);
	} else if (is_match && login->source != ACCOUNT_NONE) {
		login_find_place(login, NULL);
	} else if (login->hashes_used < login->hashes.len) {
		login_check_next(login);
	} else {
		login_refuse(login);
	}
}

static void login_by_password(struct login *login)
{
	struct why why = { 0 };

	if (accounts_hashes(login->key, &login->hashes, &login->source, &why) != RESULT_OK)
		login_later(login, words_later, &why);
	else if (login->source == ACCOUNT_NONE && logins.conf->checkpassword && login->key[0])
		login_ask_program(login);
	else
		login_check_next(login);
}

/* RFC 1939 7: the digest of the banner's time stamp followed by the secret. */
static bool is_apop_match(const struct login *login, const stralloc *secret)
{
	char input[APOP_INPUT_MAX], hex[MD5_HEX_LENGTH + 1];
	size_t challenge_length = strlen(login->challenge);
	unsigned char difference = 0;

	if (secret->len > sizeof input - challenge_length || strlen(login->secret) != MD5_HEX_LENGTH)
		return false;
	memcpy(input, login->challenge, challenge_length);
	memcpy(input + challenge_length, secret->s, secret->len);
	md5_hex(input, challenge_length + secret->len, hex);
	explicit_bzero(input, sizeof input);
	for (int i = 0; i < MD5_HEX_LENGTH; i++)
		difference |= (unsigned char)(hex[i] ^ login->secret[i]);
	return !difference;
}

static void login_by_apop(struct login *login)
{
	struct why why = { 0 };
	stralloc secret = { 0 };
	enum result result = accounts_apop(login->key, &secret, &why);
	bool is_match = result == RESULT_OK && is_apop_match(login, &secret);

	if (secret.s)
		explicit_bzero(secret.s, secret.len);
	free(secret.s);
	if (result == RESULT_RETRY || result == RESULT_NEVER) {
		login_later(login, words_later, &why);
	} else if (is_match) {
		login->source = ACCOUNT_TABLE;
		login_find_place(login, NULL);
	} else {
		login_refuse(login);
	}
}

/* ---- the beginning ---- */

/* false: a field holds a NUL or is too long, which no worker sends. */
static bool take_fields(struct login *login, const struct frame *f)
{
	login->serial = f->value[LOGIN_ASK_SERIAL].number;
	login->mechanism = f->value[LOGIN_ASK_MECHANISM].number;
	return frame_value_copy(f, LOGIN_ASK_CLIENT, login->client, sizeof login->client) &&
	       frame_value_copy(f, LOGIN_ASK_SESSION, login->session, sizeof login->session) &&
	       frame_value_copy(f, LOGIN_ASK_USER, login->user, sizeof login->user) &&
	       frame_value_copy(f, LOGIN_ASK_SECRET, login->secret, sizeof login->secret) &&
	       frame_value_copy(f, LOGIN_ASK_CHALLENGE, login->challenge, sizeof login->challenge);
}

static struct login *login_make(struct channel *worker)
{
	struct login *login = logins.count < LOGINS_MAX ? calloc(1, sizeof *login) : NULL;

	if (!login)
		return NULL;
	login->worker = worker;
	login->arrived_ms = loop_now_ms(logins.loop);
	login->program.fd = -1;
	login->next = logins.first;
	login->at = &logins.first;
	if (login->next)
		login->next->at = &login->next;
	logins.first = login;
	logins.count++;
	return login;
}

void login_ask(struct channel *worker, const struct frame *f)
{
	struct login *login = login_make(worker);

	if (!login) {
		answer(worker, f->value[LOGIN_ASK_SERIAL].number, LOGIN_LATER, words_later, -1);
		return;
	}
	if (!take_fields(login, f)) {
		login_end(login, LOGIN_REFUSED, words_refused, -1);
		return;
	}
	if (!ip_parse(login->client, strlen(login->client), &login->ip))
		login->ip = (struct address_ip){ 0 };
	if (!accounts_key(login->user, login->key))
		login->key[0] = 0;	/* goes the same way, and finds nothing */
	if (login->mechanism == LOGIN_APOP)
		login_by_apop(login);
	else
		login_by_password(login);
}

void logins_forget(const struct channel *worker)
{
	for (struct login *login = logins.first; login; login = login->next)
		if (login->worker == worker)
			login->worker = NULL;
	refusals_forget(worker);
}

void logins_begin(const struct configuration *conf, struct loop *loop, struct channel *starter)
{
	logins.conf = conf;
	logins.loop = loop;
	logins.starter = starter;
	refusals_begin(loop, refuse);
	checkers_begin(loop, starter);
}
