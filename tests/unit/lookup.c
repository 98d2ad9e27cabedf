/* Look-ups of accounts against helpers that answer, keep silent, die or can't be started. */
#include "unit.h"
#include "common/lookup.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = LOOKUP_WAITING_MAX + 10 };

static struct loop *loop;
static unsigned started, refused_starts;

/* What a helper does with a name: "die.." ends it, "mute.." gets no answer, "none.." is unknown, "late.." fails. */
static void answer(struct channel *channel, const struct frame *f)
{
	const struct wire_value *name = &f->value[LOOKUP_ASK_NAME];
	struct wire_value values[LOOKUP_TELL_FIELDS] = {
		WIRE_NUMBER(f->value[LOOKUP_ASK_SERIAL].number), WIRE_NUMBER(LOOKUP_FOUND), WIRE_NUMBER(1000 + name->length),
		WIRE_NUMBER(100), WIRE_STRING("/home/x"), WIRE_STRING(""), WIRE_STRING(""),
	};

	if (!strncmp(name->bytes, "die", 3))
		_exit(1);
	if (!strncmp(name->bytes, "mute", 4))
		return;
	if (!strncmp(name->bytes, "none", 4))
		values[LOOKUP_TELL_VERDICT].number = LOOKUP_UNKNOWN;
	if (!strncmp(name->bytes, "late", 4)) {
		values[LOOKUP_TELL_VERDICT].number = LOOKUP_LATER;
		values[LOOKUP_TELL_WORDS] = (struct wire_value)WIRE_STRING("not now");
	}
	channel_send(channel, FRAME_LOOKUP_TELL, values, -1, NULL);
}

static enum result start(int fd, struct why *why)
{
	struct channel channel;
	struct frame f;

	if (refused_starts) {
		refused_starts--;
		close(fd);
		return why_set(why, RESULT_RETRY, "no more processes");
	}
	started++;
	if (fork()) {
		close(fd);
		return RESULT_OK;
	}
	close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
	if (channel_open(&channel, NULL, fd, NULL, NULL, why) == RESULT_OK)
		while (channel_wait(&channel, &f, -1, why) == RESULT_OK)
			answer(&channel, &f);
	_exit(0);
}

struct question {
	struct lookup lookup;
	unsigned answers;
	enum result result;
	struct lookup_account account;
	char words[WHY_MAX];
};

static unsigned left;		/* answers until the loop stops */

static void told(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *why)
{
	struct question *question = container_of(lookup, struct question, lookup);

	question->answers++;
	question->result = result;
	if (result == RESULT_OK)
		question->account = *account;
	snprintf(question->words, sizeof question->words, "%s", why->text);
	if (left && !--left)
		loop_stop(loop);
}

static void ask(struct question *question, const char *name)
{
	*question = (struct question){ 0 };
	lookup_ask(&question->lookup, name, false, told);
}

static void run_for(unsigned answers)
{
	struct why why = { 0 };

	left = answers;
	CHECK(loop_run(loop, &why) == RESULT_OK);
}

static void answers_come_and_are_remembered(void)
{
	struct question a, b, none;

	ask(&a, "fred");
	ask(&none, "none");
	CHECK(a.answers == 0);
	run_for(2);
	CHECK(a.result == RESULT_OK && a.account.uid == 1004 && a.account.gid == 100);
	CHECK_STRING(a.account.home, "/home/x");
	CHECK(none.result == RESULT_END);
	ask(&b, "fred");
	CHECK(b.answers == 1 && b.account.uid == 1004);	/* at once */
	ask(&b, "none");
	CHECK(b.answers == 0);				/* an account may be made any time */
	run_for(1);
	CHECK(b.result == RESULT_END);
}

static void equal_questions_share_one_helper_and_others_are_answered_beside_them(void)
{
	static struct question mute[20];
	struct question a;

	for (int i = 0; i < 20; i++)
		ask(&mute[i], "mute");
	for (int i = 0; i < 3; i++) {
		char name[24];

		snprintf(name, sizeof name, "beside%d", i);
		ask(&a, name);
		run_for(1);
		CHECK(a.result == RESULT_OK);
	}
	CHECK(started <= 3);
	for (int i = 0; i < 20; i++) {
		CHECK(mute[i].answers == 0);
		lookup_cancel(&mute[i].lookup);
	}
}

static void a_helper_that_dies_fails_its_question_alone(void)
{
	struct question die, twin, a;

	ask(&die, "die");
	ask(&twin, "die");
	ask(&a, "after");
	run_for(3);
	CHECK(die.result == RESULT_RETRY && twin.result == RESULT_RETRY && a.result == RESULT_OK);
	CHECK_STRING(die.words, "the look-up of the account broke off");
	ask(&a, "late");
	run_for(1);
	CHECK(a.result == RESULT_RETRY);
	CHECK_STRING(a.words, "not now");
}

static void who_was_cancelled_hears_nothing(void)
{
	struct question a, b;

	ask(&a, "cancelled");
	ask(&b, "cancelled");
	lookup_cancel(&a.lookup);
	lookup_cancel(&a.lookup);
	run_for(1);
	CHECK(a.answers == 0 && b.answers == 1 && b.result == RESULT_OK);
}

/* All helpers are held by names without an answer. */
static void the_queue_has_an_end(void)
{
	static struct question held[POOL_HELPERS], many[MANY];
	unsigned refused = 0;
	char name[24];

	for (int i = 0; i < POOL_HELPERS; i++) {
		snprintf(name, sizeof name, "mute%d", i);
		ask(&held[i], name);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "many%d", i);
		ask(&many[i], name);
		refused += many[i].answers;
	}
	CHECK(refused == MANY - (LOOKUP_WAITING_MAX - POOL_HELPERS));
	CHECK(many[MANY - 1].result == RESULT_RETRY);
	CHECK(started <= 3 + POOL_HELPERS);
	for (int i = 0; i < MANY; i++)
		lookup_cancel(&many[i].lookup);
	for (int i = 0; i < POOL_HELPERS; i++)
		lookup_cancel(&held[i].lookup);
}

static void names_that_are_too_long_are_unknown(void)
{
	struct question a;

	ask(&a, "0123456789012345678901234567890123456789012345678901234567890123456789");
	CHECK(a.answers == 1 && a.result == RESULT_END);
}

int main(void)
{
	struct why why = { 0 };

	CHECK(loop_make(&loop, &why) == RESULT_OK);
	lookup_begin(loop, start);
	refused_starts = 1;		/* a start that fails is tried again: the question waits */
	UNIT_RUN(answers_come_and_are_remembered);
	CHECK(started >= 1 && refused_starts == 0);
	UNIT_RUN(equal_questions_share_one_helper_and_others_are_answered_beside_them);
	UNIT_RUN(a_helper_that_dies_fails_its_question_alone);
	UNIT_RUN(who_was_cancelled_hears_nothing);
	UNIT_RUN(names_that_are_too_long_are_unknown);
	UNIT_RUN(the_queue_has_an_end);
	return unit_end();
}
