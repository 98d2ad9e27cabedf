/* The asking side: see lookup.h. */
#include "lookup.h"

#include <string.h>

enum { KEY_PLAIN = '-', KEY_WITH_HASH = '#' };

/* Good answers; one entry a hash value. */
struct cached {
	char key[1 + ADDRESS_LOCAL_MAX + 1];
	uint64_t until_ms;
	struct lookup_account account;
};

static struct {
	struct pool pool;
	enum result (*start)(int fd, struct why *why);
	struct cached cache[LOOKUP_CACHE_SIZE];
} lookups;

/* ---- the cache ---- */

static struct cached *cached_of(const char *key)
{
	uint32_t hash = 2166136261u;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 16777619;
	return &lookups.cache[hash % LOOKUP_CACHE_SIZE];
}

static const struct lookup_account *find_cached(const char *key)
{
	const struct cached *cached = cached_of(key);

	return cached->until_ms > loop_now_ms(lookups.pool.loop) && !strcmp(cached->key, key) ? &cached->account : NULL;
}

static void remember(const char *key, const struct lookup_account *account)
{
	struct cached *cached = cached_of(key);

	memcpy(cached->key, key, strlen(key) + 1);
	cached->until_ms = loop_now_ms(lookups.pool.loop) + LOOKUP_CACHE_MS;
	cached->account = *account;
}

/* ---- answers ---- */

static enum result take_answer(const struct frame *f, struct lookup_account *account, struct why *why)
{
	switch (f->value[LOOKUP_TELL_VERDICT].number) {
	case LOOKUP_FOUND:
		break;
	case LOOKUP_UNKNOWN:
		return RESULT_END;
	default:
		return why_set(why, RESULT_RETRY, "%.*s", (int)f->value[LOOKUP_TELL_WORDS].length, f->value[LOOKUP_TELL_WORDS].bytes);
	}
	account->uid = (uid_t)f->value[LOOKUP_TELL_UID].number;
	account->gid = (gid_t)f->value[LOOKUP_TELL_GID].number;
	if (!frame_value_copy(f, LOOKUP_TELL_HOME, account->home, sizeof account->home) ||
	    !frame_value_copy(f, LOOKUP_TELL_HASH, account->hash, sizeof account->hash))
		return why_set(why, RESULT_RETRY, "the account has a home or a hash that holds a NUL");
	return RESULT_OK;
}

static void told(struct pool_question *question, enum result result, const struct frame *answer, const struct why *why)
{
	struct lookup *lookup = container_of(question, struct lookup, question);
	struct lookup_account account = { 0 };
	struct why other = *why;

	if (result == RESULT_OK)
		result = take_answer(answer, &account, &other);
	if (result == RESULT_OK)
		remember(lookup->key, &account);
	lookup->done(lookup, result, result == RESULT_OK ? &account : NULL, &other);
	explicit_bzero(account.hash, sizeof account.hash);
}

/* ---- questions ---- */

static enum result start(const struct pool_question *question, int fd, struct why *why)
{
	(void)question;
	return lookups.start(fd, why);
}

static void ask(const struct pool_question *question, struct channel *helper, uint64_t serial)
{
	const struct wire_value values[LOOKUP_ASK_FIELDS] = {
		WIRE_NUMBER(serial), WIRE_STRING(question->about), WIRE_NUMBER(*question->key == KEY_WITH_HASH),
	};

	channel_send(helper, FRAME_LOOKUP_ASK, values, -1, NULL);
}

static const struct pool_kind kind = {
	.seconds = LOOKUP_SECONDS, .idle_ms = POOL_IDLE_MS, .waiting_max = LOOKUP_WAITING_MAX, .tell = FRAME_LOOKUP_TELL,
	.late = "the look-up of the account takes too long", .broken = "the look-up of the account broke off",
	.crowded = "too many look-ups of accounts wait",
	.log_stuck = "lookup-stuck", .log_died = "lookup-helper-died", .log_none = "no-lookup-helper", .log_about = "name",
	.start = start, .ask = ask,
};

void lookup_begin(struct loop *loop, enum result (*its_start)(int fd, struct why *why))
{
	lookups.start = its_start;
	pool_begin(&lookups.pool, &kind, loop);
}

void lookup_ask(struct lookup *lookup, const char *name, bool wants_hash,
                void (*done)(struct lookup *, enum result, const struct lookup_account *, const struct why *))
{
	const struct lookup_account *known;
	struct why why = { 0 };

	lookup->question = (struct pool_question){ .who = "", .key = lookup->key, .about = lookup->key + 1, .done = told };
	lookup->done = done;
	if (strlen(name) > ADDRESS_LOCAL_MAX) {
		done(lookup, RESULT_END, NULL, &why);
		return;
	}
	lookup->key[0] = wants_hash ? KEY_WITH_HASH : KEY_PLAIN;
	memcpy(lookup->key + 1, name, strlen(name) + 1);
	known = find_cached(lookup->key);
	if (known)
		done(lookup, RESULT_OK, known, &why);
	else
		pool_ask(&lookups.pool, &lookup->question);
}

void lookup_cancel(struct lookup *lookup)
{
	pool_cancel(&lookups.pool, &lookup->question);
}

bool lookup_is_asked(const struct lookup *lookup)
{
	return lookup->question.at != NULL;
}

const char *lookup_name(const struct lookup *lookup)
{
	return lookup->key + 1;
}
