#include "state.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const state_event_names[STATE_EVENTS] = {
	[STATE_SITES] = "sites",         [STATE_DEFERRED] = "deferred",   [STATE_DELIVERED] = "delivered",
	[STATE_RELAYED] = "relayed",     [STATE_FORWARDED] = "forwarded", [STATE_EXPANDED] = "expanded",
	[STATE_FAILED] = "failed",       [STATE_FORWARD] = "forward",     [STATE_PART] = "part",
	[STATE_REPORT] = "report",       [STATE_WARNING] = "warning",     [STATE_SUCCESS] = "success",
	[STATE_MADE] = "made",
};

/* What stands behind index, event and time. */
enum shape { SHAPE_SITES, SHAPE_RESULT, SHAPE_PART, SHAPE_ID };
static const enum shape shapes[STATE_EVENTS] = {
	[STATE_SITES] = SHAPE_SITES,      [STATE_DEFERRED] = SHAPE_RESULT,  [STATE_DELIVERED] = SHAPE_RESULT,
	[STATE_RELAYED] = SHAPE_RESULT,   [STATE_FORWARDED] = SHAPE_RESULT, [STATE_EXPANDED] = SHAPE_RESULT,
	[STATE_FAILED] = SHAPE_RESULT,    [STATE_FORWARD] = SHAPE_ID,       [STATE_PART] = SHAPE_PART,
	[STATE_REPORT] = SHAPE_ID,        [STATE_WARNING] = SHAPE_ID,       [STATE_SUCCESS] = SHAPE_ID,
	[STATE_MADE] = SHAPE_ID,
};

bool state_is_final(enum state_event event)
{
	return event >= STATE_DELIVERED && event <= STATE_FAILED;
}

static bool append_words(stralloc *text, const char *bytes, size_t length)
{
	size_t start = text->len;

	if (!text_append(text, bytes, length))
		return false;
	text_clean(text->s + start, length, '?');
	return true;
}

/* One word. */
static bool append_host(stralloc *text, const char *bytes, size_t length)
{
	size_t i, start = text->len;

	if (!append_words(text, bytes, length))
		return false;
	for (i = start; i < text->len; i++)
		if (text->s[i] == ' ' || text->s[i] == '?')
			text->s[i] = '_';
	return true;
}

static bool append_result(stralloc *text, const struct state_line *line)
{
	return text_append_format(text, " %s ", line->status[0] ? line->status : "4.0.0") &&
	       (line->host_length ? append_host(text, line->host, line->host_length) : text_append(text, "-", 1)) &&
	       text_append(text, " ", 1) && append_words(text, line->words, line->words_length);
}

static bool append_part(stralloc *text, const struct state_line *line)
{
	return text_append(text, " ", 1) &&
	       (line->offset == STATE_OFFSET_END ? text_append(text, "end", 3) : text_append_number(text, line->offset)) &&
	       text_append_format(text, " %s ", line->id) && append_words(text, line->words, line->words_length);
}

static bool append_line(stralloc *text, const struct state_line *line)
{
	enum shape shape = shapes[line->event];

	if (shape == SHAPE_SITES)
		return text_append(text, "sites ", 6) && append_words(text, line->words, line->words_length);
	if (!text_append_number(text, line->index) ||
	    !text_append_format(text, " %s ", state_event_names[line->event]) || !text_append_number(text, line->time_us))
		return false;
	if (shape == SHAPE_RESULT)
		return append_result(text, line);
	if (shape == SHAPE_PART)
		return append_part(text, line);
	return text_append_format(text, " %s", line->id);
}

bool state_append_line(stralloc *text, const struct state_line *line)
{
	size_t start = text->len;

	if (append_line(text, line) && text_append(text, "\n", 1))
		return true;
	text->len = start;
	return false;
}

static bool take_number(const char **at, const char *end, uint64_t *number)
{
	const char *word;
	size_t length;

	return text_next_word(at, end, &word, &length) && text_to_number(word, length, number);
}

static bool take_id(const char **at, const char *end, char id[QUEUE_ID_LENGTH + 1])
{
	const char *word;
	size_t length;

	if (!text_next_word(at, end, &word, &length) || !queue_id_is_valid(word, length))
		return false;
	memcpy(id, word, QUEUE_ID_LENGTH);
	id[QUEUE_ID_LENGTH] = '\0';
	return true;
}

static bool take_event(const char **at, const char *end, enum state_event *event)
{
	const char *word;
	size_t length, i;

	if (!text_next_word(at, end, &word, &length))
		return false;
	for (i = STATE_SITES + 1; i < STATE_EVENTS; i++)
		if (strlen(state_event_names[i]) == length && memcmp(state_event_names[i], word, length) == 0) {
			*event = (enum state_event)i;
			return true;
		}
	return false;
}

/* RFC 3463 2: class "." subject "." detail. A line torn here lacks its host and is refused for that. */
static bool status_is_good(const char *word, size_t length)
{
	size_t i;
	int dots = 0;

	if (length < 5 || length > STATE_STATUS_MAX || word[0] < '2' || word[0] > '5' || word[1] != '.' || word[length - 1] == '.')
		return false;
	for (i = 1; i < length; i++) {
		if (word[i] == '.')
			dots++;
		else if (word[i] < '0' || word[i] > '9')
			return false;
	}
	return dots == 2;
}

