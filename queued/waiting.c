#include "queued/waiting.h"

#include <stdlib.h>
#include <string.h>

enum {
	UNITE_LEAST = 1024,
	SLOTS_EACH = 4,			/* IDs that may be in a set: of those that are not, most meet a free slot */
};

/* ---- sets of IDs ---- */

bool waiting_set_make(struct waiting_set *set, size_t most)
{
	size_t size = SLOTS_EACH;

	*set = (struct waiting_set){ .most = most, .shift = 62 };
	for (; size < most * SLOTS_EACH; size *= 2)
		set->shift--;
	set->ids = calloc(most, sizeof *set->ids);
	set->slots = calloc(size, sizeof *set->slots);
	if (set->ids && set->slots)
		return true;
	waiting_set_free(set);
	return false;
}

/* The slot of ID, or the free one where it belongs. The last digits of an ID are random. */
static uint32_t *slot_of(const struct waiting_set *set, const char *id)
{
	uint64_t hash;
	size_t i, last = ((size_t)1 << (64 - set->shift)) - 1;

	memcpy(&hash, id + QUEUE_ID_LENGTH - sizeof hash, sizeof hash);
	for (i = (hash * 0x9e3779b97f4a7c15u) >> set->shift;; i = (i + 1) & last)
		if (!set->slots[i] || memcmp(set->ids[set->slots[i] - 1], id, QUEUE_ID_LENGTH) == 0)
			return &set->slots[i];
}

bool waiting_set_add(struct waiting_set *set, const char *id)
{
	uint32_t *slot;

	if (set->count == set->most)
		return false;
	slot = slot_of(set, id);
	if (*slot)
		return true;
	memcpy(set->ids[set->count], id, QUEUE_ID_LENGTH);
	*slot = (uint32_t)++set->count;
	return true;
}

bool waiting_set_has(const struct waiting_set *set, const char *id)
{
	return set->count && *slot_of(set, id);
}

void waiting_set_clear(struct waiting_set *set)
{
	if (set->count)
		memset(set->slots, 0, sizeof *set->slots << (64 - set->shift));
	set->count = 0;
}

void waiting_set_free(struct waiting_set *set)
{
	free(set->ids);
	free(set->slots);
	*set = (struct waiting_set){ 0 };
}

/* ---- the heap ---- */

static int compare(const struct waiting *a, const struct waiting *b)
{
	if (a->due_seconds != b->due_seconds)
		return a->due_seconds < b->due_seconds ? -1 : 1;
	return memcmp(a->id, b->id, QUEUE_ID_LENGTH);
}

static int compare_items(const void *a, const void *b)
{
	return compare(a, b);
}

static void up(struct waiting_heap *heap, size_t place)
{
	struct waiting moved = heap->items[place];

	while (place && compare(&moved, &heap->items[(place - 1) / 2]) < 0) {
		heap->items[place] = heap->items[(place - 1) / 2];
		place = (place - 1) / 2;
	}
	heap->items[place] = moved;
}

static void down(struct waiting_heap *heap, size_t place)
{
	struct waiting moved = heap->items[place];

	for (;;) {
		size_t child = place * 2 + 1;

		if (child + 1 < heap->count && compare(&heap->items[child + 1], &heap->items[child]) < 0)
			child++;
		if (child >= heap->count || compare(&heap->items[child], &moved) >= 0)
			break;
		heap->items[place] = heap->items[child];
		place = child;
	}
	heap->items[place] = moved;
}

bool waiting_push(struct waiting_heap *heap, const struct waiting *waiting)
{
	if (heap->count == heap->size) {
		size_t size = heap->size ? heap->size + heap->size / 2 : 64;
		struct waiting *items = realloc(heap->items, size * sizeof *items);

		if (!items)
			return false;
		heap->items = items;
		heap->size = size;
	}
	heap->items[heap->count] = *waiting;
	up(heap, heap->count++);
	return true;
}

