#include "userfile.h"
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 100, LOCK_PAUSE_MS = 100, FILE_MAX = 1 << 30 };

/* The folder is what is locked: the file itself is replaced by each edit. */
static enum result lock_folder(struct userfile *file, struct why *why)
{
	char folder[PATH_MAX];
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	const char *slash = strrchr(file->path, '/');
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - file->path) + 1 : 1, slash ? file->path : ".");
	file->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->lock < 0)
		return why_errno(why, RESULT_NEVER, "unable to open %s", folder);
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(file->lock, LOCK_EX | LOCK_NB) == 0)
			return RESULT_OK;
		nanosleep(&pause, NULL);
	}
	return why_errno(why, RESULT_RETRY, "unable to lock %s: another edit is under way", folder);
}

static enum result read_all(struct userfile *file, int fd, struct why *why)
{
	char block[16384];
	ssize_t got;
	while ((got = read(fd, block, sizeof block)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return why_errno(why, RESULT_RETRY, "unable to read %s", file->path);
		if (file->text.len > FILE_MAX || !text_append(&file->text, block, (size_t)got))
			return why_set(why, RESULT_RETRY, "out of memory for %s", file->path);
	}
	return RESULT_OK;
}

enum result userfile_open(struct userfile *file, const char *path, bool is_writer, struct why *why)
{
	*file = (struct userfile){ .path = path, .lock = -1 };
	enum result result = is_writer ? lock_folder(file, why) : RESULT_OK;
	if (result != RESULT_OK)
		return result;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? RESULT_OK : why_errno(why, RESULT_NEVER, "unable to read %s", path);
	result = read_all(file, fd, why);
	close(fd);
	return result;
}

void userfile_close(struct userfile *file)
{
	if (file->lock >= 0)
		close(file->lock);
	file->lock = -1;
	if (file->text.s)
		explicit_bzero(file->text.s, file->text.len);
	stralloc_free(&file->text);
}

/* Takes blanks, and the CR of a foreign editor, off both ends, as `dawk update` does. */
static const char *trim(const char *at, const char **end)
{
	while (at < *end && (*at == ' ' || *at == '\t'))
		at++;
	while (at < *end && strchr(" \t\r", (*end)[-1]))
		--*end;
	return at;
}

static void split(const char *at, const char *end, struct user_line *line)
{
	for (int i = 0; i < USER_FIELDS; i++) {
		const char *colon = i < USER_FIELDS - 1 ? memchr(at, ':', (size_t)(end - at)) : NULL;
		const char *stop = colon ? colon : end;
		line->field[i] = trim(at, &stop);
		line->field_length[i] = (size_t)(stop - line->field[i]);
		at = colon ? colon + 1 : end;
	}
}

bool userfile_next(const struct userfile *file, size_t *at, struct user_line *line)
{
	while (*at < file->text.len) {
		const char *start = file->text.s + *at;
		size_t rest = file->text.len - *at;
		const char *newline = memchr(start, '\n', rest), *end = newline ? newline : start + rest, *text = trim(start, &end);
		line->start = *at;
		line->length = newline ? (size_t)(newline - start) + 1 : rest;
		*at += line->length;
		if (text < end && *text != '#') {
			split(text, end, line);
			return true;
		}
	}
	return false;
}

bool userfile_find(const struct userfile *file, const struct address *address, struct user_line *line)
{
	char wanted[ADDRESS_MAX + 1], have[ADDRESS_MAX + 1];
	size_t wanted_length = address_fold(address, wanted), at = 0;
	while (userfile_next(file, &at, line)) {
		struct address found;
		if (address_parse(line->field[USER_ADDRESS], line->field_length[USER_ADDRESS], &found, NULL) == RESULT_OK &&
		    address_fold(&found, have) == wanted_length && !memcmp(have, wanted, wanted_length))
			return true;
	}
	return false;
}

enum result userfile_edit(struct userfile *file, size_t start, size_t length, const stralloc *text, struct why *why)
{
	stralloc edited = { 0 };
	size_t rest = start + length;
	bool is_fine = text_append(&edited, file->text.s, start);
	/* a last line without its end would swallow the new one */
	if (start && file->text.s[start - 1] != '\n')
		is_fine = is_fine && text_append(&edited, "\n", 1);
	is_fine = is_fine && text_append(&edited, text->s, text->len) &&
	          text_append(&edited, file->text.s + rest, file->text.len - rest);
	if (!is_fine) {
		stralloc_free(&edited);
		return why_set(why, RESULT_RETRY, "out of memory for %s", file->path);
	}
	stralloc_free(&file->text);
	file->text = edited;
	return RESULT_OK;
}

enum result userfile_save(struct userfile *file, struct why *why)
{
	return layout_replace_file(file->path, file->text.s, file->text.len, 0600, why);
}
