/* Questions about paths to real helpers (helper.h), some of which hang until the kernel's timer kills them, or longer. */
#include "unit.h"
#include "common/helper.h"
#include "common/hung.h"
#include "common/pool.h"

#include <signal.h>
#include <unistd.h>

enum { SECONDS = 2, SLOW_MS = 1000, IDLE_MS = 3000 };

static struct loop *loop;
static struct pool pool;
static pid_t helpers[100];
static unsigned started, running, most;	/* helpers; MOST at a time, as far as the pool knows */

/* ---- the helper: what it does with a path tells its last word ---- */

static enum result enter(const void *context, struct why *why)
{
	(void)why;
	return context ? RESULT_OK : RESULT_NEVER;
}

static bool answer(struct channel *channel, const struct frame *f)
{
	struct wire_value values[LOOKUP_TELL_FIELDS] = { WIRE_NUMBER(f->value[LOOKUP_ASK_SERIAL].number), WIRE_NUMBER(LOOKUP_FOUND) };
	char path[65];

	if (!frame_value_copy(f, LOOKUP_ASK_NAME, path, sizeof path))
		return false;
	if (strstr(path, "link"))
		CHECK(helper_open(channel, f->value[LOOKUP_ASK_SERIAL].number, "/proc/self/root") < 0);
	if (strstr(path, "stubborn"))	/* not even SIGKILL ends it, for the test */
		helper_limit(0);
	while (strstr(path, "hang") || strstr(path, "stubborn"))
		pause();
	if (strstr(path, "die"))
		_exit(1);
	channel_send(channel, FRAME_LOOKUP_TELL, values, -1, NULL);
	return !strstr(path, "last");
}

/* ---- the asking side ---- */

static enum result start(const struct pool_question *question, int fd, struct why *why)
{
	const struct helper_duty duty = {
		.name = "helper", .log_none = "no-helper", .seconds = SECONDS, .context = question->who, .enter = enter, .answer = answer,
	};

	(void)why;
	if (!(helpers[started++] = fork())) {
		close_range(3, (unsigned)fd - 1, 0);
		close_range((unsigned)fd + 1, ~0u, 0);
		_exit(helper_run(fd, &duty));
	}
	close(fd);
	running = 0;
	for (size_t i = 0; i < POOL_PROCESSES; i++)
		running += pool.helpers[i].channel.fd >= 0;
	most = running > most ? running : most;
	return RESULT_OK;
}

static void ask_helper(const struct pool_question *question, struct channel *helper, uint64_t serial)
{
	const struct wire_value values[LOOKUP_ASK_FIELDS] = { WIRE_NUMBER(serial), WIRE_STRING(question->about) };

	channel_send(helper, FRAME_LOOKUP_ASK, values, -1, NULL);
}

static const struct pool_kind kind = {
	.seconds = SECONDS, .slow_ms = SLOW_MS, .idle_ms = IDLE_MS, .waiting_max = 1000, .tell = FRAME_LOOKUP_TELL,
	.late = "late", .broken = "broken", .crowded = "crowded",
	.log_stuck = "stuck", .log_died = "died", .log_none = "no-helper", .log_about = "path",
	.start = start, .ask = ask_helper,
};

struct asked {
	struct pool_question question;
	unsigned answers;
	enum result result;
	char words[WHY_MAX];
};

static unsigned open, enough;	/* questions without an answer; at how many of them the loop stops */

static void told(struct pool_question *question, enum result result, const struct frame *f, const struct why *why)
{
	struct asked *asked = container_of(question, struct asked, question);

	asked->answers++;
	asked->result = result;
	snprintf(asked->words, sizeof asked->words, "%s", why->text);
	CHECK((result == RESULT_OK) == (f != NULL));
	if (--open == enough)
		loop_stop(loop);
}

static void ask_as(struct asked *asked, const char *who, const char *path)
{
	open++;
	*asked = (struct asked){ .question = { .who = who, .key = path, .about = path, .done = told } };
	pool_ask(&pool, &asked->question);
}

static void ask(struct asked *asked, const char *path)
{
	ask_as(asked, "one", path);
}

static void run_loop(void)
{
	struct why why = { 0 };

	CHECK(loop_run(loop, &why) == RESULT_OK);
}

/* Some are answered at once, before any turn of the loop. */
static void run_until_open(unsigned count)
{
	enough = count;
	if (open > count)
		run_loop();
}

static void a_helper_that_is_somebody_else_does_not_do(void)
{
	struct asked a, b;

	ask_as(&a, "one", "/mail/a");
	run_until_open(0);
	ask_as(&a, "one", "/mail/b");
	run_until_open(0);
	CHECK(started == 1);
	ask_as(&a, "two", "/mail/a");
	ask_as(&b, "three", "/mail/a");
	run_until_open(0);
	CHECK(a.result == RESULT_OK && b.result == RESULT_OK && started == 3);
	for (int i = 0; i < 8; i++) {	/* idle ones make room */
		const char *const names[] = { "four", "five", "six", "seven" };

		ask_as(&a, names[i % 4], "/mail/a");
		run_until_open(0);
		CHECK(a.result == RESULT_OK);
	}
	CHECK(started == 7 && most <= POOL_HELPERS);
}

static void one_that_ends_after_its_answer_is_started_anew(void)
{
	struct asked a;
	unsigned before = started;

	ask_as(&a, "four", "/mail/last");
	run_until_open(0);
	CHECK(a.result == RESULT_OK);
	ask_as(&a, "four", "/mail/a");
	run_until_open(0);
	CHECK(a.result == RESULT_OK && started == before + 1);	/* also where it was asked before its end was seen */
}

