#include "queued/sender.h"

#include <stdlib.h>
#include <string.h>

enum { TURNS_MAX = 16 };	/* senders that are looked at for one place */

static uint32_t hash(const char *text, size_t length)
{
	uint32_t h = 2166136261u;	/* FNV-1a */
	size_t i;

	for (i = 0; i < length; i++)
		h = (h ^ (uint32_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i])) * 16777619u;
	return h;
}

uint32_t sender_key(const struct envelope *envelope)
{
	const char *from = envelope->from, *at = strrchr(from, '@');
	size_t local = at ? (size_t)(at - from) : strlen(from), cut = strcspn(from, "+=-0123456789");

	if (envelope->authenticated)
		return hash(envelope->authenticated, strlen(envelope->authenticated));
	if (cut && cut < local)
		local = cut;
	return hash(from, local) ^ (at ? hash(at, strlen(at)) : 0);
}

struct sender *sender_get(struct sender_table *table, uint32_t key)
{
	struct sender **bucket = &table->buckets[key % SENDER_BUCKETS], *sender;
	size_t i;

	for (sender = *bucket; sender; sender = sender->next)
		if (sender->key == key)
			return sender;
	sender = calloc(1, sizeof *sender);
	if (!sender)
		return NULL;
	sender->key = key;
	for (i = 0; i < SENDER_TRANSPORTS; i++)
		sender->held[i].end = &sender->held[i].first;
	sender->next = *bucket;
	*bucket = sender;
	return sender;
}

void sender_release(struct sender_table *table, struct sender *sender)
{
	struct sender **at = &table->buckets[sender->key % SENDER_BUCKETS];

	if (sender->messages || sender->is_waiting)
		return;
	while (*at != sender)
		at = &(*at)->next;
	*at = sender->next;
	waiting_free(&sender->overflow);
	free(sender);
}

bool sender_is_over(uint32_t held, uint32_t free, uint32_t share)
{
	return held >= (uint64_t)free * share;
}

uint32_t sender_room(uint32_t held, uint32_t free, uint32_t share)
{
	uint64_t most = (uint64_t)free * share;

	return most > held + share + 1 ? (uint32_t)((most - held) / (share + 1)) : 1;
}

/* ---- overflows ---- */

static void enter_turn(struct sender_table *table, struct sender *sender)
{
	if (!table->waiting)
		table->waiting_end = &table->waiting;
	sender->next_waiting = NULL;
	sender->is_waiting = true;
	*table->waiting_end = sender;
	table->waiting_end = &sender->next_waiting;
}

static struct sender *leave_turn(struct sender_table *table)
{
	struct sender *sender = table->waiting;

	table->waiting = sender->next_waiting;
	sender->is_waiting = false;
	return sender;
}

bool sender_put_off(struct sender_table *table, struct sender *sender, const struct waiting *w)
{
	size_t before = sender->overflow.count;

	if (!waiting_push_once(&sender->overflow, w))
		return false;
	table->overflowed += sender->overflow.count - before;
	if (!sender->is_waiting)
		enter_turn(table, sender);
	return true;
}

struct sender *sender_next(struct sender_table *table, bool (*fits)(void *, const struct sender *), void *context)
{
	int i;

	for (i = 0; i < TURNS_MAX && table->waiting; i++) {
		struct sender *sender = leave_turn(table);

		if (!sender->overflow.count) {
			sender_release(table, sender);
			continue;
		}
		enter_turn(table, sender);
		if (fits(context, sender))
			return sender;
	}
	return NULL;
}

void sender_take(struct sender_table *table, struct sender *sender, struct waiting *out)
{
	waiting_pop(&sender->overflow, out);
	table->overflowed--;
}

void sender_forget_these(struct sender_table *table, const struct waiting_set *set)
{
	struct sender *sender;

	for (sender = table->waiting; sender; sender = sender->next_waiting)
		table->overflowed -= waiting_remove_these(&sender->overflow, set);
}
