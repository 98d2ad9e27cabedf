#include "authd/login_private.h"
#include "authd/keys.h"
#include "authd/refusal.h"
#include "authd/session.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a POP3 client reads after "-ERR"; nothing tells an unknown name from a wrong password. */
static const char words_uid[] = "[SYS/PERM] this mailbox has no account to serve it";
static const char *const words_of[] = {
	[LOGIN_OK] = "",
	[LOGIN_REFUSED] = "[AUTH] authentication failed",
	[LOGIN_LATER] = "[SYS/TEMP] unable to log in now, try again later",
	[LOGIN_CHALLENGE] = "",
	[LOGIN_MALFORMED] = "this is no response of that mechanism",
	[LOGIN_NOT_OFFERED] = "this mechanism is not offered",
	[LOGIN_BLOCKED] = "[SYS/TEMP] too many logins failed, try again later",
};

struct logins logins;

/* ---- exchanges: logins that wait for their client. A number is a count and the place below it. ---- */

enum { PLACE_BITS = 12, PLACES = 1 << PLACE_BITS };
_Static_assert((int)LOGINS_MAX <= (int)PLACES, "every login may wait");

static struct { struct login *waiting[PLACES]; uint32_t count, first_free; } exchanges;

static void exchange_begin(struct login *login)
{
	while (exchanges.waiting[exchanges.first_free % PLACES])
		exchanges.first_free++;
	uint32_t place = exchanges.first_free++ % PLACES;
	if (++exchanges.count >> (32 - PLACE_BITS))
		exchanges.count = 1;
	exchanges.waiting[place] = login;
	login->exchange = exchanges.count << PLACE_BITS | place;
}

static void exchange_end(struct login *login)
{
	if (login->exchange)
		exchanges.waiting[login->exchange % PLACES] = NULL;
	login->exchange = 0;
}

static struct login *exchange_find(const struct channel *worker, uint64_t exchange)
{
	struct login *login = exchanges.waiting[exchange % PLACES];

	return login && login->exchange == exchange && login->worker == worker ? login : NULL;
}

/* ---- the end of a login ---- */

static void login_free(struct login *login)
{
	*login->at = login->next;
	if (login->next)
		login->next->at = login->at;
	logins.count--;
	exchange_end(login);
	loop_unset_timer(logins.loop, &login->timer);
	login_check_end(login);
	scram_login_free(login);
	free(login->hashes.s);
	free(login->place);
	if (login->secret)
		explicit_bzero(login->secret, strlen(login->secret));
	free(login->secret);
	free(login);
}

static const char *purpose_name(uint64_t purpose)
{
	return purpose == LOGIN_FOR_POP3 ? "pop3" : "submission";
}

static void log_begin(struct log_line *line, const struct login *login, const char *event)
{
	log_start(line, event);
	log_text(line, "session", login->session);
	log_text(line, "client", login->client);
	log_text(line, "user", login->key[0] ? login->key : login->user);
	log_text(line, "for", purpose_name(login->purpose));
	log_text(line, "mechanism", mechanism_name(login->mechanism));
}

static void log_login(const struct login *login, const char *event, const struct why *why)
{
	struct log_line line;

	log_begin(&line, login, event);
	log_text(&line, "secret", login->secret_name);
	log_why(&line, why);
	log_end(&line);
}

static void log_block(const struct login *login, const char *event, enum guard_block block, uint64_t ms)
{
	struct log_line line;

	log_begin(&line, login, event);
	log_text(&line, "by", guard_block_name(block));
	log_number(&line, "seconds", (ms + 999) / 1000);
	log_end(&line);
}

/* FD (or -1) goes with the answer. */
static void answer(struct channel *worker, uint64_t serial, enum login_verdict verdict, const char *words,
                   const char *address, int fd)
{
	const struct wire_value values[LOGIN_TELL_FIELDS] = {
		[LOGIN_TELL_SERIAL] = WIRE_NUMBER(serial), [LOGIN_TELL_VERDICT] = WIRE_NUMBER(verdict),
		[LOGIN_TELL_ADDRESS] = WIRE_STRING(address), [LOGIN_TELL_WORDS] = WIRE_STRING(words ? words : words_of[verdict]),
	};

	if (worker)
		channel_send(worker, FRAME_LOGIN_TELL, values, fd, NULL);
	else if (fd >= 0)
		close(fd);
}

static void answer_refusal(struct channel *worker, uint64_t serial, enum login_verdict verdict)
{
	answer(worker, serial, verdict, NULL, "", -1);
}

static void login_end(struct login *login, enum login_verdict verdict, const char *words, int fd)
{
	answer(login->worker, login->serial, verdict, words, verdict == LOGIN_OK ? login->key : "", fd);
	login_free(login);
}

void login_later(struct login *login, const char *words, const struct why *why)
{
	log_login(login, "login-deferred", why);
	login_end(login, LOGIN_LATER, words, -1);
}

void login_malformed(struct login *login)
{
	login_end(login, LOGIN_MALFORMED, NULL, -1);
}

