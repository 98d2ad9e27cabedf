/* The ledger: see audit_book.h. */
#include "audit_book.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 1024, FEW = 8 };

void book_free(struct book *book)
{
	for (uint32_t i = 0; i < book->count; i++)
		if (book->entries[i].size > FEW)
			free(book->entries[i].fates.many);
	free(book->entries);
	free(book->buckets);
	free(book->links);
	*book = (struct book){ 0 };
}

/* ---- entries ---- */

/* The random part of an ID spreads well. */
static uint32_t bucket_of(const struct book *book, const char *id)
{
	uint32_t hash = 0;

	for (size_t i = QUEUE_ID_LENGTH - 9; i < QUEUE_ID_LENGTH; i++)
		hash = hash * 33 + (unsigned char)id[i];
	return hash & (book->bucket_count - 1);
}

static void put_into_bucket(struct book *book, uint32_t i)
{
	uint32_t *bucket = &book->buckets[bucket_of(book, book->entries[i].id)];

	book->entries[i].next = *bucket;
	*bucket = i + 1;
}

static bool grow(struct book *book)
{
	uint32_t size = book->size ? book->size * 2 : FIRST_SIZE;
	struct entry *entries = realloc(book->entries, size * sizeof *entries);
	uint32_t *buckets;

	if (!entries)
		return false;
	book->entries = entries;
	buckets = calloc(size, sizeof *buckets);
	if (!buckets)
		return false;
	free(book->buckets);
	book->buckets = buckets;
	book->bucket_count = book->size = size;
	for (uint32_t i = 0; i < book->count; i++)
		put_into_bucket(book, i);
	return true;
}

struct entry *book_entry(struct book *book, const char *id)
{
	struct entry *entry;

	for (uint32_t i = book->bucket_count ? book->buckets[bucket_of(book, id)] : 0; i; i = book->entries[i - 1].next)
		if (!memcmp(book->entries[i - 1].id, id, QUEUE_ID_LENGTH))
			return &book->entries[i - 1];
	if (book->count == book->size && !grow(book)) {
		book->is_short = true;
		return NULL;
	}
	entry = &book->entries[book->count];
	*entry = (struct entry){ .size = FEW };
	memcpy(entry->id, id, QUEUE_ID_LENGTH);
	put_into_bucket(book, book->count++);
	return entry;
}

void book_set_recipients(struct entry *entry, uint64_t count)
{
	if (entry->recipients && entry->recipients != count)
		entry->disagreements++;
	else if (count <= AUDIT_RECIPIENTS_MAX)
		entry->recipients = (uint32_t)count;
}

/* ---- recipients ---- */

static uint8_t *fates_of(struct entry *entry)
{
	return entry->size > FEW ? entry->fates.many : entry->fates.few;
}

static bool make_room(struct entry *entry, uint64_t index)
{
	uint64_t size = entry->size;
	uint8_t *many;

	while (size <= index)
		size *= 2;
	if (size == entry->size)
		return true;
	many = calloc(1, size);
	if (!many)
		return false;
	memcpy(many, fates_of(entry), entry->size);
	if (entry->size > FEW)
		free(entry->fates.many);
	entry->fates.many = many;
	entry->size = (uint32_t)size;
	return true;
}

enum fate book_fate(const struct entry *entry, uint32_t index)
{
	const uint8_t *fates = entry->size > FEW ? entry->fates.many : entry->fates.few;

	return index < entry->size ? (enum fate)fates[index] : FATE_OPEN;
}

void book_set_fate(struct book *book, struct entry *entry, uint64_t index, enum fate fate, uint64_t group)
{
	uint8_t *at;

	if (index >= AUDIT_RECIPIENTS_MAX)
		return;
	if (!make_room(entry, index)) {
		book->is_short = true;
		return;
	}
	at = &fates_of(entry)[index];
	if (fate == FATE_OPEN) {	/* after a delivery: one that was not recorded before a crash is tried again */
		if (*at == FATE_FAILED || *at == FATE_UNWANTED)
			*at = FATE_OPEN;
		return;
	}
	if (fate <= FATE_FORWARDED && *at != FATE_OPEN && *at <= FATE_FORWARDED)
		book->repeats++;
	else if (*at != FATE_OPEN && *at <= FATE_FORWARDED)
		return;		/* it has it, whatever a second attempt says */
	*at = (uint8_t)fate;
	if (fate == FATE_FAILED)
		book_add_link(book, entry, LINK_OWED, group);
}

/* ---- links ---- */

void book_add_link(struct book *book, struct entry *entry, enum link_kind kind, uint64_t index)
{
	const struct link *first = entry->links ? &book->links[entry->links - 1] : NULL;

	if (index >= AUDIT_RECIPIENTS_MAX || (first && first->kind == kind && first->index == index))
		return;
	if (!book->links || book->link_count == book->link_size) {
		uint32_t size = book->link_size ? book->link_size * 2 : FIRST_SIZE;
		struct link *links = realloc(book->links, size * sizeof *links);

		if (!links) {
			book->is_short = true;
			return;
		}
		book->links = links;
		book->link_size = size;
	}
	book->links[book->link_count++] = (struct link){ (uint32_t)index, entry->links, kind };
	entry->links = book->link_count;
}

bool book_has_link(const struct book *book, const struct entry *entry, enum link_kind kind, uint32_t index)
{
	for (uint32_t i = entry->links; i; i = book->links[i - 1].next)
		if (book->links[i - 1].kind == kind && book->links[i - 1].index == index)
			return true;
	return false;
}

bool book_is_reported(const struct book *book, const struct entry *entry, uint32_t *index)
{
	for (uint32_t i = entry->links; i; i = book->links[i - 1].next) {
		const struct link *link = &book->links[i - 1];

		*index = link->index;
		if (link->kind == LINK_OWED && !book_has_link(book, entry, LINK_REPORT, link->index))
			return false;
	}
	return true;
}
