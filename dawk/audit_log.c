/* Log lines: see audit_log.h. */
#include "audit_log.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 20, LINE_MAX_BYTES = 8192, FILES_MAX = 10000 };

struct span { const char *at, *end; };

static bool is_word(struct span word, const char *text)
{
	return (size_t)(word.end - word.at) == strlen(text) && !memcmp(word.at, text, (size_t)(word.end - word.at));
}

static bool next_word(struct span *rest, struct span *word)
{
	while (rest->at < rest->end && *rest->at == ' ')
		rest->at++;
	word->at = rest->at;
	word->end = memchr(rest->at, ' ', (size_t)(rest->end - rest->at));
	if (!word->end)
		word->end = rest->end;
	rest->at = word->end;
	return word->at < word->end;
}

/* The next key=value; a value may stand in quotes, where blanks do not end it. */
static bool next_field(struct span *rest, struct span *key, struct span *value)
{
	struct span word = *rest;

	if (!next_word(rest, &word))
		return false;
	key->at = word.at;
	key->end = memchr(word.at, '=', (size_t)(word.end - word.at));
	if (!key->end)
		return false;
	*value = (struct span){ key->end + 1, word.end };
	if (value->at == rest->end || *value->at != '"')
		return true;
	value->at++;
	for (value->end = value->at; value->end < rest->end && *value->end != '"'; value->end++)
		value->end += *value->end == '\\' && value->end + 1 < rest->end;
	rest->at = value->end < rest->end ? value->end + 1 : rest->end;
	return true;
}

/* ---- the time in front ---- */

/* "@" and TAI64N in hex: multilog. */
static uint64_t tai64n_us(struct span word)
{
	uint64_t seconds = 0;

	if (word.end - word.at < 17)
		return 0;
	for (const char *c = word.at + 1; c < word.at + 17; c++) {
		if (!isxdigit((unsigned char)*c))
			return 0;
		seconds = seconds << 4 | (uint64_t)(isdigit((unsigned char)*c) ? *c - '0' : tolower((unsigned char)*c) - 'a' + 10);
	}
	return seconds > 0x400000000000000a ? (seconds - 0x400000000000000a) * 1000000 : 0;
}

/* "2026-11-22_01:02:03.12345": svlogd -tt; ISO 8601 with a T: the journal. UTC, or taken for it. */
static uint64_t iso_us(struct span word)
{
	char text[20] = "";
	struct tm time = { 0 };

	if (word.end - word.at < 19)
		return 0;
	memcpy(text, word.at, 19);
	text[10] = text[10] == 'T' ? '_' : text[10];
	return strptime(text, "%Y-%m-%d_%H:%M:%S", &time) ? (uint64_t)timegm(&time) * 1000000 : 0;
}

/* The journal and syslog put words in front, of which the last one ends in a colon. */
static struct span skip_to_colon(struct span line)
{
	struct span rest = line, word;

	for (int i = 0; i < 6 && next_word(&rest, &word); i++)
		if (word.end[-1] == ':')
			return rest;
	return line;
}

/* Behind what a logger put in front. Nothing that a line holds is taken for its beginning, so that no line passes for
 * another process's. */
static struct span skip_prefix(struct span line, uint64_t *time_us)
{
	struct span rest = line, word;

	*time_us = 0;
	if (!next_word(&rest, &word) || islower((unsigned char)*word.at))
		return line;
	if (*word.at == '@') {
		*time_us = tai64n_us(word);
		return rest;
	}
	*time_us = iso_us(word);
	if (*time_us && word.at[10] == '_')
		return rest;
	return skip_to_colon(line);
}

/* ---- events ---- */

struct fields {
	struct span id, index, recipients, copies, host, report, parent, kind, lines;
};