/* Loopback and our own networks are exempt from limits per address. */
static bool is_exempt(const struct address_ip *ip)
{
	return !ip->family || ip_is_loopback(ip) || network_list_contains(&logins.conf->relay_networks, ip);
}

static const char *guarded_name(const struct login *login)
{
	return login->key[0] ? login->key : login->user;
}

/* Counted from the arrival, so that the time of the answer does not tell what was checked. */
static void login_end_slowly(struct login *login, enum login_verdict verdict)
{
	uint64_t now = loop_now_ms(logins.loop), wait = THROTTLE_FIRST_MS;

	if (!is_exempt(&login->ip))
		wait = throttle_fail(&logins.throttle, &login->ip, now);
	wait = login->arrived_ms + wait > now ? login->arrived_ms + wait - now : 0;
	if (login->worker)
		refusal_wait(login->worker, login->serial, verdict, wait);
	login_free(login);	/* and its password, at once */
}

/* Of a password or token; proofs that somebody knows one are unlike each other. */
static uint64_t guess_of(const struct login *login)
{
	struct cache_mark mark;
	uint64_t guess;

	if (!login->secret || mechanism_is_proof(login->mechanism))
		return 0;
	mark = cache_mark(&logins.cache, guarded_name(login), login->secret, "", 0);
	memcpy(&guess, mark.bytes, sizeof guess);
	return guess | 1;
}

void login_refuse(struct login *login)
{
	enum guard_block block = GUARD_FREE;

	log_login(login, "login-refused", NULL);
	if (!is_exempt(&login->ip))
		block = guard_fail(&logins.guard, guarded_name(login), &login->ip, guess_of(login), loop_now_ms(logins.loop));
	if (block != GUARD_FREE)
		log_block(login, "login-shut-out", block, logins.guard.block_ms);
	login_end_slowly(login, LOGIN_REFUSED);
}

/* ---- on its way ---- */

static void client_late(struct timer *timer)
{
	login_free(container_of(timer, struct login, timer));
}

void login_challenge(struct login *login, const char *bytes, size_t length)
{
	struct why why = { 0 };

	if (!login->worker || !loop_set_timer(logins.loop, &login->timer, LOGIN_CLIENT_MS, client_late)) {
		login_later(login, NULL, &why);
		return;
	}
	exchange_begin(login);
	const struct wire_value values[LOGIN_TELL_FIELDS] = {
		[LOGIN_TELL_SERIAL] = WIRE_NUMBER(login->serial), [LOGIN_TELL_VERDICT] = WIRE_NUMBER(LOGIN_CHALLENGE),
		[LOGIN_TELL_EXCHANGE] = WIRE_NUMBER(login->exchange), [LOGIN_TELL_DATA] = WIRE_BYTES(bytes, length),
	};
	channel_send(login->worker, FRAME_LOGIN_TELL, values, -1, NULL);
}

static bool keep_secret(struct login *login, const char *secret, size_t length)
{
	if (login->secret)
		explicit_bzero(login->secret, strlen(login->secret));
	free(login->secret);
	login->secret = strndup(secret, length);
	return login->secret != NULL;
}

