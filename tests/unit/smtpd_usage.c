/* link: smtpd/usage.o */
/* Limits per user and the circuit breaker, by a clock of our own. */
#include "smtpd/usage.h"
#include "unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t START = UINT64_C(1000000) * 3600;	/* a full hour */

static struct usage *usage;
static char user[64];
static int users;

/* Each test has a user of its own. */
static void fresh_user(void)
{
	snprintf(user, sizeof user, "user%d@a.example", ++users);
}

static struct usage_verdict message(uint64_t now, const struct usage_limits *limits)
{
	bool was_released;

	return usage_message(usage, user, now, limits, 0, false, &was_released);
}

static enum usage_outcome recipient(uint64_t now, const struct usage_limits *limits, unsigned number, bool is_first)
{
	char text[64];

	snprintf(text, sizeof text, "to%u@b.example", number);
	return usage_recipient(usage, user, now, limits, text, is_first).outcome;
}

static void messages_of_an_hour_are_counted_and_slide(void)
{
	struct usage_limits limits = { .most = { [USER_MESSAGES_HOUR] = 3 } };
	struct usage_verdict verdict;

	fresh_user();
	for (unsigned i = 0; i < 3; i++) {
		CHECK(message(START + i * 600, &limits).outcome == USAGE_FREE);
		CHECK(recipient(START + i * 600, &limits, 1, true) == USAGE_FREE);
	}
	verdict = message(START + 1800, &limits);
	CHECK(verdict.outcome == USAGE_LIMITED && verdict.limit == USER_MESSAGES_HOUR && verdict.count == 3 && verdict.most == 3);
	CHECK(verdict.wait_seconds == 1800 && verdict.is_news);
	CHECK(!message(START + 1801, &limits).is_news);
	CHECK(message(START + 3599, &limits).outcome == USAGE_LIMITED);
	CHECK(message(START + 3600, &limits).outcome == USAGE_FREE);
	CHECK(recipient(START + 3600, &limits, 1, true) == USAGE_FREE);
	verdict = message(START + 3601, &limits);
	CHECK(verdict.outcome == USAGE_LIMITED && verdict.wait_seconds == 599 && !verdict.is_news);
}

static void a_message_counts_once_whatever_its_recipients(void)
{
	struct usage_limits limits = { .most = { [USER_MESSAGES_HOUR] = 1 } };

	fresh_user();
	CHECK(recipient(START, &limits, 1, true) == USAGE_FREE);
	CHECK(recipient(START, &limits, 2, false) == USAGE_FREE);
	CHECK(recipient(START, &limits, 3, false) == USAGE_FREE);
	CHECK(message(START, &limits).outcome == USAGE_LIMITED);
	CHECK(recipient(START, &limits, 4, true) == USAGE_LIMITED);
}

static void recipients_of_a_day_are_counted_and_slide(void)
{
	struct usage_limits limits = { .most = { [USER_RECIPIENTS_DAY] = 24 } };

	fresh_user();
	for (unsigned i = 0; i < 24; i++)
		CHECK(recipient(START + i * 3600, &limits, 1, true) == USAGE_FREE);
	struct usage_verdict verdict = message(START + 23 * 3600 + 60, &limits);
	CHECK(verdict.limit == USER_RECIPIENTS_DAY && verdict.wait_seconds == 3540);
	CHECK(message(START + 24 * 3600 - 1, &limits).outcome == USAGE_LIMITED);
	CHECK(message(START + 24 * 3600, &limits).outcome == USAGE_FREE);
	CHECK(message(START + 60 * 3600, &limits).outcome == USAGE_FREE);
}

static void no_limit_is_none(void)
{
	struct usage_limits limits = { .most = { 0 } };

	fresh_user();
	for (unsigned i = 0; i < 3000; i++)
		if (recipient(START, &limits, i, true) != USAGE_FREE)
			CHECK(!"free");
	CHECK(message(START, &limits).outcome == USAGE_FREE);
}

