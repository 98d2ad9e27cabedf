/* What is done of deferred recipients: see done.h. */
#include "done.h"
#include <string.h>

enum { RECIPIENTS_MAX = 1024 };	/* a later one takes the place of an earlier */

static struct { uint64_t recipient; struct done done; } kept[RECIPIENTS_MAX];
static bool is_used;

static uint64_t hash_more(uint64_t hash, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
	return hash;
}

uint64_t done_key(const char *text, size_t length)
{
	return hash_more(14695981039346656037u, text, length) | 1;
}

bool done_has(const struct done *done, uint64_t key)
{
	for (size_t i = 0; i < done->count; i++)
		if (done->keys[i] == key)
			return true;
	return false;
}

void done_add(struct done *done, uint64_t key)
{
	if (key != 0 && done->count < DONE_KEYS_MAX && !done_has(done, key))
		done->keys[done->count++] = key;
}

static uint64_t recipient_hash(const char *id, const char *address)
{
	return hash_more(done_key(id, strlen(id)), address, strlen(address)) | 1;
}

void done_load(const char *id, const char *address, struct done *done)
{
	uint64_t hash;

	done->count = 0;
	if (!is_used)
		return;
	hash = recipient_hash(id, address);
	if (kept[hash / 2 % RECIPIENTS_MAX].recipient == hash)
		*done = kept[hash / 2 % RECIPIENTS_MAX].done;
}

void done_store(const char *id, const char *address, const struct done *done)
{
	uint64_t hash = recipient_hash(id, address);

	if (done->count == 0)
		return;
	is_used = true;
	kept[hash / 2 % RECIPIENTS_MAX].recipient = hash;
	kept[hash / 2 % RECIPIENTS_MAX].done = *done;
}
