#include "authd/refusal.h"

#include <stdlib.h>

struct refusal {
	struct timer timer;
	struct refusal *next, **at;	/* in the list of all */
	struct channel *worker;
	uint64_t serial;
	enum login_verdict verdict;
};

static struct {
	struct loop *loop;
	void (*answer)(struct channel *worker, uint64_t serial, enum login_verdict verdict);
	struct refusal *first;
	size_t count;
} refusals;

void refusals_begin(struct loop *loop, void (*answer)(struct channel *worker, uint64_t serial, enum login_verdict verdict))
{
	refusals.loop = loop;
	refusals.answer = answer;
}

static void refusal_free(struct refusal *refusal)
{
	loop_unset_timer(refusals.loop, &refusal->timer);
	*refusal->at = refusal->next;
	if (refusal->next)
		refusal->next->at = refusal->at;
	refusals.count--;
	free(refusal);
}

static void refusal_due(struct timer *timer)
{
	struct refusal *refusal = container_of(timer, struct refusal, timer);
	struct channel *worker = refusal->worker;
	uint64_t serial = refusal->serial;
	enum login_verdict verdict = refusal->verdict;

	refusal_free(refusal);
	refusals.answer(worker, serial, verdict);
}

void refusal_wait(struct channel *worker, uint64_t serial, enum login_verdict verdict, uint64_t wait_ms)
{
	struct refusal *refusal = refusals.count < REFUSALS_MAX ? calloc(1, sizeof *refusal) : NULL;

	if (!refusal || !loop_set_timer(refusals.loop, &refusal->timer, wait_ms, refusal_due)) {
		free(refusal);
		refusals.answer(worker, serial, verdict);
		return;
	}
	refusal->worker = worker;
	refusal->serial = serial;
	refusal->verdict = verdict;
	refusal->next = refusals.first;
	refusal->at = &refusals.first;
	if (refusal->next)
		refusal->next->at = &refusal->next;
	refusals.first = refusal;
	refusals.count++;
}

void refusals_forget(const struct channel *worker)
{
	struct refusal *refusal, *next;

	for (refusal = refusals.first; refusal; refusal = next) {
		next = refusal->next;
		if (refusal->worker == worker)
			refusal_free(refusal);
	}
}