static void a_clock_that_went_back_frees_nobody(void)
{
	struct usage_limits limits = { .most = { [USER_MESSAGES_HOUR] = 1 } };

	fresh_user();
	CHECK(recipient(START + 7200, &limits, 1, true) == USAGE_FREE);
	CHECK(message(START + 7000, &limits).outcome == USAGE_LIMITED);
	CHECK(message(START, &limits).outcome == USAGE_LIMITED);
}

/* Each worker has the time of its loop's turn. */
static void a_worker_that_is_a_second_behind_has_no_news(void)
{
	struct usage_limits limits = { .most = { [USER_NETWORKS_HOUR] = 3 } }, hour = { .most = { [USER_MESSAGES_HOUR] = 1 } };
	struct usage_verdict verdict;
	bool was_released;

	fresh_user();
	for (uint32_t i = 0; i < 3; i++)
		CHECK(usage_message(usage, user, START + i % 2, &limits, 1 + i, false, &was_released).outcome == USAGE_FREE);
	CHECK(usage_message(usage, user, START + 1, &limits, 4, false, &was_released).outcome == USAGE_TRIPPED);
	verdict = usage_message(usage, user, START, &limits, 5, false, &was_released);
	CHECK(verdict.outcome == USAGE_HELD && !verdict.is_news);
	CHECK(usage_message(usage, user, START + 11, &limits, 5, false, &was_released).is_news);

	fresh_user();
	CHECK(recipient(START, &hour, 1, true) == USAGE_FREE);
	CHECK(message(START + 1, &hour).is_news);
	verdict = message(START, &hour);
	CHECK(verdict.outcome == USAGE_LIMITED && !verdict.is_news);
}

static void many_strangers_hold_an_account(void)
{
	struct usage_limits limits = { .most = { [USER_STRANGERS_HOUR] = 10 } };
	struct usage_verdict verdict;
	bool was_released;

	fresh_user();
	for (unsigned i = 0; i < 10; i++)
		CHECK(recipient(START, &limits, i, true) == USAGE_FREE);
	for (unsigned i = 0; i < 10; i++)
		CHECK(recipient(START, &limits, i, true) == USAGE_FREE);	/* no strangers any more */
	verdict = usage_recipient(usage, user, START, &limits, "one.more@b.example", true);
	CHECK(verdict.outcome == USAGE_TRIPPED && verdict.limit == USER_STRANGERS_HOUR && verdict.count == 11 && verdict.most == 10);
	CHECK(recipient(START, &limits, 1, true) == USAGE_HELD);
	CHECK(usage_is_held(usage, user, START));
	/* it never got to the disk: still held, a day later too, and somebody should write it */
	verdict = usage_message(usage, user, START + 5, &limits, 0, false, &was_released);
	CHECK(verdict.outcome == USAGE_HELD && !verdict.is_news && !was_released);
	verdict = usage_message(usage, user, START + 90000, &limits, 0, false, &was_released);
	CHECK(verdict.outcome == USAGE_HELD && verdict.is_news && !was_released);
	/* one at a time is at it */
	CHECK(!usage_message(usage, user, START + 90005, &limits, 0, false, &was_released).is_news);
	/* it is there, and who made it died before he told: that it is told is asked for all the same */
	verdict = usage_message(usage, user, START + 90010, &limits, 0, true, &was_released);
	CHECK(verdict.outcome == USAGE_HELD && verdict.is_news && !was_released);
	usage_note_held(usage, user, START + 90010);
	verdict = usage_message(usage, user, START + 90100, &limits, 0, true, &was_released);
	CHECK(verdict.outcome == USAGE_HELD && !verdict.is_news && !was_released);
	CHECK(usage_message(usage, user, START + 90100, &limits, 0, false, &was_released).outcome == USAGE_FREE && was_released);
	CHECK(recipient(START + 90100, &limits, 100, true) == USAGE_FREE);
}

