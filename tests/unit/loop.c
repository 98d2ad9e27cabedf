#include "common/loop.h"
#include "common/text.h"
#include "unit.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIMERS = 500 };

static struct loop *loop;
static struct why why;

/* ---- timers ---- */

static struct timer timers[TIMERS];
static uint64_t last_due;
static int fired, out_of_order;

static void note(struct timer *timer)
{
	fired++;
	out_of_order += timer->due_ms < last_due;
	last_due = timer->due_ms;
}

static void stop(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void timers_fire_in_order_and_only_when_set(void)
{
	struct timer end = { 0 };
	int i, unset = 0;

	for (i = 0; i < TIMERS; i++)
		loop_set_timer(loop, &timers[i], random_below(40), note);
	for (i = 0; i < TIMERS; i += 3, unset++)
		loop_unset_timer(loop, &timers[i]);
	for (i = 1; i < TIMERS; i += 3)
		loop_set_timer(loop, &timers[i], random_below(40), note);	/* moved, either way */
	loop_set_timer(loop, &end, 60, stop);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(fired == TIMERS - unset);
	CHECK(out_of_order == 0);
	for (i = 0, fired = 0; i < TIMERS; i++)
		fired += timers[i].place != 0;
	CHECK(fired == 0);
}

static struct timer piecework, beside;
static int pieces, beside_fired;

static void one_piece(struct timer *timer)
{
	if (++pieces < 100)
		loop_set_timer(loop, timer, 0, one_piece);
}

static void fire_beside(struct timer *timer)
{
	beside_fired = pieces;
	if (pieces < 50)
		loop_set_timer(loop, timer, 0, fire_beside);
	else
		loop_stop(loop);
}

static int turns;

static void count_turn(struct turn_end *turn_end)
{
	(void)turn_end;
	turns++;
}

static void work_in_pieces_lets_others_have_their_turn(void)
{
	struct turn_end turn_end = { .run = count_turn };

	loop_at_turn_end(loop, &turn_end);
	loop_set_timer(loop, &piecework, 0, one_piece);
	loop_set_timer(loop, &beside, 0, fire_beside);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(pieces >= 50 && pieces < 60 && turns >= 50);	/* one a turn, not all in one */
	loop_unset_timer(loop, &piecework);
	loop_drop_turn_end(loop, &turn_end);
}

/* ---- watches ---- */

static struct watch pair[2];
static int calls;

static void remove_both(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	calls++;
	loop_unwatch(loop, &pair[0]);
	loop_unwatch(loop, &pair[1]);
	loop_stop(loop);
}

static void a_watch_removed_in_the_same_batch_is_not_called(void)
{
	int a[2], b[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, a) && !socketpair(AF_UNIX, SOCK_STREAM, 0, b));
	CHECK(write(a[1], "x", 1) == 1 && write(b[1], "x", 1) == 1);
	CHECK(loop_watch(loop, &pair[0], a[0], EPOLLIN, remove_both, &why) == RESULT_OK);
	CHECK(loop_watch(loop, &pair[1], b[0], EPOLLIN, remove_both, &why) == RESULT_OK);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(calls == 1);
	CHECK(pair[0].fd == -1 && pair[1].fd == -1);
	close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static struct watch busy;
static struct timer put_off;
static int busy_turns, put_off_fired;

static void fire_put_off(struct timer *timer)
{
	(void)timer;
	put_off_fired++;
	loop_stop(loop);
}

static void put_it_off(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	if (++busy_turns == 1000)
		loop_stop(loop);
	loop_set_timer(loop, &put_off, 0, fire_put_off);
}

static void a_timer_that_is_set_anew_in_each_turn_fires_once_it_is_due(void)
{
	int ends[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	CHECK(write(ends[1], "x", 1) == 1);	/* nobody reads it */
	CHECK(loop_watch(loop, &busy, ends[0], EPOLLIN, put_it_off, &why) == RESULT_OK);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(put_off_fired == 1 && busy_turns == 2);	/* set in the first turn, due in the next */
	loop_unset_timer(loop, &put_off);
	loop_unwatch(loop, &busy);
	close(ends[0]), close(ends[1]);
}

/* ---- signals and turn ends ---- */

static int caught_signal, turns;

static void caught(struct loop *l, int signal_number)
{
	caught_signal = signal_number;
	loop_stop(l);
}

static void turn(struct turn_end *end)
{
	(void)end;
	turns++;
}

static void a_signal_comes_through_the_loop(void)
{
	static const int signals[] = { SIGUSR1, 0 };
	static struct turn_end end = { turn };

	CHECK(loop_catch_signals(loop, signals, caught, &why) == RESULT_OK);
	loop_at_turn_end(loop, &end);
	kill(getpid(), SIGUSR1);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(caught_signal == SIGUSR1);
	CHECK(turns >= 2);
}

int main(void)
{
	CHECK(loop_make(&loop, &why) == RESULT_OK);
	UNIT_RUN(timers_fire_in_order_and_only_when_set);
	UNIT_RUN(work_in_pieces_lets_others_have_their_turn);
	UNIT_RUN(a_watch_removed_in_the_same_batch_is_not_called);
	UNIT_RUN(a_timer_that_is_set_anew_in_each_turn_fires_once_it_is_due);
	UNIT_RUN(a_signal_comes_through_the_loop);
	loop_free(loop);
	return unit_end();
}
