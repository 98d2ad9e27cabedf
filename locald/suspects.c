/* Mailboxes that may hang: see suspects.h. */
#include "suspects.h"
#include <stdlib.h>
#include <string.h>

static struct suspect { char *path; uint64_t used_ms; } suspects[SUSPECTS_MAX];

static struct suspect *find(const char *path)
{
	for (int i = 0; i < SUSPECTS_MAX; i++)
		if (suspects[i].path != NULL && strcmp(suspects[i].path, path) == 0)
			return &suspects[i];
	return NULL;
}

static void drop(struct suspect *suspect)
{
	free(suspect->path);
	*suspect = (struct suspect){ 0 };
}

/* A free place, or one that nobody has asked for in a long time. */
static struct suspect *find_place(uint64_t now_ms)
{
	for (int i = 0; i < SUSPECTS_MAX; i++) {
		if (suspects[i].path != NULL && now_ms - suspects[i].used_ms > SUSPECT_FORGET_MS)
			drop(&suspects[i]);
		if (suspects[i].path == NULL)
			return &suspects[i];
	}
	return NULL;
}

void suspect_add(const char *path, uint64_t now_ms)
{
	struct suspect *place = find(path);

	if (place == NULL && (place = find_place(now_ms)) != NULL)
		place->path = strdup(path);
	if (place != NULL)
		place->used_ms = now_ms;
}

void suspect_clear(const char *path)
{
	struct suspect *suspect = find(path);

	if (suspect != NULL)
		drop(suspect);
}

bool is_suspect(const char *path, uint64_t now_ms)
{
	struct suspect *suspect = find(path);

	if (suspect != NULL)
		suspect->used_ms = now_ms;
	return suspect != NULL;
}