static void a_release_starts_at_zero(void)
{
	struct usage_limits limits = { .most = { [USER_STRANGERS_HOUR] = 5, [USER_REFUSALS_HOUR] = 5 } };
	bool was_released;

	fresh_user();
	for (unsigned i = 0; i < 5; i++)
		CHECK(recipient(START, &limits, i, true) == USAGE_FREE);
	CHECK(recipient(START, &limits, 5, true) == USAGE_TRIPPED);
	usage_note_held(usage, user, START);
	CHECK(usage_message(usage, user, START, &limits, 0, false, &was_released).outcome == USAGE_FREE && was_released);
	for (unsigned i = 10; i < 15; i++)
		CHECK(recipient(START, &limits, i, true) == USAGE_FREE);
	CHECK(recipient(START, &limits, 15, true) == USAGE_TRIPPED);
}

/* What an account does all day is no alarm: four times its hourly average is. */
static void what_is_usual_raises_the_limit(void)
{
	struct usage_limits limits = { .most = { [USER_STRANGERS_HOUR] = 50 } };
	unsigned number = 1000, free = 0;

	fresh_user();
	for (uint64_t hour = 0; hour < 72; hour++)
		for (unsigned i = 0; i < 45; i++)
			CHECK(recipient(START + hour * 3600, &limits, number++, true) == USAGE_FREE);
	while (free < 1000 && recipient(START + 74 * 3600, &limits, number++, true) == USAGE_FREE)
		free++;
	printf("# %u strangers at once after 45 an hour\n", free);
	CHECK(free > 130 && free < 200);
}

static void many_networks_hold_an_account(void)
{
	struct usage_limits limits = { .most = { [USER_NETWORKS_HOUR] = 3 } };
	struct usage_verdict verdict;
	bool was_released;

	fresh_user();
	for (uint32_t i = 0; i < 12; i++)
		CHECK(usage_message(usage, user, START + i, &limits, 1 + i % 3, false, &was_released).outcome == USAGE_FREE);
	/* an hour later those are forgotten */
	for (uint32_t i = 0; i < 3; i++)
		CHECK(usage_message(usage, user, START + 4000 + i, &limits, 11 + i, false, &was_released).outcome == USAGE_FREE);
	verdict = usage_message(usage, user, START + 4100, &limits, 14, false, &was_released);
	CHECK(verdict.outcome == USAGE_TRIPPED && verdict.limit == USER_NETWORKS_HOUR && verdict.count == 4);
}

static void networks_are_24_and_48_wide(void)
{
	struct address_ip a = { 4, { 192, 0, 2, 1 } }, b = { 4, { 192, 0, 2, 200 } }, c = { 4, { 192, 0, 3, 1 } };
	struct address_ip d = { 6, { 0x20, 1, 0xd, 0xb8, 0, 1, 0, 1 } }, e = { 6, { 0x20, 1, 0xd, 0xb8, 0, 1, 0xff, 2 } },
		f = { 6, { 0x20, 1, 0xd, 0xb8, 0, 2 } }, none = { 0, { 0 } };

	CHECK(usage_network(usage, &a) == usage_network(usage, &b) && usage_network(usage, &a) != usage_network(usage, &c));
	CHECK(usage_network(usage, &d) == usage_network(usage, &e) && usage_network(usage, &d) != usage_network(usage, &f));
	CHECK(usage_network(usage, &none) == 0 && usage_network(usage, &a) != 0);
}

static void many_refusals_hold_an_account(void)
{
	struct usage_limits limits = { .most = { [USER_REFUSALS_HOUR] = 4 } };

	fresh_user();
	for (int i = 0; i < 4; i++)
		CHECK(usage_refusal(usage, user, START, &limits).outcome == USAGE_FREE);
	CHECK(usage_refusal(usage, user, START + 3700, &limits).outcome == USAGE_FREE);
	for (int i = 0; i < 3; i++)
		CHECK(usage_refusal(usage, user, START + 3700, &limits).outcome == USAGE_FREE);
	CHECK(usage_refusal(usage, user, START + 3700, &limits).outcome == USAGE_TRIPPED);
	CHECK(usage_refusal(usage, user, START + 3700, &limits).outcome == USAGE_HELD);
}

