/* The asking side: see lookup.h. */
#include "lookup.h"

#include "log.h"
#include <string.h>
#include <unistd.h>

enum {
	LIMIT_MS = LOOKUP_SECONDS * 1000,
	TICK_MS = 1000,
	GRACE_MS = 1000,	/* after the helper's own limit, for one that even SIGKILL does not end */
	START_AGAIN_MS = 1000,	/* after a start that failed */
};

struct helper {
	struct channel channel;		/* fd -1: not running */
	bool is_busy;			/* also one that is stuck: it has its place until it is gone */
	uint64_t serial, asked_ms;
	char name[ADDRESS_LOCAL_MAX + 1];
	bool wants_hash;
};

/* Good answers; one entry a hash value. */
struct cached {
	char name[ADDRESS_LOCAL_MAX + 1];
	bool has_hash;
	uint64_t until_ms;
	struct lookup_account account;
};

static struct {
	struct loop *loop;
	enum result (*start)(int fd, struct why *why);
	struct helper helpers[LOOKUP_HELPERS_MAX];
	struct cached cache[LOOKUP_CACHE_SIZE];
	struct lookup *first, **last;	/* all questions without an answer, oldest first */
	size_t count;
	uint64_t serial, start_after_ms;
	struct timer timer;
} lookups;

static void assign(void);

/* ---- questions ---- */

static void unlink_from_list(struct lookup *lookup)
{
	*lookup->at = lookup->next;
	if (lookup->next)
		lookup->next->at = lookup->at;
	if (lookups.last == &lookup->next)
		lookups.last = lookup->at;
	lookup->at = NULL;
}

static void append_to_list(struct lookup *lookup, struct lookup **end)
{
	lookup->next = NULL;
	lookup->at = end;
	*end = lookup;
}

void lookup_cancel(struct lookup *lookup)
{
	if (!lookup->at)
		return;
	unlink_from_list(lookup);
	lookups.count--;
}

static void finish(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *why)
{
	lookup_cancel(lookup);
	lookup->done(lookup, result, account, why);
}

static bool is_about(const struct lookup *lookup, const char *name, bool wants_hash)
{
	return lookup->wants_hash == wants_hash && !strcmp(lookup->name, name);
}

/* All who asked for it by now; what their callbacks ask is new. */
static void finish_all(const char *name, bool wants_hash, enum result result, const struct lookup_account *account, const struct why *why)
{
	struct lookup *ours = NULL, **end = &ours, *next;

	for (struct lookup *lookup = lookups.first; lookup; lookup = next) {
		next = lookup->next;
		if (!is_about(lookup, name, wants_hash))
			continue;
		unlink_from_list(lookup);
		append_to_list(lookup, end);
		end = &lookup->next;
	}
	while (ours)
		finish(ours, result, account, why);
}

/* ---- the cache ---- */

static struct cached *cached_of(const char *name, bool wants_hash)
{
	uint32_t hash = 2166136261u + wants_hash;

	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619;
	return &lookups.cache[hash % LOOKUP_CACHE_SIZE];
}

static const struct lookup_account *find_cached(const char *name, bool wants_hash)
{
	const struct cached *cached = cached_of(name, wants_hash);

	if (cached->until_ms <= loop_now_ms(lookups.loop) || cached->has_hash != wants_hash || strcmp(cached->name, name))
		return NULL;
	return &cached->account;
}

