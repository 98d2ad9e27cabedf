/* The asking side: see pool.h. */
#include "pool.h"

#include "hung.h"
#include "log.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TICK_MS = 500,
	GRACE_MS = 1000,	/* after the helper's own limit, for one that even SIGKILL does not end */
	ROUNDING_MS = 100,	/* the loop's time may lie a little before the kernel's timer */
	START_AGAIN_MS = 1000,	/* after a start that failed */
};

static void assign(struct pool *pool);

static uint64_t limit_ms(const struct pool *pool)
{
	return pool->kind->seconds * UINT64_C(1000);
}

static uint64_t asked_since_ms(const struct pool_helper *helper)
{
	return loop_now_ms(helper->pool->loop) - helper->asked_ms;
}

/* ---- questions ---- */

static void unlink_from_list(struct pool *pool, struct pool_question *question)
{
	*question->at = question->next;
	if (question->next)
		question->next->at = question->at;
	if (pool->last == &question->next)
		pool->last = question->at;
	question->at = NULL;
}

static void append_to_list(struct pool_question *question, struct pool_question **end)
{
	question->next = NULL;
	question->at = end;
	*end = question;
}

void pool_cancel(struct pool *pool, struct pool_question *question)
{
	if (!question->at)
		return;
	unlink_from_list(pool, question);
	pool->count--;
}

static void finish(struct pool *pool, struct pool_question *question, enum result result, const struct frame *answer, const struct why *why)
{
	pool_cancel(pool, question);
	question->done(question, result, answer, why);
}

static void refuse(struct pool *pool, struct pool_question *question, const char *words)
{
	struct why why = { 0 };

	why_set(&why, RESULT_RETRY, "%s", words);
	finish(pool, question, RESULT_RETRY, NULL, &why);
}

static uint32_t hash_of(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619;
	return hash;
}

static bool is_same(const struct pool_helper *helper, const struct pool_question *question)
{
	return helper->hash == question->hash && !strcmp(helper->key, question->key) && !strcmp(helper->who, question->who);
}

static bool is_being_asked(const struct pool *pool, const struct pool_question *question)
{
	for (size_t i = 0; i < POOL_PROCESSES; i++)
		if (pool->helpers[i].is_busy && is_same(&pool->helpers[i], question))
			return true;
	return false;
}

/* All who have asked HELPER's question by now; what their callbacks ask is new. */
static void finish_all(const struct pool_helper *helper, enum result result, const struct frame *answer, const struct why *why)
{
	struct pool *pool = helper->pool;
	struct pool_question *ours = NULL, **end = &ours, *next;

	for (struct pool_question *question = pool->first; question; question = next) {
		next = question->next;
		if (!is_same(helper, question))
			continue;
		unlink_from_list(pool, question);
		append_to_list(question, end);
		end = &question->next;
	}
	while (ours)
		finish(pool, ours, result, answer, why);
}

static void refuse_all(const struct pool_helper *helper, const char *words)
{
	struct why why = { 0 };

	why_set(&why, RESULT_RETRY, "%s", words);
	finish_all(helper, RESULT_RETRY, NULL, &why);
}

/* ---- what hangs ---- */

static bool is_slow(const struct pool_helper *helper)
{
	unsigned slow_ms = helper->pool->kind->slow_ms;

	return helper->is_busy && slow_ms && asked_since_ms(helper) >= slow_ms;
}

static bool is_hung(const struct pool *pool, const struct pool_question *question)
{
	return pool->kind->slow_ms && hung_is(question->about, loop_now_ms(pool->loop));
}

/* Who waits for the same gets its answer now. */
static void note_hung(const struct pool_helper *helper)
{
	struct pool *pool = helper->pool;
	struct pool_question *hung = NULL, **end = &hung, *next;

	if (!pool->kind->slow_ms)
		return;
	(helper->is_apart ? hung_note_apart : hung_note)(helper->key + helper->about, loop_now_ms(pool->loop));
	for (struct pool_question *question = pool->first; question; question = next) {
		next = question->next;
		if (!is_hung(pool, question) || is_being_asked(pool, question))
			continue;
		unlink_from_list(pool, question);
		append_to_list(question, end);
		end = &question->next;
	}
	while (hung)
		refuse(pool, hung, pool->kind->late);
}

