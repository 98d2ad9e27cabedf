#include "authd/recipient.h"
#include "authd/accounts.h"
#include "authd/room.h"
#include "common/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One entry a hash value: a new recipient takes the place of the old one. */
static struct cached {
	char address[ADDRESS_MAX + 1];
	enum recipient_verdict verdict;
	uint64_t until_ms;
} cache[RECIPIENT_CACHE_SIZE];

/* A question that waits for a look-up of an account of the system, or for a look into a mailbox. */
struct waiting {
	struct lookup lookup;
	struct room room;
	struct channel *worker;		/* NULL: gone meanwhile */
	uint64_t serial;
	struct waiting *next, **at;
	char text[ADDRESS_MAX + 1];	/* the address */
};

static struct loop *loop;
static struct waiting *all;

static void tell(struct channel *worker, uint64_t serial, enum recipient_verdict verdict)
{
	const struct wire_value values[RECIPIENT_TELL_FIELDS] = { WIRE_NUMBER(serial), WIRE_NUMBER(verdict) };

	if (worker)
		channel_send(worker, FRAME_RECIPIENT_TELL, values, -1, NULL);
}

static struct cached *cached_of(const char *text, size_t length)
{
	uint32_t hash = 2166136261;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619;
	return &cache[hash % RECIPIENT_CACHE_SIZE];
}

static void remember(const char *text, enum recipient_verdict verdict)
{
	struct cached *entry = cached_of(text, strlen(text));

	snprintf(entry->address, sizeof entry->address, "%s", text);
	entry->verdict = verdict;
	entry->until_ms = loop_now_ms(loop) + RECIPIENT_CACHE_MS;
}

/* ---- what waits ---- */

/* NULL: no memory, WORKER is told to come later. */
static struct waiting *waiting_make(struct channel *worker, uint64_t serial, const char *text)
{
	struct waiting *waiting = calloc(1, sizeof *waiting);

	if (!waiting) {
		tell(worker, serial, RECIPIENT_LATER);
		return NULL;
	}
	waiting->worker = worker;
	waiting->serial = serial;
	snprintf(waiting->text, sizeof waiting->text, "%s", text);
	waiting->next = all;
	waiting->at = &all;
	if (all)
		all->at = &waiting->next;
	all = waiting;
	return waiting;
}

static void waiting_end(struct waiting *waiting, enum recipient_verdict verdict)
{
	remember(waiting->text, verdict);
	tell(waiting->worker, waiting->serial, verdict);
	*waiting->at = waiting->next;
	if (waiting->next)
		waiting->next->at = waiting->at;
	free(waiting);
}

/* ---- accounts of the system ---- */

static enum recipient_verdict judge_catch_all(const char *text)
{
	static struct meaning_of meaning;
	struct address address;

	if (address_parse(text, strlen(text), &address, NULL) != RESULT_OK)
		return RECIPIENT_UNKNOWN;
	resolve_catch_all(accounts_resolver(), &address, &meaning, NULL);
	return meaning.meaning == MEANS_UNKNOWN ? RECIPIENT_UNKNOWN :
	       meaning.meaning == MEANS_LATER ? RECIPIENT_LATER : RECIPIENT_EXISTS;
}

/* Behind accounts stands the domain's catch-all. */
static enum recipient_verdict judge_account(const char *text, enum result result, const struct lookup_account *account)
{
	static struct meaning_of meaning;

	if (result == RESULT_OK)
		result = resolve_account(account->uid, account->gid, account->home, &meaning);
	if (result == RESULT_OK)
		return RECIPIENT_EXISTS;
	return result == RESULT_END ? judge_catch_all(text) : RECIPIENT_LATER;
}

static void looked_up(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *why)
{
	struct waiting *waiting = container_of(lookup, struct waiting, lookup);

	(void)why;	/* a look-up that failed is logged where it failed */
	waiting_end(waiting, judge_account(waiting->text, result, account));
}

/* ---- mailboxes with a quota ---- */

static void looked_into(struct room *room, bool is_full)
{
	waiting_end(container_of(room, struct waiting, room), is_full ? RECIPIENT_FULL : RECIPIENT_EXISTS);
}

/* ---- questions ---- */

/* Answers what the tables can tell, and asks for the rest. */
static void judge(struct channel *worker, uint64_t serial, const char *text)
{
	static struct meaning_of meaning;
	enum recipient_verdict verdict = RECIPIENT_EXISTS;
	struct address address;
	struct waiting *waiting;
	char name[ADDRESS_MAX + 1];

	meaning.meaning = MEANS_UNKNOWN;
	meaning.maybe_system = false;
	if (address_parse(text, strlen(text), &address, NULL) == RESULT_OK)
		resolve(accounts_resolver(), &address, &meaning, NULL);
	if (meaning.meaning == MEANS_UNKNOWN && meaning.maybe_system) {
		snprintf(name, sizeof name, "%.*s", (int)(strrchr(meaning.key, '@') - meaning.key), meaning.key);	/* without the extension */
		if ((waiting = waiting_make(worker, serial, text)))
			lookup_ask(&waiting->lookup, name, false, looked_up);
		return;
	}
	if (meaning.meaning == MEANS_MAILBOX && meaning.quota[0]) {
		if ((waiting = waiting_make(worker, serial, text)))
			room_ask(&waiting->room, &meaning, looked_into);
		return;
	}
	if (meaning.meaning == MEANS_UNKNOWN || meaning.meaning == MEANS_LATER)
		verdict = meaning.meaning == MEANS_UNKNOWN ? RECIPIENT_UNKNOWN : RECIPIENT_LATER;
	remember(text, verdict);
	tell(worker, serial, verdict);
}

void recipient_ask(struct channel *worker, const struct frame *f)
{
	const struct wire_value *value = &f->value[RECIPIENT_ASK_ADDRESS];
	uint64_t serial = f->value[RECIPIENT_ASK_SERIAL].number;
	const struct cached *entry = cached_of(value->bytes, value->length);
	char text[ADDRESS_MAX + 1];

	if (entry->until_ms > loop_now_ms(loop) && frame_value_is(f, RECIPIENT_ASK_ADDRESS, entry->address))
		tell(worker, serial, entry->verdict);
	else if (!frame_value_copy(f, RECIPIENT_ASK_ADDRESS, text, sizeof text))
		tell(worker, serial, RECIPIENT_UNKNOWN);
	else
		judge(worker, serial, text);
}

void recipients_forget(const struct channel *worker)
{
	for (struct waiting *waiting = all; waiting; waiting = waiting->next)
		if (waiting->worker == worker)
			waiting->worker = NULL;
}

void recipients_begin(struct loop *its_loop)
{
	loop = its_loop;
}
