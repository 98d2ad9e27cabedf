/* Sources of tables: reading, judging their owners, telling their faults. See update.h. */
#include "update.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRESS_INTERVAL_MS = 500 };

static void clear_progress(struct update *update)
{
	if (update->shown_ms != 0 && update->shows_progress)
		fputs("\r\033[K", stderr);
}

static void say(struct update *update, const char *file, unsigned line, const char *kind, const char *format, va_list arguments)
{
	clear_progress(update);
	if (line > 0)
		fprintf(stderr, "%s:%u: %s", file, line, kind);
	else
		fprintf(stderr, "%s: %s", file, kind);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

void update_error(struct update *update, const char *file, unsigned line, const char *format, ...)
{
	va_list arguments;

	if (++update->errors > UPDATE_ERRORS_LISTED)
		return;
	va_start(arguments, format);
	say(update, file, line, "", format, arguments);
	va_end(arguments);
}

void update_warning(struct update *update, const char *file, unsigned line, const char *format, ...)
{
	va_list arguments;

	if (++update->warnings > UPDATE_ERRORS_LISTED)
		return;
	va_start(arguments, format);
	say(update, file, line, "warning: ", format, arguments);
	va_end(arguments);
}

void update_failure(struct update *update, const struct why *why)
{
	clear_progress(update);
	if (++update->errors <= UPDATE_ERRORS_LISTED)
		fprintf(stderr, "dawk update: unable to %s\n", why->text);
}

void update_progress(struct update *update, const char *table, uint64_t count)
{
	uint64_t now;

	if (!update->shows_progress || count % 1024 != 0)
		return;
	now = time_monotonic_ms();
	if (update->shown_ms == 0)
		update->shown_ms = now;		/* short work shows nothing */
	if (now - update->shown_ms < PROGRESS_INTERVAL_MS)
		return;
	update->shown_ms = now;
	fprintf(stderr, "\r\033[K%s: %llu", table, (unsigned long long)count);
}

/* Who may write a source decides what runs as whom: nobody but root, or the owner of the instance. */
static bool source_is_safe(struct update *update, const char *path, const struct stat *st, bool is_secret)
{
	mode_t forbidden = is_secret ? 077 : 022;

	if (!S_ISREG(st->st_mode))
		update_error(update, path, 0, "expected a regular file");
	else if (st->st_uid != 0 && update->owner == 0)
		update_error(update, path, 0, "expected a file of root, found one of uid %lu (chown root)", (unsigned long)st->st_uid);
	else if (st->st_uid != 0 && st->st_uid != update->owner)
		update_error(update, path, 0, "expected a file of yours or root's, found one of uid %lu (put a copy of your own in its place; "
		             "or as root: chown %lu)", (unsigned long)st->st_uid, (unsigned long)update->owner);
	else if (st->st_mode & forbidden)
		update_error(update, path, 0, "expected mode %s or stricter, found %04o (chmod %s)", is_secret ? "0600" : "0644",
		             (unsigned)st->st_mode & 07777, is_secret ? "0600" : "go-w");
	else
		return true;
	return false;
}

bool source_open(struct source *source, struct update *update, const char *path, bool is_secret, bool continues)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*source = (struct source){ .update = update, .path = path, .continues = continues };
	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0 || fstat(fd, &st) != 0) {
		update_error(update, path, 0, "can't be read: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (!source_is_safe(update, path, &st, is_secret) || !(source->file = fdopen(fd, "r"))) {
		close(fd);
		return false;
	}
	return true;
}

void source_close(struct source *source)
{
	if (source->file)
		fclose(source->file);
	free(source->ahead);
	stralloc_free(&source->text);
	*source = (struct source){ 0 };
}

/* Fills AHEAD with the next line that is neither empty nor a comment. */
static bool read_ahead(struct source *source)
{
	while (source->file && (source->ahead_length = getline(&source->ahead, &source->ahead_size, source->file)) > 0) {
		size_t length = (size_t)source->ahead_length, blank = 0;
		source->next_line++;
		while (length > 0 && strchr(" \t\r\n", source->ahead[length - 1]))
			length--;
		while (blank < length && (source->ahead[blank] == ' ' || source->ahead[blank] == '\t'))
			blank++;
		if (blank == length || source->ahead[blank] == '#')
			continue;
		source->ahead_length = (ssize_t)length;
		return true;
	}
	if (source->file && ferror(source->file))
		update_error(source->update, source->path, 0, "can't be read: %s", strerror(errno));
	source->ahead_length = 0;
	return false;
}

static bool line_continues(const struct source *source)
{
	return source->continues && (*source->ahead == ' ' || *source->ahead == '\t');
}

static bool take_ahead(struct source *source)
{
	size_t length = (size_t)source->ahead_length;

	source->ahead_length = 0;
	if (source->text.len + length + 1 > UPDATE_LINE_MAX) {
		source_error(source, "expected an entry of at most %d bytes, found a longer one", UPDATE_LINE_MAX);
		return false;
	}
	if (text_append(&source->text, source->ahead, length))
		return true;
	source_error(source, "no memory for this entry");
	return false;
}

/* Drops blanks at the start, which only continuation lines may have. */
static bool is_right(struct source *source)
{
	if (memchr(source->text.s, '\0', source->text.len)) {
		source_error(source, "expected text, found a NUL");
		return false;
	}
	if (*source->text.s == ' ' || *source->text.s == '\t') {
		source_error(source, "expected an entry at the start of the line, found a blank");
		return false;
	}
	return text_append_nul(&source->text);
}

bool source_next(struct source *source)
{
	for (;;) {
		bool whole;
		if (source->ahead_length == 0 && !read_ahead(source))
			return false;
		source->text.len = 0;
		source->line = source->next_line;
		whole = take_ahead(source);
		while (source->continues && read_ahead(source) && line_continues(source))
			whole = take_ahead(source) && whole;
		if (whole && is_right(source))
			return true;
	}
}

size_t update_split(const char *text, size_t length, char separator, const char **part, size_t *part_length, size_t count)
{
	const char *end = text + length;

	for (size_t i = 0; i < count; i++) {
		const char *cut = i + 1 < count ? memchr(text, separator, (size_t)(end - text)) : NULL;
		part[i] = text;
		part_length[i] = (size_t)((cut ? cut : end) - text);
		if (!cut)
			return i + 1;
		text = cut + 1;
	}
	return count;
}

bool update_local_address(struct source *source, const char *text, size_t length, char *folded)
{
	struct address address;
	struct why why;
	const char *domain;
	int shown = (int)(length > 200 ? 200 : length);

	if (address_parse(text, length, &address, &why) != RESULT_OK || *address.domain == '\0') {
		source_error(source, "expected user@domain, found \"%.*s\"", shown, text);
		return false;
	}
	address_fold(&address, folded);
	domain = strrchr(folded, '@') + 1;
	if (!configuration_is_local_domain(source->update->conf, domain, strlen(domain))) {
		source_error(source, "expected a domain that lives here, found \"%s\" (is it missing in `domains`?)", domain);
		return false;
	}
	return true;
}

bool update_add(struct source *source, struct table_writer *writer, const char *key, const void *value, size_t value_length)
{
	struct why why;

	switch (table_add(writer, key, strlen(key), value, value_length, &why)) {
	case RESULT_OK:
		return true;
	case RESULT_NEVER:
		source_error(source, "expected each key once, found a second entry for %s", key);
		return false;
	default:
		update_failure(source->update, &why);
		return false;
	}
}