static void take_fields(struct span rest, struct fields *fields)
{
	const struct { const char *key; struct span *value; } rows[] = {
		{ "id", &fields->id }, { "index", &fields->index }, { "recipients", &fields->recipients }, { "copies", &fields->copies },
		{ "host", &fields->host }, { "report", &fields->report }, { "parent", &fields->parent }, { "kind", &fields->kind },
		{ "lines", &fields->lines },
	};
	struct span key, value;

	*fields = (struct fields){ 0 };
	while (next_field(&rest, &key, &value))
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			if (is_word(key, rows[i].key) && !rows[i].value->at)
				*rows[i].value = value;
}

static bool to_number(struct span text, uint64_t *number)
{
	return text.at && text_to_number(text.at, (size_t)(text.end - text.at), number);
}

static struct entry *entry_of(struct book *book, struct span id)
{
	return id.at && queue_id_is_valid(id.at, (size_t)(id.end - id.at)) ? book_entry(book, id.at) : NULL;
}

static void take_accepted(struct book *book, struct entry *entry, const struct fields *fields)
{
	uint64_t count;

	(void)book;
	entry->flags |= BOOK_ACCEPTED;
	if (to_number(fields->recipients, &count))
		book_set_recipients(entry, count);
}

static void take_made(struct book *book, struct entry *entry, const struct fields *fields)
{
	static const struct { const char *kind; enum link_kind link; } rows[] = {
		{ "forward", LINK_FORWARD }, { "part", LINK_FORWARD }, { "report", LINK_REPORT },
	};
	uint64_t count, index;
	struct entry *parent;

	entry->flags |= BOOK_MADE;
	if (to_number(fields->recipients, &count))
		book_set_recipients(entry, count);
	parent = entry_of(book, fields->parent);	/* ENTRY may have moved */
	for (size_t i = 0; parent && i < sizeof rows / sizeof *rows; i++)
		if (fields->kind.at && is_word(fields->kind, rows[i].kind) && to_number(fields->index, &index))
			book_add_link(book, parent, rows[i].link, index);
}

static void take_done(struct book *book, struct entry *entry, const struct fields *fields)
{
	uint64_t count;

	(void)book;
	entry->flags |= BOOK_DONE | BOOK_TOLD;
	if (to_number(fields->recipients, &count))
		book_set_recipients(entry, count);
	if (to_number(fields->copies, &count) && count <= AUDIT_RECIPIENTS_MAX)
		entry->copies = (uint32_t)count;
}

static void take_removed(struct book *book, struct entry *entry, const struct fields *fields)
{
	(void)book;
	(void)fields;
	entry->flags |= BOOK_REMOVED | BOOK_TOLD;
}

/* A removal that failed. */
static void take_kept(struct book *book, struct entry *entry, const struct fields *fields)
{
	(void)book;
	(void)fields;
	entry->flags &= (uint8_t)~BOOK_REMOVED;
}

static void take_fate(struct book *book, struct entry *entry, const struct fields *fields, enum fate fate)
{
	uint64_t index, group = AUDIT_RECIPIENTS_MAX;

	entry->flags |= BOOK_TOLD;
	if (to_number(fields->index, &index))
		book_set_fate(book, entry, index, fate, to_number(fields->report, &group) ? group : AUDIT_RECIPIENTS_MAX);
}

static void take_delivered(struct book *book, struct entry *entry, const struct fields *fields)
{
	take_fate(book, entry, fields, FATE_DELIVERED);
}

static void take_relayed(struct book *book, struct entry *entry, const struct fields *fields)
{
	take_fate(book, entry, fields, FATE_RELAYED);
}

/* To a host that sends the reports itself, or into a message of ours. */
static void take_forwarded(struct book *book, struct entry *entry, const struct fields *fields)
{
	take_fate(book, entry, fields, fields->host.at ? FATE_RELAYED : FATE_FORWARDED);
}

static void take_failed(struct book *book, struct entry *entry, const struct fields *fields)
{
	bool is_held = fields->report.at && is_word(fields->report, "held");	/* kept: nothing is over */
	bool is_unwanted = fields->report.at && is_word(fields->report, "unwanted");

	take_fate(book, entry, fields, is_held ? FATE_OPEN : is_unwanted ? FATE_UNWANTED : FATE_FAILED);
}