/* Of strangers few are overlooked, and whom one wrote to is remembered. */
static void strangers_are_told_from_known_ones(void)
{
	struct usage_limits limits = { .most = { 0 } };
	struct usage_limits count = { .most = { [USER_STRANGERS_HOUR] = 1 } };
	unsigned overlooked = 0;

	for (unsigned i = 0; i < 200; i++) {
		fresh_user();
		for (unsigned n = 0; n < 240; n++)
			recipient(START, &limits, n, true);
		/* long after, nothing is usual any more: the first stranger counts one, the second trips */
		recipient(START + 200 * 3600, &count, 5, true);
		CHECK(recipient(START + 200 * 3600, &count, 6, true) == USAGE_FREE);
		recipient(START + 200 * 3600, &count, 10000 + 2 * i, true);
		overlooked += recipient(START + 200 * 3600, &count, 10001 + 2 * i, true) != USAGE_TRIPPED;
	}
	printf("# %u of 200 pairs overlooked\n", overlooked);
	CHECK(overlooked < 40);
}

static void counters_hold_over_processes_and_deaths(void)
{
	struct usage_limits limits = { .most = { [USER_MESSAGES_HOUR] = 4000 } };

	fresh_user();
	fflush(stdout);		/* a sanitizer's _exit writes out what a child inherits */
	for (int worker = 0; worker < 4; worker++)
		if (fork() == 0) {
			for (unsigned i = 0; i < 1000; i++)
				while (recipient(START, &limits, i, true) == USAGE_BUSY)
					;	/* a loaded machine lets one wait for longer than a client may */
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	struct usage_verdict verdict = message(START, &limits);
	CHECK(verdict.outcome == USAGE_LIMITED && verdict.count == 4000);
	/* killed while it counts: the next one gets the lock */
	for (int i = 0; i < 20; i++) {
		pid_t worker = fork();
		if (worker == 0)
			for (;;)
				message(START, &limits);
		usleep(2000);
		kill(worker, SIGKILL);
		waitpid(worker, NULL, 0);
		CHECK(message(START, &limits).outcome == USAGE_LIMITED);
	}
}

/* More users than there are places: the quiet ones go, nothing else happens. */
static void users_are_bounded(void)
{
	struct usage_limits limits = { .most = { [USER_MESSAGES_HOUR] = 2 } };
	unsigned limited = 0;

	for (unsigned i = 0; i < 2 * USAGE_USERS; i++) {
		snprintf(user, sizeof user, "many%u@a.example", i);
		recipient(START, &limits, 1, true);
		limited += message(START, &limits).outcome != USAGE_FREE;
	}
	CHECK(limited == 0);
}

int main(void)
{
	struct why why;

	CHECK(usage_make(&usage, &why) == RESULT_OK);
	UNIT_RUN(messages_of_an_hour_are_counted_and_slide);
	UNIT_RUN(a_message_counts_once_whatever_its_recipients);
	UNIT_RUN(recipients_of_a_day_are_counted_and_slide);
	UNIT_RUN(no_limit_is_none);
	UNIT_RUN(a_clock_that_went_back_frees_nobody);
	UNIT_RUN(a_worker_that_is_a_second_behind_has_no_news);
	UNIT_RUN(many_strangers_hold_an_account);
	UNIT_RUN(a_release_starts_at_zero);
	UNIT_RUN(what_is_usual_raises_the_limit);
	UNIT_RUN(many_networks_hold_an_account);
	UNIT_RUN(networks_are_24_and_48_wide);
	UNIT_RUN(many_refusals_hold_an_account);
	UNIT_RUN(strangers_are_told_from_known_ones);
	UNIT_RUN(counters_hold_over_processes_and_deaths);
	UNIT_RUN(users_are_bounded);
	return unit_end();
}
