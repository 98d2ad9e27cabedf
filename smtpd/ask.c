#include "ask.h"
#include "common/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALONE_MS = 3000, SLOT_BITS = 12, SLOTS = 1 << SLOT_BITS, MECHANISMS_MAX = 201, WORDS_MAX = 257 };	/* questions under way; more are told to come later */

struct slot { struct session *session; uint32_t ticket; uint32_t next_free; bool is_login, is_inner; };

struct asks {
	struct channel authd, inner;
	char words[WORDS_MAX];		/* of the last answer from inner */
	struct loop *loop;
	void (*answered)(struct session *, enum recipient_verdict);
	void (*login_told)(struct session *, const struct frame *);
	void (*abandoned)(void);
	struct timer alone;
	char mechanisms[MECHANISMS_MAX];
	uint32_t first_free, counter;	/* first_free: SLOTS when all are taken */
	struct slot slots[SLOTS];
};

enum result asks_make(struct loop *loop, void (*answered)(struct session *, enum recipient_verdict),
                      void (*login_told)(struct session *, const struct frame *), void (*abandoned)(void), struct asks **asks)
{
	struct asks *a = calloc(1, sizeof *a);

	if (!a)
		return RESULT_RETRY;
	a->loop = loop;
	a->answered = answered;
	a->login_told = login_told;
	a->abandoned = abandoned;
	memcpy(a->mechanisms, "PLAIN LOGIN", sizeof "PLAIN LOGIN");	/* until authd has said */
	a->authd.fd = a->inner.fd = -1;
	for (uint32_t i = 0; i < SLOTS; i++)
		a->slots[i].next_free = i + 1;
	*asks = a;
	return RESULT_OK;
}

void asks_free(struct asks *asks)
{
	if (asks) {
		channel_close(&asks->authd);
		channel_close(&asks->inner);
	}
	free(asks);
}

/* The slot of TICKET while its question is under way. A ticket is a count and the slot below it, so that a
 * late answer never meets another question. */
static struct slot *asks_find(struct asks *asks, uint64_t ticket)
{
	struct slot *slot = &asks->slots[ticket % SLOTS];

	return slot->session && slot->ticket == ticket ? slot : NULL;
}

static struct session *asks_take(struct asks *asks, struct slot *slot)
{
	struct session *session = slot->session;

	slot->session = NULL;
	slot->next_free = asks->first_free;
	asks->first_free = (uint32_t)(slot - asks->slots);
	return session;
}

static void asks_give_up(struct asks *asks)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		if (asks->slots[i].session && asks->slots[i].is_login)
			asks->login_told(asks_take(asks, &asks->slots[i]), NULL);
		else if (asks->slots[i].session && !asks->slots[i].is_inner)
			asks->answered(asks_take(asks, &asks->slots[i]), RECIPIENT_LATER);
}

static void asks_frame(struct channel *channel, struct frame *f)
{
	struct asks *asks = container_of(channel, struct asks, authd);
	struct slot *slot;

	if (f->descriptor >= 0)		/* a session of POP3, which nobody asked for */
		close(f->descriptor);
	if (f->type == FRAME_LOGIN_OFFER)
		frame_value_copy(f, LOGIN_OFFER_MECHANISMS, asks->mechanisms, sizeof asks->mechanisms);
	if (f->type != FRAME_RECIPIENT_TELL && f->type != FRAME_LOGIN_TELL)
		return;
	slot = asks_find(asks, f->value[RECIPIENT_TELL_SERIAL].number);		/* the first field of both */
	if (!slot || slot->is_inner || slot->is_login != (f->type == FRAME_LOGIN_TELL))
		return;
	if (slot->is_login)
		asks->login_told(asks_take(asks, slot), f);
	else
		asks->answered(asks_take(asks, slot), (enum recipient_verdict)f->value[RECIPIENT_TELL_VERDICT].number);
}
_Static_assert((int)RECIPIENT_TELL_SERIAL == (int)LOGIN_TELL_SERIAL, "tickets stand in one place");

static void asks_alone(struct timer *timer)
{
	struct asks *asks = container_of(timer, struct asks, alone);

	if (asks->authd.fd < 0)
		asks->abandoned();
}

/* The service ends when authd dies; until then everyone is told to come later. */
static void asks_lost(struct channel *channel, const struct why *why)
{
	struct asks *asks = container_of(channel, struct asks, authd);

	(void)why;
	asks_give_up(asks);
	loop_set_timer(asks->loop, &asks->alone, ALONE_MS, asks_alone);
}

void asks_connect(struct asks *asks, int fd)
{
	struct why why;

	channel_close(&asks->authd);
	asks_give_up(asks);
	if (channel_open(&asks->authd, asks->loop, fd, asks_frame, asks_lost, &why) != RESULT_OK)
		service_link_failed(&why);
}

