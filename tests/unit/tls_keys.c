/* link: keyd/keys.o */
/* Handshakes whose signature keyd does not make in time, or not at all. */
#include "common/hung.h"
#include "tls_pair.h"
#include <signal.h>
#include <sys/wait.h>

static bool may_shake(void)
{
	struct pair p;
	bool is_done;

	open_pair(&p, 0, "a.example", NULL);
	is_done = shake(&p);
	CHECK(is_done || p.server_result == RESULT_PEER);
	close_pair(&p);
	return is_done;
}

static void a_keyd_that_answers_is_asked_each_time(void)
{
	for (int i = 0; i < 3; i++)
		CHECK(tls_keys_answer() && may_shake());
}

static void a_silent_keyd_costs_a_second(void)
{
	uint64_t start = time_monotonic_ms();
	int ends[2];

	CHECK(channel_pair(ends, &why) == RESULT_OK);
	CHECK(tls_keys_join(ends[0], &why) == RESULT_OK);
	CHECK(!may_shake());
	CHECK(time_monotonic_ms() - start >= TLS_SIGN_MS - 5 && time_monotonic_ms() - start < 30 * TLS_SIGN_MS);
	close(ends[1]);
	for (int i = 0; i < 2; i++)	/* gone: the end is seen, and then known */
		CHECK(!may_shake());
}

static unsigned questions(struct channel *keyd, struct frame *f)
{
	unsigned count = 0;

	while (channel_wait(keyd, f, 0, &why) == RESULT_OK)
		count++;
	return count;
}

static void tell_nothing(struct channel *keyd, uint64_t serial)
{
	const struct wire_value values[SIGN_TELL_FIELDS] = {
		[SIGN_TELL_SERIAL] = WIRE_NUMBER(serial), [SIGN_TELL_VERDICT] = WIRE_NUMBER(SIGN_FAILED),
	};

	CHECK(channel_send(keyd, FRAME_SIGN_TELL, values, -1, &why) == RESULT_OK && channel_flush(keyd, &why) == RESULT_OK);
}

static void a_keyd_that_hangs_is_asked_no_more_until_it_answers(void)
{
	uint64_t start = time_monotonic_ms();
	struct channel keyd;
	struct frame f;
	int ends[2];

	CHECK(channel_pair(ends, &why) == RESULT_OK && channel_open(&keyd, NULL, ends[1], NULL, NULL, &why) == RESULT_OK);
	CHECK(tls_keys_join(ends[0], &why) == RESULT_OK && tls_keys_answer());
	for (int i = 0; i < 5; i++)
		CHECK(!may_shake());
	/* on a machine that took longer for these, a second question was right */
	CHECK(!tls_keys_answer() || time_monotonic_ms() - start >= HUNG_MS);
	CHECK(questions(&keyd, &f) == 1 || time_monotonic_ms() - start >= HUNG_MS);
	tell_nothing(&keyd, 1);			/* to whichever question: it is back */
	CHECK(tls_keys_answer());
	CHECK(!may_shake() && questions(&keyd, &f) == 1);
	channel_close(&keyd);
	CHECK(tls_keys_answer() && !may_shake());	/* its end is told of by who asks next */
}

static void a_fresh_keyd_is_asked_at_once(void)
{
	int ends[2];

	CHECK(channel_pair(ends, &why) == RESULT_OK && tls_keys_join(ends[0], &why) == RESULT_OK && !may_shake());
	start_keyd();
	CHECK(tls_keys_answer() && may_shake());
	close(ends[1]);
}

static void end_keyd(void)
{
	kill(keyd_pid, SIGTERM);
	waitpid(keyd_pid, NULL, 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	CHECK(tls_server_make(&server, &why) == RESULT_OK && tls_client_make(false, &client, &why) == RESULT_OK);
	make_all();
	start_keyd();
	load(0, 4);
	UNIT_RUN(a_keyd_that_answers_is_asked_each_time);
	end_keyd();
	UNIT_RUN(a_silent_keyd_costs_a_second);
	UNIT_RUN(a_keyd_that_hangs_is_asked_no_more_until_it_answers);
	UNIT_RUN(a_fresh_keyd_is_asked_at_once);
	end_keyd();
	tls_server_free(server);
	tls_client_free(client);
	for (int i = 0; i < FILES; i++) {
		free(made[i].pem);
		free(made[i].key);
	}
	return unit_end();
}
