#include "queued/waiting.h"

#include <stdlib.h>
#include <string.h>

enum { UNITE_LEAST = 1024 };

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

void waiting_remove(struct waiting_heap *heap, size_t place)
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
	waiting_remove(heap, 0);
	shrink(heap);
}

size_t waiting_find(const struct waiting_heap *heap, const char *id)
{
	size_t i;

	for (i = 0; i < heap->count; i++)
		if (memcmp(heap->items[i].id, id, QUEUE_ID_LENGTH) == 0)
			return i;
	return SIZE_MAX;
}

void waiting_hurry(struct waiting_heap *heap, size_t place)
{
	heap->items[place].due_seconds = 0;
	up(heap, place);
}

static void restore(struct waiting_heap *heap)
{
	size_t i;

	for (i = heap->count / 2; i-- > 0; )
		down(heap, i);
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, QUEUE_ID_LENGTH);
}

void waiting_hurry_these(struct waiting_heap *heap, const char *ids, size_t count)
{
	size_t i;

	for (i = 0; count && i < heap->count; i++)
		if (bsearch(heap->items[i].id, ids, count, QUEUE_ID_LENGTH, compare_ids))
			heap->items[i].due_seconds = 0;
	restore(heap);
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
