#include "authd/checkers.h"
#include "common/log.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

struct checker {
	struct channel channel;		/* fd -1: not running */
	struct check *check;		/* at work on this one */
};

static struct {
	struct loop *loop;
	struct channel *starter;
	struct checker all[CHECKERS_MAX];
	size_t size;
	struct check *first, **last;
	size_t waiting;
} pool;

static void assign(void);

static void finish(struct checker *checker, enum result result, bool is_match)
{
	struct check *check = checker->check;

	checker->check = NULL;
	if (check)
		check->done(check, result, is_match);
}

static void checker_told(struct channel *channel, struct frame *f)
{
	struct checker *checker = container_of(channel, struct checker, channel);

	if (f->type == FRAME_CHECK_TELL)
		finish(checker, RESULT_OK, f->value[CHECK_TELL_MATCH].number == 1);
	assign();
}

static void queue(struct check *check)
{
	check->next = NULL;
	*pool.last = check;
	pool.last = &check->next;
	pool.waiting++;
}

static void checker_lost(struct channel *channel, const struct why *why)
{
	struct checker *checker = container_of(channel, struct checker, channel);

	log_failure("checker-lost", why);
	if (!checker->check)
		return;
	if (checker->check->was_tried) {
		finish(checker, RESULT_RETRY, false);
	} else {
		checker->check->was_tried = true;
		queue(checker->check);
		checker->check = NULL;
	}
	assign();
}

static enum result start_checker(struct checker *checker, struct why *why)
{
	const struct wire_value values[CHECKER_START_FIELDS] = { WIRE_NUMBER(checker - pool.all) };
	int ends[2];
	enum result result = channel_pair(ends, why);

	if (result != RESULT_OK)
		return result;
	result = channel_open(&checker->channel, pool.loop, ends[0], checker_told, checker_lost, why);
	if (result != RESULT_OK) {
		close(ends[1]);
		return result;
	}
	result = channel_send(pool.starter, FRAME_CHECKER_START, values, ends[1], why);
	if (result != RESULT_OK)
		channel_close(&checker->channel);
	return result;
}

/* A checker without work, started if there may be one more; NULL. */
static struct checker *idle_checker(void)
{
	struct checker *stopped = NULL;
	struct why why = { 0 };

	for (size_t i = 0; i < pool.size; i++) {
		struct checker *checker = &pool.all[i];
		if (checker->channel.fd >= 0 && !checker->check)
			return checker;
		if (checker->channel.fd < 0 && !checker->check)
			stopped = checker;
	}
	if (!stopped)
		return NULL;
	if (start_checker(stopped, &why) == RESULT_OK)
		return stopped;
	log_failure("no-checker", &why);
	return NULL;
}

static void assign(void)
{
	struct checker *checker;

	while (pool.first && (checker = idle_checker())) {
		struct check *check = pool.first;
		const struct wire_value values[CHECK_ASK_FIELDS] = {
			WIRE_NUMBER(0), WIRE_STRING(check->hash), WIRE_STRING(check->secret),
		};
		pool.first = check->next;
		if (!pool.first)
			pool.last = &pool.first;
		pool.waiting--;
		checker->check = check;
		if (channel_send(&checker->channel, FRAME_CHECK_ASK, values, -1, NULL) != RESULT_OK)
			finish(checker, RESULT_RETRY, false);
	}
}

void checkers_begin(struct loop *loop, struct channel *starter)
{
	cpu_set_t set;
	int cores = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);

	pool.loop = loop;
	pool.starter = starter;
	pool.last = &pool.first;
	pool.size = cores < CHECKERS_MAX ? (size_t)cores : CHECKERS_MAX;
	for (size_t i = 0; i < pool.size; i++)
		pool.all[i].channel.fd = -1;
}

enum result checkers_submit(struct check *check)
{
	if (pool.waiting >= CHECKS_WAITING_MAX)
		return RESULT_RETRY;
	queue(check);
	assign();
	return RESULT_OK;
}