static void clear_hung(const struct pool_helper *helper)
{
	if (helper->pool->kind->slow_ms)
		hung_clear(helper->key + helper->about);
}

/* ---- answers ---- */

static void log_helper(const char *event, const struct pool_helper *helper, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_text(&line, helper->pool->kind->log_about, helper->key ? helper->key + helper->about : "");
	log_why(&line, why);
	log_end(&line);
}

static void helper_told(struct channel *channel, struct frame *f)
{
	struct pool_helper *helper = container_of(channel, struct pool_helper, channel);
	struct pool *pool = helper->pool;
	struct why why = { 0 };

	if (f->descriptor >= 0)
		close(f->descriptor);
	if (!helper->is_busy || f->value[0].number != helper->serial)
		return;
	helper->is_apart |= f->type == FRAME_PATH_APART;
	if (f->type != pool->kind->tell)
		return;
	clear_hung(helper);
	helper->has_answered = true;
	finish_all(helper, RESULT_OK, f, &why);
	helper->is_busy = false;	/* not before: new work would end F */
	assign(pool);
}

/* Its time is over, or it is. */
static void give_up(struct pool_helper *helper)
{
	if (!helper->is_stuck)
		log_helper(helper->pool->kind->log_stuck, helper, NULL);
	helper->is_stuck = true;
	note_hung(helper);
	refuse_all(helper, helper->pool->kind->late);
}

/* Its place is free again. One that SIGKILL could not end had to wait for an answer. One that had answered before may have
 * ended by that: the question is a fresh one's. */
static void helper_lost(struct channel *channel, const struct why *why)
{
	struct pool_helper *helper = container_of(channel, struct pool_helper, channel);
	struct pool *pool = helper->pool;

	if (helper->is_busy && helper->is_stuck) {
		clear_hung(helper);
	} else if (helper->is_busy && asked_since_ms(helper) + ROUNDING_MS >= limit_ms(pool)) {
		give_up(helper);
	} else if (helper->is_busy && !helper->has_answered) {
		log_helper(pool->kind->log_died, helper, why);
		refuse_all(helper, pool->kind->broken);
	}
	helper->is_busy = false;
	assign(pool);
}

/* ---- helpers ---- */

static enum result start_helper(struct pool_helper *helper, const struct pool_question *question, struct why *why)
{
	struct pool *pool = helper->pool;
	int ends[2];
	enum result result = channel_pair(ends, why);

	if (result != RESULT_OK)
		return result;
	result = channel_open(&helper->channel, pool->loop, ends[0], helper_told, helper_lost, why);
	if (result != RESULT_OK) {
		close(ends[1]);
		return result;
	}
	helper->has_answered = false;
	result = pool->kind->start(question, ends[1], why);
	if (result != RESULT_OK)
		channel_close(&helper->channel);
	return result;
}

/* Where one for QUESTION may be started: a free place, or that of an idle one that is somebody else. NULL: none. */
static struct pool_helper *find_place(struct pool *pool)
{
	struct pool_helper *stopped = NULL, *idle = NULL;
	size_t count = 0;

	for (size_t i = 0; i < POOL_PROCESSES; i++) {
		struct pool_helper *helper = &pool->helpers[i];

		if (helper->channel.fd < 0 && !helper->is_busy)
			stopped = helper;
		count += helper->channel.fd >= 0 && !is_slow(helper);
		if (helper->channel.fd >= 0 && !helper->is_busy && (!idle || helper->serial < idle->serial))
			idle = helper;
	}
	if (stopped && count < POOL_HELPERS)
		return stopped;
	if (idle)
		channel_close(&idle->channel);	/* it ends by that */
	return idle;
}

/* false: no memory. */
static bool take_question(struct pool_helper *helper, const struct pool_question *question)
{
	char *who = strdup(question->who), *key = strdup(question->key);

	if (!who || !key) {
		free(who);
		free(key);
		return false;
	}
	free(helper->who);
	free(helper->key);
	helper->who = who;
	helper->key = key;
	helper->hash = question->hash;
	helper->about = (size_t)(question->about - question->key);
	return true;
}

