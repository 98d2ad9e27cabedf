/* See hung.h. */
#include "hung.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hung {
	char *path;		/* NULL: free */
	char *mount;		/* NULL: the root, unknown, or it has answered, for this path's links or for another */
	uint64_t noted_ms;
} all[HUNG_MAX];
static size_t count;

/* ---- the mount of a path ---- */

/* proc(5): a blank, a tab, a line end and a backslash in a path stand there as three octal digits. */
static void unescape(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*out++ = (char)(((unsigned)text[1] & 7) << 6 | ((unsigned)text[2] & 7) << 3 | ((unsigned)text[3] & 7));
			text += 3;
		} else {
			*out++ = *text;
		}
	}
	*out = 0;
}

static bool is_at_or_below(const char *path, const char *mount)
{
	size_t length = strlen(mount);

	return !strncmp(path, mount, length) && (path[length] == '/' || !path[length]);
}

/* The fifth word of a line of mountinfo; NULL: there is none. */
static char *mount_point(char *line)
{
	char *word = strtok_r(line, " ", &line);

	for (int i = 1; word && i < 5; i++)
		word = strtok_r(NULL, " ", &line);
	if (word)
		unescape(word);
	return word;
}

/* The innermost mount point above PATH, malloc'ed; NULL: the root alone, or it can't be told. The table is the kernel's own:
 * to read it asks no file system. */
static char *find_mount(const char *path)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *best = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		const char *mount = mount_point(line);

		if (!mount || !mount[1] || !is_at_or_below(path, mount) || (best && strlen(best) >= strlen(mount)))
			continue;
		free(best);
		best = strdup(mount);
	}
	free(line);
	if (file)
		fclose(file);
	return best;
}

/* ---- the list ---- */

static void drop(struct hung *hung)
{
	free(hung->path);
	free(hung->mount);
	*hung = (struct hung){ 0 };
	count--;
}

static struct hung *find(const char *path)
{
	for (size_t i = 0; i < HUNG_MAX && count; i++)
		if (all[i].path && !strcmp(all[i].path, path))
			return &all[i];
	return NULL;
}

static struct hung *find_place(void)
{
	struct hung *oldest = &all[0];

	for (size_t i = 0; i < HUNG_MAX; i++) {
		if (!all[i].path)
			return &all[i];
		if (all[i].noted_ms < oldest->noted_ms)
			oldest = &all[i];
	}
	drop(oldest);
	return oldest;
}

static void note(const char *path, bool is_apart, uint64_t now_ms)
{
	struct hung *hung = find(path);

	if (hung && (is_apart || now_ms - hung->noted_ms >= HUNG_FORGET_MS)) {
		drop(hung);
		hung = NULL;
	}
	if (!hung) {
		hung = find_place();
		hung->path = strdup(path);
		if (!hung->path)
			return;
		hung->mount = is_apart ? NULL : find_mount(path);
		count++;
	}
	hung->noted_ms = now_ms;
}

void hung_note(const char *path, uint64_t now_ms)
{
	note(path, false, now_ms);
}

void hung_note_apart(const char *path, uint64_t now_ms)
{
	note(path, true, now_ms);
}

void hung_clear(const char *path)
{
	for (size_t i = 0; i < HUNG_MAX && count; i++) {
		if (!all[i].path)
			continue;
		if (all[i].mount && is_at_or_below(path, all[i].mount)) {
			free(all[i].mount);
			all[i].mount = NULL;
		}
		if (!strcmp(all[i].path, path))
			drop(&all[i]);
	}
}

/* Was PATH noted within AGE_MS, or were HUNG_OF_MOUNT paths on its mount? */
static bool is_noted(const char *path, uint64_t now_ms, uint64_t age_ms)
{
	unsigned beside = 0;

	for (size_t i = 0; i < HUNG_MAX && count; i++) {
		if (!all[i].path || now_ms - all[i].noted_ms >= age_ms)
			continue;
		if (!strcmp(all[i].path, path))
			return true;
		beside += all[i].mount && is_at_or_below(path, all[i].mount);
	}
	return beside >= HUNG_OF_MOUNT;
}

bool hung_is(const char *path, uint64_t now_ms)
{
	return is_noted(path, now_ms, HUNG_MS);
}

bool hung_was(const char *path, uint64_t now_ms)
{
	return is_noted(path, now_ms, HUNG_FORGET_MS);
}
