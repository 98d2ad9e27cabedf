#include "questions.h"

#include <stdio.h>
#include <string.h>

static void take_out(struct question *question)
{
	struct questions *questions = question->of;
	struct question **at = &questions->waiting[question->serial % QUESTION_SLOTS];

	while (*at && *at != question)
		at = &(*at)->next;
	if (*at) {
		*at = question->next;
		questions->count--;
	}
	loop_unset_timer(questions->loop, &question->patience);
	question->serial = 0;
}

static void end_without(struct question *question, const char *what)
{
	const struct questions_kind *kind = question->of->kind;
	char words[100];

	snprintf(words, sizeof words, "%s %s", kind->helper, what);
	take_out(question);
	kind->told(question, NULL, words);
}

static void patience_over(struct timer *timer)
{
	struct question *question = container_of(timer, struct question, patience);

	end_without(question, question->of->channel.fd < 0 ? "is not running" : "did not answer in time");
}

void question_cancel(struct question *question)
{
	if (question->serial)
		take_out(question);
}

void questions_ask(struct questions *questions, struct question *question, struct wire_value *values)
{
	struct question **slot;
	struct why why = { 0 };
	bool is_asked = false;

	question->of = questions;
	question->serial = ++questions->last_serial;
	slot = &questions->waiting[question->serial % QUESTION_SLOTS];
	question->next = *slot;
	*slot = question;
	questions->count++;
	values[0] = (struct wire_value)WIRE_NUMBER(question->serial);
	if (questions->channel.fd >= 0 && questions->count <= questions->kind->most)
		is_asked = channel_send(&questions->channel, questions->kind->ask, values, -1, &why) == RESULT_OK;
	/* The end never comes from within this call, so that the owner is in order when it does. */
	loop_set_timer(questions->loop, &question->patience, is_asked ? questions->kind->patience_ms : 0, patience_over);
}

/* ---- the pipe ---- */

static void take_answer(struct channel *channel, struct frame *f)
{
	struct questions *questions = container_of(channel, struct questions, channel);
	struct question *question;
	uint64_t serial;

	if (f->type != questions->kind->tell)
		return;
	serial = f->value[0].number;
	question = questions->waiting[serial % QUESTION_SLOTS];
	while (question && question->serial != serial)
		question = question->next;
	if (!question)
		return;	/* cancelled, or too late */
	take_out(question);
	questions->kind->told(question, f, NULL);
}

/* The helper is gone: whoever waits hears of it now. */
static void give_up_all(struct questions *questions)
{
	uint64_t last = questions->last_serial;
	size_t i;

	for (i = 0; i < QUESTION_SLOTS; i++) {
		struct question *question = questions->waiting[i];
		while (question) {
			if (question->serial > last) {	/* asked anew by one that has just ended */
				question = question->next;
				continue;
			}
			end_without(question, "went away");
			question = questions->waiting[i];	/* the list may have changed */
		}
	}
}

static void lost(struct channel *channel, const struct why *why)
{
	(void)why;
	give_up_all(container_of(channel, struct questions, channel));
}

void questions_init(struct questions *questions, const struct questions_kind *kind, struct loop *loop)
{
	memset(questions, 0, sizeof *questions);
	questions->kind = kind;
	questions->loop = loop;
	questions->channel.fd = -1;
}

enum result questions_join(struct questions *questions, int fd, struct why *why)
{
	if (questions->channel.fd >= 0) {
		channel_close(&questions->channel);
		give_up_all(questions);
	}
	return channel_open(&questions->channel, questions->loop, fd, take_answer, lost, why);
}