static struct pool_helper *find_idle(struct pool *pool, const struct pool_question *question)
{
	for (size_t i = 0; i < POOL_PROCESSES; i++) {
		struct pool_helper *helper = &pool->helpers[i];

		if (helper->channel.fd >= 0 && !helper->is_busy && !strcmp(helper->who, question->who))
			return helper;
	}
	return NULL;
}

/* One that has taken QUESTION, started if there may be one more; NULL. */
static struct pool_helper *choose_helper(struct pool *pool, const struct pool_question *question)
{
	struct pool_helper *helper = find_idle(pool, question);
	struct why why = { 0 };

	if (helper)
		return take_question(helper, question) ? helper : NULL;
	if (loop_now_ms(pool->loop) < pool->start_after_ms)
		return NULL;
	helper = find_place(pool);
	if (!helper || !take_question(helper, question))
		return NULL;
	if (start_helper(helper, question, &why) == RESULT_OK)
		return helper;
	log_failure(pool->kind->log_none, &why);
	pool->start_after_ms = loop_now_ms(pool->loop) + START_AGAIN_MS;
	return NULL;
}

static void assign(struct pool *pool)
{
	for (struct pool_question *question = pool->first; question; question = question->next) {
		struct pool_helper *helper;

		if (is_being_asked(pool, question))
			continue;
		helper = choose_helper(pool, question);
		if (!helper)
			return;
		helper->is_busy = true;
		helper->is_stuck = helper->is_apart = false;
		helper->serial = ++pool->serial;
		helper->asked_ms = loop_now_ms(pool->loop);
		/* one frame on an empty pipe: without memory for it the question's time runs out */
		pool->kind->ask(question, &helper->channel, helper->serial);
	}
}

/* ---- time ---- */

/* One that is idle for long ends by its channel. */
static void look_after(struct pool_helper *helper)
{
	if (!helper->is_busy && asked_since_ms(helper) >= helper->pool->kind->idle_ms)
		channel_close(&helper->channel);
	else if (helper->is_busy && asked_since_ms(helper) >= limit_ms(helper->pool) + GRACE_MS)
		give_up(helper);
	else if (is_slow(helper))
		note_hung(helper);
}

static void ticked(struct timer *timer);

/* As often as the work wants it, else for the idle. */
static void set_timer(struct pool *pool)
{
	bool is_running = false;

	pool->is_ticking = pool->first != NULL;
	for (size_t i = 0; i < POOL_PROCESSES; i++) {
		pool->is_ticking |= pool->helpers[i].is_busy;
		is_running |= pool->helpers[i].channel.fd >= 0;
	}
	if (pool->is_ticking || is_running)
		loop_set_timer(pool->loop, &pool->timer, pool->is_ticking ? TICK_MS : pool->kind->idle_ms, ticked);
}

static void ticked(struct timer *timer)
{
	struct pool *pool = container_of(timer, struct pool, timer);

	for (size_t i = 0; i < POOL_PROCESSES; i++)
		look_after(&pool->helpers[i]);
	while (pool->first && pool->first->due_ms <= loop_now_ms(pool->loop))	/* they all have the same time, the oldest is first */
		refuse(pool, pool->first, pool->kind->crowded);
	assign(pool);
	set_timer(pool);
}

void pool_begin(struct pool *pool, const struct pool_kind *kind, struct loop *loop)
{
	*pool = (struct pool){ .kind = kind, .loop = loop };
	pool->last = &pool->first;
	for (size_t i = 0; i < POOL_PROCESSES; i++) {
		pool->helpers[i].channel.fd = -1;
		pool->helpers[i].pool = pool;
	}
}

void pool_ask(struct pool *pool, struct pool_question *question)
{
	question->at = NULL;
	question->hash = hash_of(question->key);
	if (is_hung(pool, question)) {
		refuse(pool, question, pool->kind->late);
		return;
	}
	if (pool->count == pool->kind->waiting_max ||
	    (!pool->is_ticking && !loop_set_timer(pool->loop, &pool->timer, TICK_MS, ticked))) {
		refuse(pool, question, pool->kind->crowded);
		return;
	}
	pool->is_ticking = true;
	question->due_ms = loop_now_ms(pool->loop) + limit_ms(pool) + 2 * GRACE_MS;
	append_to_list(question, pool->last);
	pool->last = &question->next;
	pool->count++;
	assign(pool);
}