static void take_words(const char *at, const char *end, struct state_line *line)
{
	if (at < end && *at == ' ')
		at++;
	line->words = at;
	line->words_length = (size_t)(end - at);
}

static bool take_result(const char *at, const char *end, struct state_line *line)
{
	const char *word;
	size_t length;

	if (!text_next_word(&at, end, &word, &length) || !status_is_good(word, length))
		return false;
	memcpy(line->status, word, length);
	if (!text_next_word(&at, end, &line->host, &line->host_length))
		return false;
	if (line->host_length == 1 && line->host[0] == '-')
		line->host_length = 0;
	take_words(at, end, line);
	return true;
}

static bool take_part(const char *at, const char *end, struct state_line *line)
{
	const char *word;
	size_t length;

	if (!text_next_word(&at, end, &word, &length))
		return false;
	if (length == 3 && memcmp(word, "end", 3) == 0)
		line->offset = STATE_OFFSET_END;
	else if (!text_to_number(word, length, &line->offset))
		return false;
	if (!take_id(&at, end, line->id))
		return false;
	take_words(at, end, line);
	return true;
}

static bool parse_line(const char *at, const char *end, struct state_line *line)
{
	uint64_t index;

	memset(line, 0, sizeof *line);
	line->host = line->words = end;
	if (memchr(at, '\0', (size_t)(end - at)))	/* a hole that a power cut left */
		return false;
	if (end - at >= 6 && memcmp(at, "sites ", 6) == 0) {
		line->event = STATE_SITES;
		take_words(at + 5, end, line);
		return true;
	}
	if (!take_number(&at, end, &index) || index > UINT32_MAX || !take_event(&at, end, &line->event) ||
	    !take_number(&at, end, &line->time_us))
		return false;
	line->index = (uint32_t)index;
	switch (shapes[line->event]) {
	case SHAPE_RESULT: return take_result(at, end, line);
	case SHAPE_PART:   return take_part(at, end, line);
	default:           return take_id(&at, end, line->id);
	}
}

bool state_next_line(const char **at, const char *end, struct state_line *line)
{
	while (*at < end) {
		const char *start = *at, *newline = memchr(start, '\n', (size_t)(end - start));

		if (!newline) {
			*at = end;
			return false;
		}
		*at = newline + 1;
		if (parse_line(start, newline, line))
			return true;
	}
	return false;
}

enum result state_read(int fd, stralloc *text, uint64_t *due_us, struct why *why)
{
	struct stat st;

	text->len = 0;
	if (fstat(fd, &st) < 0)
		return why_errno(why, RESULT_RETRY, "unable to look at a state file");
	if (due_us)
		*due_us = (uint64_t)st.st_mtim.tv_sec * 1000000 + (uint64_t)st.st_mtim.tv_nsec / 1000;
	if (st.st_size > STATE_FILE_MAX)
		return why_set(why, RESULT_NEVER, "a state file of %lld bytes", (long long)st.st_size);
	if (!stralloc_ready(text, (size_t)st.st_size + 1))
		return why_set(why, RESULT_RETRY, "out of memory for a state file");
	while (text->len < (size_t)st.st_size) {
		ssize_t got = pread(fd, text->s + text->len, (size_t)st.st_size - text->len, (off_t)text->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return why_errno(why, RESULT_RETRY, "unable to read a state file");
		if (got == 0)
			break;
		text->len += (size_t)got;
	}
	return RESULT_OK;
}

static bool write_at(int fd, const char *bytes, size_t length, off_t offset)
{
	while (length) {
		ssize_t done = pwrite(fd, bytes, length, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		bytes += done;
		length -= (size_t)done;
		offset += done;
	}
	return true;
}

static enum result undo(int fd, const struct stat *st, struct why *why)
{
	int reason = errno;

	if (ftruncate(fd, st->st_size) == 0)
		errno = reason;
	return why_errno(why, RESULT_RETRY, "unable to write a state file");
}

enum result state_write(int fd, const char *text, size_t length, uint64_t due_us, struct why *why)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)(due_us / 1000000),
	                             .tv_nsec = (long)(due_us % 1000000) * 1000 } };
	struct stat st;
	char last = '\n';

	if (fstat(fd, &st) < 0 || (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1))
		return why_errno(why, RESULT_RETRY, "unable to read a state file");
	if (due_us == 0)
		times[1] = st.st_mtim;
	if (last != '\n' && !write_at(fd, "\n", 1, st.st_size))
		return undo(fd, &st, why);
	if (!write_at(fd, text, length, st.st_size + (last != '\n')) || futimens(fd, times) < 0)
		return undo(fd, &st, why);
	return RESULT_OK;
}

enum result state_sync(int fd, struct why *why)
{
	if (fsync(fd) < 0)
		return why_errno(why, RESULT_RETRY, "unable to make a state file durable");
	return RESULT_OK;
}