static void take_deferred(struct book *book, struct entry *entry, const struct fields *fields)
{
	take_fate(book, entry, fields, FATE_OPEN);
}

static const struct {
	enum log_service service;
	const char *event;
	void (*take)(struct book *, struct entry *, const struct fields *);
} events[] = {
	{ LOG_SMTPD, "accepted", take_accepted },
	{ LOG_QUEUED, "delivered", take_delivered },
	{ LOG_QUEUED, "message-done", take_done },
	{ LOG_QUEUED, "deferred", take_deferred },
	{ LOG_QUEUED, "relayed", take_relayed },
	{ LOG_QUEUED, "forwarded", take_forwarded },
	{ LOG_QUEUED, "expanded", take_forwarded },
	{ LOG_QUEUED, "failed", take_failed },
	{ LOG_QUEUED, "message-made", take_made },
	{ LOG_QUEUED, "message-removed", take_removed },
	{ LOG_QUEUED, "message-kept", take_kept },
};

static void take_event(struct audit_log *log, enum log_service service, struct span event, struct span rest)
{
	struct fields fields;
	struct entry *entry;
	uint64_t count;

	if (is_word(event, "log-lost")) {
		take_fields(rest, &fields);
		log->services[service].lost += to_number(fields.lines, &count) ? count : 1;
		return;
	}
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		if (events[i].service != service || !is_word(event, events[i].event))
			continue;
		take_fields(rest, &fields);
		entry = entry_of(log->book, fields.id);
		if (entry)
			events[i].take(log->book, entry, &fields);
		return;
	}
}

static void take_line(struct audit_log *log, struct span line)
{
	static const char *const names[LOG_SERVICES] = { "smtpd", "queued" };
	struct span rest, process, event;
	uint64_t time_us;

	log->lines++;
	rest = skip_prefix(line, &time_us);
	if (!next_word(&rest, &process))
		return;
	for (int i = 0; i < LOG_SERVICES; i++) {
		struct service_log *service = &log->services[i];

		if (!is_word(process, names[i]) || !next_word(&rest, &event))
			continue;
		service->lines++;
		if (time_us && (!service->since_us || time_us < service->since_us))
			service->since_us = time_us;
		take_event(log, (enum log_service)i, event, rest);
		return;
	}
}

/* ---- files ---- */

/* Whole lines only: *DONE counts their bytes. */
static enum result take_file(struct audit_log *log, int fd, const char *path, uint64_t *done, struct why *why)
{
	char *bytes = malloc(PIECE);
	size_t length = 0;
	ssize_t got = 0;

	if (!bytes)
		return why_set(why, RESULT_RETRY, "read %s: out of memory", path);
	while (!log->book->is_short && (got = read(fd, bytes + length, PIECE - length)) > 0) {
		struct span all = { bytes, bytes + length + got };
		char *newline;

		while ((newline = memchr(all.at, '\n', (size_t)(all.end - all.at)))) {
			take_line(log, (struct span){ all.at, newline });
			all.at = newline + 1;
		}
		*done += (uint64_t)(all.at - bytes);
		length = (size_t)(all.end - all.at);
		if (length == PIECE)	/* no line of ours */
			*done += length, length = 0;
		memmove(bytes, all.at, length);
	}
	if (got < 0)
		why_errno(why, RESULT_RETRY, "read %s", path);
	free(bytes);
	return got < 0 ? RESULT_RETRY : RESULT_OK;
}

static struct followed *follow(struct audit_log *log, const char *path)
{
	struct followed *files = realloc(log->files, (log->file_count + 1) * sizeof *files);

	if (!files)
		return NULL;
	log->files = files;
	files[log->file_count] = (struct followed){ .path = strdup(path) };
	return files[log->file_count].path ? &files[log->file_count++] : NULL;
}