bool waiting_push_once(struct waiting_heap *heap, const struct waiting *waiting)
{
	if (heap->unite_at < UNITE_LEAST)
		heap->unite_at = UNITE_LEAST;
	if (heap->count >= heap->unite_at) {
		waiting_unite(heap);
		heap->unite_at = heap->count * 2;
	}
	return waiting_push(heap, waiting);
}

const struct waiting *waiting_first(const struct waiting_heap *heap)
{
	return heap->count ? &heap->items[0] : NULL;
}

static void remove_at(struct waiting_heap *heap, size_t place)
{
	heap->count--;
	if (place == heap->count)
		return;
	heap->items[place] = heap->items[heap->count];
	down(heap, place);
	up(heap, place);
}

/* Gives memory back once a flood is over. */
static void shrink(struct waiting_heap *heap)
{
	struct waiting *items;

	if (heap->size < 4096 || heap->count > heap->size / 4)
		return;
	items = realloc(heap->items, heap->size / 2 * sizeof *items);
	if (!items)
		return;
	heap->items = items;
	heap->size /= 2;
}

void waiting_pop(struct waiting_heap *heap, struct waiting *out)
{
	*out = heap->items[0];
	remove_at(heap, 0);
	shrink(heap);
}

/* From the end: what takes the place of one that goes has been looked at, but for a parent that sank there. */
size_t waiting_remove_these(struct waiting_heap *heap, const struct waiting_set *set)
{
	size_t place = heap->count, before = heap->count;

	while (set->count && place--)
		while (place < heap->count && waiting_set_has(set, heap->items[place].id))
			remove_at(heap, place);
	if (heap->count < before)
		shrink(heap);
	return before - heap->count;
}

/* From the beginning: what sinks has been looked at. */
void waiting_hurry_these(struct waiting_heap *heap, const struct waiting_set *set)
{
	size_t i;

	for (i = 0; set->count && i < heap->count; i++)
		if (waiting_set_has(set, heap->items[i].id)) {
			heap->items[i].due_seconds = 0;
			up(heap, i);
		}
}

static void restore(struct waiting_heap *heap)
{
	size_t i;

	for (i = heap->count / 2; i-- > 0; )
		down(heap, i);
}

void waiting_hurry_site(struct waiting_heap *heap, uint32_t site, uint32_t now_seconds)
{
	size_t i, n = 0;

	for (i = 0; i < heap->count; i++)
		if (heap->items[i].site == site && heap->items[i].due_seconds > now_seconds) {
			heap->items[i].due_seconds = now_seconds;
			n++;
		}
	for (i = heap->count / 2; n && i-- > 0; )
		down(heap, i);
}

void waiting_hurry_one(struct waiting_heap *heap, uint32_t site, uint32_t now_seconds)
{
	size_t i, next = SIZE_MAX;

	for (i = 0; i < heap->count; i++)
		if (heap->items[i].site == site && (next == SIZE_MAX || heap->items[i].due_seconds < heap->items[next].due_seconds))
			next = i;
	if (next == SIZE_MAX || heap->items[next].due_seconds <= now_seconds)
		return;
	heap->items[next].due_seconds = now_seconds;
	up(heap, next);
}

void waiting_hurry_all(struct waiting_heap *heap)
{
	size_t i;

	for (i = 0; i < heap->count; i++)
		heap->items[i].due_seconds = 0;
	restore(heap);
}

void waiting_unite(struct waiting_heap *heap)
{
	size_t i, kept = 0;

	if (heap->count < 2)
		return;
	qsort(heap->items, heap->count, sizeof *heap->items, compare_items);
	for (i = 1; i < heap->count; i++) {
		if (memcmp(heap->items[kept].id, heap->items[i].id, QUEUE_ID_LENGTH) == 0)
			heap->items[kept].maybe_state |= heap->items[i].maybe_state;
		else
			heap->items[++kept] = heap->items[i];
	}
	heap->count = kept + 1;
}

void waiting_free(struct waiting_heap *heap)
{
	free(heap->items);
	*heap = (struct waiting_heap){ 0 };
}