/* ---- the hosts of relay domains ---- */

static void asks_inner_away(struct asks *asks)
{
	memcpy(asks->words, "remoted was started anew", sizeof "remoted was started anew");
	for (uint32_t i = 0; i < SLOTS; i++)
		if (asks->slots[i].session && asks->slots[i].is_inner)
			asks->answered(asks_take(asks, &asks->slots[i]), RECIPIENT_AWAY);
}

static void asks_inner_frame(struct channel *channel, struct frame *f)
{
	struct asks *asks = container_of(channel, struct asks, inner);
	struct slot *slot = f->type == FRAME_CALL_TELL ? asks_find(asks, f->value[CALL_TELL_SERIAL].number) : NULL;

	if (f->descriptor >= 0)
		close(f->descriptor);
	if (!slot || !slot->is_inner || !frame_value_copy(f, CALL_TELL_WORDS, asks->words, sizeof asks->words))
		return;
	asks->answered(asks_take(asks, slot), (enum recipient_verdict)f->value[CALL_TELL_VERDICT].number);
}

/* The opener starts another. */
static void asks_inner_lost(struct channel *channel, const struct why *why)
{
	(void)why;
	asks_inner_away(container_of(channel, struct asks, inner));
}

void asks_connect_inner(struct asks *asks, int fd)
{
	struct why why;

	channel_close(&asks->inner);
	asks_inner_away(asks);
	if (channel_open(&asks->inner, asks->loop, fd, asks_inner_frame, asks_inner_lost, &why) != RESULT_OK)
		service_link_failed(&why);
}

const char *asks_words(const struct asks *asks)
{
	return asks->words;
}

/* ---- questions ---- */

/* A question of TYPE, whose first field is its ticket. */
static enum result asks_send(struct asks *asks, struct session *session, enum wire_type type, struct wire_value *values, uint32_t *ticket)
{
	struct channel *channel = type == FRAME_CALL_ASK ? &asks->inner : &asks->authd;
	uint32_t place = asks->first_free;
	enum result result;

	if (channel->fd < 0 || place == SLOTS)
		return RESULT_RETRY;
	if (++asks->counter >> (32 - SLOT_BITS))
		asks->counter = 1;
	*ticket = asks->counter << SLOT_BITS | place;
	values[0].number = *ticket;
	result = channel_send(channel, type, values, -1, NULL);
	if (result != RESULT_OK)
		return result;
	asks->first_free = asks->slots[place].next_free;
	asks->slots[place].session = session;
	asks->slots[place].ticket = *ticket;
	asks->slots[place].is_login = type != FRAME_RECIPIENT_ASK && type != FRAME_CALL_ASK;
	asks->slots[place].is_inner = type == FRAME_CALL_ASK;
	return RESULT_OK;
}

enum result ask_inner(struct asks *asks, struct session *session, const char *recipient, const char *address, uint32_t *ticket)
{
	struct wire_value values[CALL_ASK_FIELDS] = {
		[CALL_ASK_RECIPIENT] = WIRE_STRING(recipient), [CALL_ASK_ADDRESS] = WIRE_STRING(address),
	};

	return asks_send(asks, session, FRAME_CALL_ASK, values, ticket) == RESULT_OK ? RESULT_OK : RESULT_RETRY;
}

enum result ask(struct asks *asks, struct session *session, const char *address, uint32_t *ticket)
{
	struct wire_value values[RECIPIENT_ASK_FIELDS] = { [RECIPIENT_ASK_ADDRESS] = WIRE_STRING(address) };

	return asks_send(asks, session, FRAME_RECIPIENT_ASK, values, ticket) == RESULT_OK ? RESULT_OK : RESULT_RETRY;
}

enum result ask_login(struct asks *asks, struct session *session, enum wire_type type, struct wire_value *values, uint32_t *ticket)
{
	return asks_send(asks, session, type, values, ticket);
}

void ask_drop_login(struct asks *asks, uint32_t exchange)
{
	const struct wire_value values[LOGIN_NEXT_FIELDS] = {
		[LOGIN_NEXT_EXCHANGE] = WIRE_NUMBER(exchange), [LOGIN_NEXT_FLAGS] = WIRE_NUMBER(LOGIN_IS_CANCELLED),
	};

	if (exchange && asks->authd.fd >= 0)
		channel_send(&asks->authd, FRAME_LOGIN_NEXT, values, -1, NULL);
}

const char *asks_mechanisms(const struct asks *asks)
{
	return asks->mechanisms;
}

void ask_cancel(struct asks *asks, uint32_t ticket)
{
	struct slot *slot = ticket ? asks_find(asks, ticket) : NULL;

	if (slot)
		asks_take(asks, slot);
}