static void remember(const struct helper *helper, const struct lookup_account *account)
{
	struct cached *cached = cached_of(helper->name, helper->wants_hash);

	memcpy(cached->name, helper->name, sizeof cached->name);
	cached->has_hash = helper->wants_hash;
	cached->until_ms = loop_now_ms(lookups.loop) + LOOKUP_CACHE_MS;
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

static void helper_told(struct channel *channel, struct frame *f)
{
	struct helper *helper = container_of(channel, struct helper, channel);
	struct lookup_account account = { 0 };
	struct why why = { 0 };
	enum result result;

	if (f->descriptor >= 0)
		close(f->descriptor);
	if (f->type != FRAME_LOOKUP_TELL || !helper->is_busy || f->value[LOOKUP_TELL_SERIAL].number != helper->serial)
		return;
	result = take_answer(f, &account, &why);
	helper->is_busy = false;
	if (result == RESULT_OK)
		remember(helper, &account);
	finish_all(helper->name, helper->wants_hash, result, &account, &why);
	explicit_bzero(account.hash, sizeof account.hash);
	assign();
}

static void log_helper(const char *event, const struct helper *helper, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_text(&line, "name", helper->name);
	log_why(&line, why);
	log_end(&line);
}

static uint64_t asked_since_ms(const struct helper *helper)
{
	return loop_now_ms(lookups.loop) - helper->asked_ms;
}

static void refuse_all(struct helper *helper, const char *words)
{
	struct why why = { 0 };

	why_set(&why, RESULT_RETRY, "%s", words);
	finish_all(helper->name, helper->wants_hash, RESULT_RETRY, NULL, &why);
}

/* Its place is free again; the loop's time may lie a little before the kernel's timer. */
static void helper_lost(struct channel *channel, const struct why *why)
{
	struct helper *helper = container_of(channel, struct helper, channel);
	bool was_busy = helper->is_busy;

	helper->is_busy = false;
	if (!was_busy) {
		log_helper("lookup-helper-died", helper, why);
	} else if (asked_since_ms(helper) >= LIMIT_MS - GRACE_MS) {
		log_helper("lookup-stuck", helper, NULL);
		refuse_all(helper, "the look-up of the account takes too long");
	} else {
		log_helper("lookup-helper-died", helper, why);
		refuse_all(helper, "the look-up of the account broke off");
	}
	assign();
}

/* ---- helpers ---- */

static enum result start_helper(struct helper *helper, struct why *why)
{
	int ends[2];
	enum result result = channel_pair(ends, why);

	if (result != RESULT_OK)
		return result;
	result = channel_open(&helper->channel, lookups.loop, ends[0], helper_told, helper_lost, why);
	if (result != RESULT_OK) {
		close(ends[1]);
		return result;
	}
	result = lookups.start(ends[1], why);
	if (result != RESULT_OK)
		channel_close(&helper->channel);
	return result;
}

/* One without work, started if there may be one more; NULL. */
static struct helper *idle_helper(void)
{
	struct helper *stopped = NULL;
	struct why why = { 0 };

	for (size_t i = 0; i < LOOKUP_HELPERS_MAX; i++) {
		struct helper *helper = &lookups.helpers[i];

		if (helper->channel.fd >= 0 && !helper->is_busy)
			return helper;
		if (helper->channel.fd < 0)
			stopped = helper;
	}
	if (!stopped || loop_now_ms(lookups.loop) < lookups.start_after_ms)
		return NULL;
	if (start_helper(stopped, &why) == RESULT_OK)
		return stopped;
	log_failure("no-lookup-helper", &why);
	lookups.start_after_ms = loop_now_ms(lookups.loop) + START_AGAIN_MS;
	return NULL;
}

static bool is_being_asked(const struct lookup *lookup)
{
	for (size_t i = 0; i < LOOKUP_HELPERS_MAX; i++)
		if (lookups.helpers[i].is_busy && is_about(lookup, lookups.helpers[i].name, lookups.helpers[i].wants_hash))
			return true;
	return false;
}

static void ask_helper(struct helper *helper, const struct lookup *lookup)
{
	const struct wire_value values[LOOKUP_ASK_FIELDS] = {
		WIRE_NUMBER(++lookups.serial), WIRE_STRING(lookup->name), WIRE_NUMBER(lookup->wants_hash),
	};

	helper->is_busy = true;
	helper->serial = lookups.serial;
	helper->asked_ms = loop_now_ms(lookups.loop);
	helper->wants_hash = lookup->wants_hash;
	memcpy(helper->name, lookup->name, sizeof helper->name);
	/* one frame on an empty pipe: without memory for it the question's time runs out */
	channel_send(&helper->channel, FRAME_LOOKUP_ASK, values, -1, NULL);
}

static void assign(void)
{
	struct helper *helper;

	for (struct lookup *lookup = lookups.first; lookup; lookup = lookup->next) {
		if (is_being_asked(lookup))
			continue;
		helper = idle_helper();
		if (!helper)
			return;
		ask_helper(helper, lookup);
	}
}

/* ---- time ---- */

static void ticked(struct timer *timer)
{
	uint64_t now = loop_now_ms(lookups.loop);
	struct why why = { 0 };

	for (size_t i = 0; i < LOOKUP_HELPERS_MAX; i++)
		if (lookups.helpers[i].is_busy && asked_since_ms(&lookups.helpers[i]) >= LIMIT_MS + GRACE_MS)
			refuse_all(&lookups.helpers[i], "the look-up of the account takes too long");
	why_set(&why, RESULT_RETRY, "too many look-ups of accounts wait");
	while (lookups.first && lookups.first->due_ms <= now)	/* they all have the same time, the oldest is first */
		finish(lookups.first, RESULT_RETRY, NULL, &why);
	assign();
	if (lookups.first)
		loop_set_timer(lookups.loop, timer, TICK_MS, ticked);
}

void lookup_begin(struct loop *loop, enum result (*start)(int fd, struct why *why))
{
	lookups.loop = loop;
	lookups.start = start;
	lookups.last = &lookups.first;
	for (size_t i = 0; i < LOOKUP_HELPERS_MAX; i++)
		lookups.helpers[i].channel.fd = -1;
}

void lookup_ask(struct lookup *lookup, const char *name, bool wants_hash,
                void (*done)(struct lookup *, enum result, const struct lookup_account *, const struct why *))
{
	const struct lookup_account *known;
	struct why why = { 0 };

	lookup->wants_hash = wants_hash;
	lookup->at = NULL;
	lookup->done = done;
	if (strlen(name) >= sizeof lookup->name) {
		done(lookup, RESULT_END, NULL, &why);
		return;
	}
	memcpy(lookup->name, name, strlen(name) + 1);
	known = find_cached(name, wants_hash);
	if (known) {
		done(lookup, RESULT_OK, known, &why);
		return;
	}
	if (lookups.count == LOOKUP_WAITING_MAX ||
	    (!lookups.timer.place && !loop_set_timer(lookups.loop, &lookups.timer, TICK_MS, ticked))) {
		why_set(&why, RESULT_RETRY, "too many look-ups of accounts wait");
		done(lookup, RESULT_RETRY, NULL, &why);
		return;
	}
	lookup->due_ms = loop_now_ms(lookups.loop) + LIMIT_MS + 2 * GRACE_MS;
	append_to_list(lookup, lookups.last);
	lookups.last = &lookup->next;
	lookups.count++;
	assign();
}