static enum result read_file(struct audit_log *log, const char *path, struct why *why)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : dup(0);
	struct followed *file = follow(log, path);
	enum result result = RESULT_RETRY;
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		why_errno(why, RESULT_NEVER, "open %s", path);
	else if (!file)
		why_set(why, RESULT_RETRY, "read %s: out of memory", path);
	else
		result = take_file(log, fd, path, &file->offset, why);
	if (result == RESULT_OK)
		file->inode = S_ISREG(status.st_mode) ? status.st_ino : 0;
	if (fd >= 0)
		close(fd);
	return result;
}

/* multilog's and svlogd's: "@..." that were turned over, oldest first, then "current". */
static int is_log(const struct dirent *entry)
{
	return entry->d_name[0] == '@' || !strcmp(entry->d_name, "current");
}

static enum result read_folder(struct audit_log *log, const char *path, struct why *why)
{
	static const char *const services[] = { "smtpd", "queued" };
	struct dirent **names;
	char below[4200];
	int count = scandir(path, &names, is_log, alphasort);
	enum result result = RESULT_OK;
	size_t found = 0;

	if (count < 0)
		return why_errno(why, RESULT_NEVER, "list %s", path);
	for (int i = 0; i < count; i++) {
		snprintf(below, sizeof below, "%s/%s", path, names[i]->d_name);
		if (result == RESULT_OK)
			result = read_file(log, below, why);
		free(names[i]);
	}
	free(names);
	for (size_t i = 0; i < 2 && !count && result == RESULT_OK; i++) {
		snprintf(below, sizeof below, "%s/%s", path, services[i]);
		if (access(below, F_OK) == 0) {
			found++;
			result = read_folder(log, below, why);
		}
	}
	if (!count && !found && result == RESULT_OK)
		return why_set(why, RESULT_NEVER, "%s holds no log of multilog or svlogd, nor folders of them", path);
	return result;
}

enum result audit_log_read(struct audit_log *log, const char *path, struct why *why)
{
	struct stat status;

	if (!strcmp(path, "-"))
		return read_file(log, path, why);
	if (stat(path, &status) != 0)
		return why_errno(why, RESULT_NEVER, "unable to open %s", path);
	return S_ISDIR(status.st_mode) ? read_folder(log, path, why) : read_file(log, path, why);
}

/* A file that was turned over keeps its inode under a new name in its folder; those behind it are new. */
static enum result follow_turned_over(struct audit_log *log, struct followed *file, struct why *why)
{
	char folder[4200], path[4500];
	struct dirent **names;
	enum result result = RESULT_OK;
	bool is_behind = false;
	int count;

	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(file->path, '/') - file->path), file->path);
	count = scandir(folder, &names, is_log, alphasort);
	for (int i = 0; i < count; i++) {
		struct stat status = { 0 };
		int fd;

		snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
		free(names[i]);
		fd = result == RESULT_OK ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
		if (fd >= 0 && fstat(fd, &status) == 0 && (is_behind || status.st_ino == file->inode)) {
			file->offset = is_behind ? 0 : file->offset;
			file->inode = status.st_ino;
			is_behind = true;
			lseek(fd, (off_t)file->offset, SEEK_SET);
			result = take_file(log, fd, path, &file->offset, why);
		}
		if (fd >= 0)
			close(fd);
	}
	if (count >= 0)
		free(names);
	return result;
}

enum result audit_log_follow(struct audit_log *log, struct why *why)
{
	enum result result = RESULT_OK;

	for (size_t i = 0; i < log->file_count && result == RESULT_OK; i++) {
		struct followed *file = &log->files[i];
		struct stat status;
		int fd;

		if (!file->inode)
			continue;
		if (stat(file->path, &status) || status.st_ino != file->inode) {
			if (strchr(file->path, '/'))
				result = follow_turned_over(log, file, why);
			continue;
		}
		fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd >= 0 && lseek(fd, (off_t)file->offset, SEEK_SET) >= 0)
			result = take_file(log, fd, file->path, &file->offset, why);
		if (fd >= 0)
			close(fd);
	}
	return result;
}

void audit_log_free(struct audit_log *log)
{
	for (size_t i = 0; i < log->file_count; i++)
		free(log->files[i].path);
	free(log->files);
	*log = (struct audit_log){ 0 };
}
