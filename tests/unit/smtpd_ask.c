/* link: smtpd/ask.o */
/* Questions to authd: each is answered once, also when the pipe goes. */
#include "smtpd/ask.h"
#include "unit.h"

static struct loop *loop;
static struct asks *asks;
static struct channel authd;
static enum recipient_verdict told;
static unsigned told_count, abandoned_count, lost_count;

static void answered(struct session *session, enum recipient_verdict verdict)
{
	CHECK(session == (struct session *)&told);
	told = verdict;
	told_count++;
	loop_stop(loop);
}

static unsigned login_count;
static uint64_t login_verdict;

static void login_told(struct session *session, const struct frame *f)
{
	CHECK(session == (struct session *)&told);
	login_verdict = f ? f->value[LOGIN_TELL_VERDICT].number : 0;
	login_count++;
	loop_stop(loop);
}

static void abandoned(void)
{
	abandoned_count++;
	loop_stop(loop);
}

static void asked(struct channel *channel, struct frame *f)
{
	struct wire_value values[RECIPIENT_TELL_FIELDS] = {
		[RECIPIENT_TELL_SERIAL] = WIRE_NUMBER(f->value[RECIPIENT_ASK_SERIAL].number), [RECIPIENT_TELL_VERDICT] = WIRE_NUMBER(RECIPIENT_FULL),
	};
	const struct wire_value login[LOGIN_TELL_FIELDS] = {
		[LOGIN_TELL_SERIAL] = WIRE_NUMBER(f->value[LOGIN_ASK_SERIAL].number), [LOGIN_TELL_VERDICT] = WIRE_NUMBER(LOGIN_REFUSED),
	};
	const struct wire_value offer[LOGIN_OFFER_FIELDS] = { [LOGIN_OFFER_MECHANISMS] = WIRE_STRING("PLAIN SCRAM-SHA-256") };
	struct why why = { 0 };

	if (f->type == FRAME_LOGIN_ASK) {	/* an answer of the other kind is none */
		CHECK(channel_send(channel, FRAME_RECIPIENT_TELL, values, -1, &why) == RESULT_OK);
		CHECK(channel_send(channel, FRAME_LOGIN_OFFER, offer, -1, &why) == RESULT_OK);
		CHECK(channel_send(channel, FRAME_LOGIN_TELL, login, -1, &why) == RESULT_OK);
		return;
	}
	if (f->type == FRAME_LOGIN_NEXT) {
		channel_close(channel);
		return;
	}
	CHECK(f->type == FRAME_RECIPIENT_ASK && frame_value_is(f, RECIPIENT_ASK_ADDRESS, "alice@local.example"));
	if (!told_count) {
		CHECK(channel_send(channel, FRAME_RECIPIENT_TELL, values, -1, &why) == RESULT_OK);
		CHECK(channel_send(channel, FRAME_RECIPIENT_TELL, values, -1, &why) == RESULT_OK);	/* once more: nobody asked */
	} else {
		channel_close(channel);
	}
}

static void lost(struct channel *channel, const struct why *why) { (void)channel, (void)why, lost_count++; }

static void connect_authd(void)
{
	struct why why = { 0 };
	int ends[2];

	CHECK(channel_pair(ends, &why) == RESULT_OK);
	asks_connect(asks, ends[0]);
	CHECK(channel_open(&authd, loop, ends[1], asked, lost, &why) == RESULT_OK);
}

static uint32_t ask_about_alice(void)
{
	uint32_t ticket = 0;

	CHECK(ask(asks, (struct session *)&told, "alice@local.example", &ticket) == RESULT_OK && ticket);
	return ticket;
}

static void each_is_answered_once(void)
{
	struct why why = { 0 };

	connect_authd();
	ask_about_alice();
	CHECK(loop_run(loop, &why) == RESULT_OK && told_count == 1 && told == RECIPIENT_FULL);
	ask_cancel(asks, ask_about_alice());
	ask_cancel(asks, 0);
}

static void logins_are_asked_and_answered_too(void)
{
	static char long_response[WIRE_SASL_MAX + 1];
	struct wire_value values[LOGIN_ASK_FIELDS] = { [LOGIN_ASK_MECHANISM] = WIRE_STRING("PLAIN") }, next[LOGIN_NEXT_FIELDS] = { { 0 } };
	struct why why = { 0 };
	uint32_t ticket;

	connect_authd();
	CHECK_STRING(asks_mechanisms(asks), "PLAIN LOGIN");
	CHECK(ask_login(asks, (struct session *)&told, FRAME_LOGIN_ASK, values, &ticket) == RESULT_OK);
	CHECK(loop_run(loop, &why) == RESULT_OK && login_count == 1 && login_verdict == LOGIN_REFUSED && told_count == 0);
	CHECK_STRING(asks_mechanisms(asks), "PLAIN SCRAM-SHA-256");
	values[LOGIN_ASK_RESPONSE] = (struct wire_value)WIRE_BYTES(long_response, sizeof long_response);
	CHECK(ask_login(asks, (struct session *)&told, FRAME_LOGIN_ASK, values, &ticket) == RESULT_NEVER);
	CHECK(ask_login(asks, (struct session *)&told, FRAME_LOGIN_NEXT, next, &ticket) == RESULT_OK);
	CHECK(loop_run(loop, &why) == RESULT_OK && login_count == 2 && login_verdict == 0);	/* the pipe went */
}

static void a_pipe_that_goes_and_is_not_replaced_is_told(void)
{
	struct why why = { 0 };
	uint32_t ticket;

	ask_about_alice();
	CHECK(loop_run(loop, &why) == RESULT_OK && told_count == 2 && told == RECIPIENT_LATER);
	CHECK(ask(asks, (struct session *)&told, "alice@local.example", &ticket) == RESULT_RETRY);
	CHECK(loop_run(loop, &why) == RESULT_OK && abandoned_count == 1 && told_count == 2);
}

int main(void)
{
	struct why why = { 0 };

	CHECK(loop_make(&loop, &why) == RESULT_OK && asks_make(loop, answered, login_told, abandoned, &asks) == RESULT_OK);
	UNIT_RUN(logins_are_asked_and_answered_too);
	UNIT_RUN(each_is_answered_once);
	UNIT_RUN(a_pipe_that_goes_and_is_not_replaced_is_told);
	asks_free(asks);
	return unit_end();
}