bool login_take_user(struct login *login, const char *name, const char *secret, size_t length)
{
	enum guard_block block = GUARD_FREE;
	struct why why = { 0 };
	uint64_t left_ms = 0;

	if (strlen(name) >= sizeof login->user || !keep_secret(login, secret, length)) {
		why_set(&why, RESULT_RETRY, "no memory for a login");
		login_later(login, NULL, &why);
		return false;
	}
	memcpy(login->user, name, strlen(name) + 1);
	if (!accounts_key(login->user, login->key))
		login->key[0] = 0;	/* goes the same way, and finds nothing */
	if (!is_exempt(&login->ip))
		block = guard_ask(&logins.guard, guarded_name(login), &login->ip, loop_now_ms(logins.loop), &left_ms);
	if (block == GUARD_FREE)
		return true;
	log_block(login, "login-blocked", block, left_ms);
	login_end_slowly(login, LOGIN_BLOCKED);
	return false;
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

static void login_succeed(struct login *login, int fd)
{
	if (!is_exempt(&login->ip))
		guard_succeed(&logins.guard, guarded_name(login), &login->ip, loop_now_ms(logins.loop));
	log_login(login, "login", NULL);
	login_end(login, LOGIN_OK, NULL, fd);
}

static void login_open(struct login *login, const struct place *place)
{
	struct why why = { 0 };
	int fd = -1;

	if (place->is_mbox) {
		login_later(login, SESSION_IS_MBOX, &why);
		return;
	}
	if (place->uid == 0 && geteuid() == 0) {
		why_set(&why, RESULT_NEVER, "a mailbox of uid 0 is not served");
		login_later(login, words_uid, &why);
		return;
	}
	if (start_session(login, place, &fd, &why) == RESULT_OK)
		login_succeed(login, fd);
	else
		login_later(login, NULL, &why);
}

/* The tables' mailbox goes before what a program said. */
void login_accept(struct login *login)
{
	struct why why = { 0 };
	struct place place = { 0 };
	enum result result = RESULT_END;

	if (login->source != ACCOUNT_SYSTEM)
		result = accounts_place(login->key, &place, &why);
	if (result == RESULT_END && login->place) {
		place = *login->place;
		result = RESULT_OK;
	}
	if (result == RESULT_END)
		why_set(&why, RESULT_RETRY, "the password is right but there is no mailbox: run `dawk update`");
	if (result != RESULT_OK)
		login_later(login, NULL, &why);
	else if (login->purpose == LOGIN_FOR_POP3)
		login_open(login, &place);
	else
		login_succeed(login, -1);
}

/* ---- the beginning ---- */

/* Too many: whoever keeps us waiting longest gives way. */
static bool make_room(void)
{
	struct login *oldest = NULL;

	if (logins.count < LOGINS_MAX)
		return true;
	for (size_t i = 0; i < PLACES; i++) {
		struct login *login = exchanges.waiting[i];
		if (login && (!oldest || login->arrived_ms < oldest->arrived_ms))
			oldest = login;
	}
	if (oldest)
		login_free(oldest);
	return oldest != NULL;
}

static struct login *login_make(struct channel *worker)
{
	struct login *login = make_room() ? calloc(1, sizeof *login) : NULL;

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

/* false: a field holds a NUL or is too long, which no worker sends. */
static bool take_fields(struct login *login, const struct frame *f)
{
	const struct wire_value *binding = &f->value[LOGIN_ASK_BINDING];

	login->purpose = (uint8_t)f->value[LOGIN_ASK_PURPOSE].number;
	login->is_tls = f->value[LOGIN_ASK_FLAGS].number & LOGIN_IS_TLS;
	if (binding->length > sizeof login->binding || !frame_value_copy(f, LOGIN_ASK_CLIENT, login->client, sizeof login->client) ||
	    !frame_value_copy(f, LOGIN_ASK_SESSION, login->session, sizeof login->session))
		return false;
	login->binding_length = binding->length;
	if (binding->length)
		memcpy(login->binding, binding->bytes, binding->length);
	if (!ip_parse(login->client, strlen(login->client), &login->ip))
		login->ip = (struct address_ip){ 0 };
	return true;
}

/* What the client said; NULL where it said nothing, which is not the same as the empty response. */
static const char *response_of(uint64_t flags, const struct wire_value *value)
{
	if (!(flags & LOGIN_HAS_RESPONSE))
		return NULL;
	return value->length ? value->bytes : "";
}

void login_ask(struct channel *worker, const struct frame *f)
{
	const struct wire_value *name = &f->value[LOGIN_ASK_MECHANISM], *response = &f->value[LOGIN_ASK_RESPONSE];
	struct login *login = login_make(worker);

	if (!login) {
		answer_refusal(worker, f->value[LOGIN_ASK_SERIAL].number, LOGIN_LATER);
		return;
	}
	login->serial = f->value[LOGIN_ASK_SERIAL].number;
	if (!take_fields(login, f)) {
		login_malformed(login);
		return;
	}
	login->mechanism = mechanism_find(login, name->bytes, name->length);
	if (!login->mechanism)
		login_end(login, LOGIN_NOT_OFFERED, NULL, -1);
	else
		mechanism_step(login, response_of(f->value[LOGIN_ASK_FLAGS].number, response), response->length);
}

void login_next(struct channel *worker, const struct frame *f)
{
	struct login *login = exchange_find(worker, f->value[LOGIN_NEXT_EXCHANGE].number);
	uint64_t serial = f->value[LOGIN_NEXT_SERIAL].number, flags = f->value[LOGIN_NEXT_FLAGS].number;
	const struct wire_value *response = &f->value[LOGIN_NEXT_RESPONSE];

	if (!login && !(flags & LOGIN_IS_CANCELLED))
		answer_refusal(worker, serial, LOGIN_LATER);	/* it took too long, or made room */
	if (!login)
		return;
	if (flags & LOGIN_IS_CANCELLED) {
		login_free(login);
		return;
	}
	exchange_end(login);
	loop_unset_timer(logins.loop, &login->timer);
	login->serial = serial;
	login->arrived_ms = loop_now_ms(logins.loop);
	mechanism_step(login, response->length ? response->bytes : "", response->length);
}

void logins_forget(const struct channel *worker)
{
	struct login *login, *next;

	for (login = logins.first; login; login = next) {
		next = login->next;
		if (login->worker == worker && login->exchange)
			login_free(login);
		else if (login->worker == worker)
			login->worker = NULL;
	}
	refusals_forget(worker);
}

void logins_begin(const struct configuration *conf, struct loop *loop, struct channel *starter)
{
	logins.conf = conf;
	logins.loop = loop;
	logins.starter = starter;
	logins.guard.limit = conf->login_failure_limit;
	logins.guard.block_ms = (uint64_t)conf->login_block_seconds * 1000;
	random_bytes(&logins.guard.seed, sizeof logins.guard.seed);
	random_bytes(logins.cache.key, sizeof logins.cache.key);
	keys_begin(conf);
	refusals_begin(loop, answer_refusal);
	checkers_begin(loop, starter);
}