/* Slow ones do not keep others from being asked, of the same mount neither, while it is one or two that hang. */
static void what_hangs_is_killed_and_left_alone(void)
{
	struct asked hang[2], twin, others[2 * POOL_HELPERS];
	char path[2 * POOL_HELPERS][32];

	ask(&hang[0], "/proc/hang/1");
	ask(&hang[1], "/proc/hang/2");
	ask(&twin, "/proc/hang/1");
	for (int i = 0; i < 2 * POOL_HELPERS; i++) {
		snprintf(path[i], sizeof path[i], "/proc/%d", i);
		ask(&others[i], path[i]);
	}
	run_until_open(3);
	for (int i = 0; i < 2 * POOL_HELPERS; i++)
		CHECK(others[i].result == RESULT_OK && others[i].answers == 1);
	CHECK(hang[0].answers + hang[1].answers + twin.answers == 0);
	run_until_open(0);
	CHECK(hang[0].result == RESULT_RETRY && hang[1].result == RESULT_RETRY && twin.result == RESULT_RETRY);
	CHECK_STRING(hang[0].words, "late");
	ask(&twin, "/proc/hang/1");
	CHECK(twin.answers == 1 && twin.result == RESULT_RETRY);	/* at once */
	CHECK_STRING(twin.words, "late");
}

/* They may hang on any mount: the one that their paths name is asked on. */
static void those_behind_links_hang_alone(void)
{
	struct asked hang[3], a;
	static const char *const paths[] = { "/proc/link/hang/1", "/proc/link/hang/2", "/proc/link/hang/3" };

	for (int i = 0; i < 3; i++)
		ask(&hang[i], paths[i]);
	run_until_open(0);
	for (int i = 0; i < 3; i++)
		CHECK(hang[i].result == RESULT_RETRY);
	ask(&a, "/proc/link/beside");
	run_until_open(0);
	CHECK(a.result == RESULT_OK);
	ask(&a, paths[0]);
	CHECK(a.answers == 1 && a.result == RESULT_RETRY);	/* at once */
}

static void look_for_busy(struct timer *timer)
{
	unsigned busy = 0;

	for (size_t i = 0; i < POOL_PROCESSES; i++)
		busy += pool.helpers[i].is_busy;
	if (busy)
		loop_set_timer(loop, timer, 20, look_for_busy);
	else
		loop_stop(loop);
}

/* Those that do not end keep no place from others, and of their mount no more are asked than it takes to know it. */
static void those_that_do_not_end_are_few(void)
{
	static struct timer gone;
	struct asked stubborn[12], a;
	char path[12][32];

	most = 0;
	for (int i = 0; i < 12; i++) {
		snprintf(path[i], sizeof path[i], "/proc/stubborn/%d", i);
		ask(&stubborn[i], path[i]);
	}
	ask(&a, "/mail/beside");
	run_until_open(POOL_HELPERS);		/* those that wait are refused with the mount */
	CHECK(a.result == RESULT_OK);
	for (int i = POOL_HELPERS; i < 12; i++)
		CHECK(stubborn[i].result == RESULT_RETRY);
	run_until_open(0);
	for (int i = 0; i < POOL_HELPERS; i++)
		CHECK(stubborn[i].result == RESULT_RETRY);
	for (int i = 0; i < 20; i++) {
		snprintf(path[0], sizeof path[0], "/mail/%d", i);
		ask(&a, path[0]);
		run_until_open(0);
		CHECK(a.result == RESULT_OK);
	}
	ask(&a, "/proc/stubborn/new");
	CHECK(a.answers == 1 && a.result == RESULT_RETRY);
	CHECK(most <= 3 * POOL_HELPERS);
	for (unsigned i = 0; i < started; i++)	/* as long as this process has not waited, no other has their numbers */
		kill(helpers[i], SIGKILL);
	loop_set_timer(loop, &gone, 20, look_for_busy);
	run_loop();
	ask(&a, "/proc/new");			/* the mount woke them, as far as the pool knows */
	run_until_open(0);
	CHECK(a.result == RESULT_OK);
}

static void one_that_dies_fails_its_question_alone(void)
{
	struct asked die, a;

	ask(&die, "/mail/die");
	ask(&a, "/mail/alive");
	run_until_open(0);
	CHECK(die.result == RESULT_RETRY && a.result == RESULT_OK);
	CHECK_STRING(die.words, "broken");
	ask(&die, "/mail/die");		/* that is no hanging */
	CHECK(die.answers == 0);
	run_until_open(0);
}

static void look_for_idle(struct timer *timer)
{
	unsigned idle = 0;

	for (size_t i = 0; i < POOL_PROCESSES; i++)
		idle += pool.helpers[i].channel.fd >= 0 && !pool.helpers[i].is_busy;
	if (idle)
		loop_set_timer(loop, timer, 20, look_for_idle);
	else
		loop_stop(loop);
}

static void idle_ones_end_and_are_started_again(void)
{
	static struct timer timer;
	struct asked a;
	unsigned before = started;

	loop_set_timer(loop, &timer, 20, look_for_idle);
	run_loop();
	ask(&a, "/mail/a");
	run_until_open(0);
	CHECK(a.result == RESULT_OK && started == before + 1);
}

int main(void)
{
	struct why why = { 0 };

	CHECK(loop_make(&loop, &why) == RESULT_OK);
	pool_begin(&pool, &kind, loop);
	UNIT_RUN(a_helper_that_is_somebody_else_does_not_do);
	UNIT_RUN(one_that_ends_after_its_answer_is_started_anew);
	UNIT_RUN(one_that_dies_fails_its_question_alone);
	UNIT_RUN(what_hangs_is_killed_and_left_alone);
	UNIT_RUN(those_behind_links_hang_alone);
	UNIT_RUN(those_that_do_not_end_are_few);
	UNIT_RUN(idle_ones_end_and_are_started_again);
	return unit_end();
}
