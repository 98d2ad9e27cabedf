/* The envelope of a message file: see queue.h for the bytes. */
#include "queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_READ = 8192, RECIPIENTS_MAX = 9999999 };

static const struct { unsigned bit; const char *name; } notify_names[] = {
	{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
};
static const char *const body_names[] = { [BODY_7BIT] = "7BIT", [BODY_8BITMIME] = "8BITMIME", [BODY_BINARYMIME] = "BINARYMIME" };

/* ---- writing ---- */

static enum result put_line(stralloc *out, const char *key, const char *value, struct why *why)
{
	if (!value)
		return RESULT_OK;
	if (!text_is_printable(value, strlen(value)))
		return why_set(why, RESULT_NEVER, "the %s of an envelope holds a control character", key);
	if (text_append_string(out, key) && text_append(out, " ", 1) && text_append_string(out, value) && text_append(out, "\n", 1))
		return RESULT_OK;
	return why_set(why, RESULT_RETRY, "no memory for an envelope");
}

static enum result put_flag(stralloc *out, const char *key, bool is_set, struct why *why)
{
	if (!is_set || (text_append_string(out, key) && text_append(out, "\n", 1)))
		return RESULT_OK;
	return why_set(why, RESULT_RETRY, "no memory for an envelope");
}

static enum result put_number(stralloc *out, const char *key, uint64_t number, struct why *why)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
	return put_line(out, key, digits, why);
}

static enum result put_notify(stralloc *out, unsigned notify, struct why *why)
{
	char names[64] = "";
	size_t i, length = 0;

	for (i = 0; i < sizeof notify_names / sizeof *notify_names; i++)
		if (notify & notify_names[i].bit)
			length += (size_t)snprintf(names + length, sizeof names - length, "%s%s",
			                           length ? "," : "", notify_names[i].name);
	return length ? put_line(out, "notify", names, why) : RESULT_OK;
}

enum result envelope_append_recipient(stralloc *recipients, const struct envelope_recipient *r, struct why *why)
{
	size_t start = recipients->len;
	enum result result = put_line(recipients, "recipient", r->address, why);

	if (result == RESULT_OK)
		result = put_line(recipients, "as", r->as, why);
	if (result == RESULT_OK)
		result = put_line(recipients, "orcpt", r->orcpt, why);
	if (result == RESULT_OK)
		result = put_line(recipients, "owner", r->owner, why);
	if (result == RESULT_OK)
		result = put_notify(recipients, r->notify, why);
	if (result == RESULT_OK)
		result = put_flag(recipients, "expanded", r->is_expanded, why);
	if (result != RESULT_OK)
		recipients->len = start;
	return result;
}

static enum result put_texts(stralloc *out, const struct envelope *e, struct why *why)
{
	const struct { const char *key, *value; } lines[] = {
		{ "from", e->from }, { "protocol", e->protocol }, { "client", e->client }, { "client-name", e->client_name },
		{ "helo", e->helo }, { "session", e->session }, { "authenticated", e->authenticated }, { "parent", e->parent },
		{ "envid", e->envid },
		{ "return", e->return_full ? "FULL" : e->return_headers ? "HDRS" : NULL },
		{ "body", e->body == BODY_7BIT ? NULL : body_names[e->body] },
	};
	enum result result = RESULT_OK;
	size_t i;

	for (i = 0; i < sizeof lines / sizeof *lines && result == RESULT_OK; i++)
		result = put_line(out, lines[i].key, lines[i].value, why);
	return result;
}

enum result envelope_append_head(stralloc *out, const struct envelope *e, size_t recipients_length, struct why *why)
{
	char head[QUEUE_HEAD_LENGTH + 16];
	enum result result;

	out->len = 0;
	if (!stralloc_readyplus(out, 1024))
		return why_set(why, RESULT_RETRY, "no memory for an envelope");
	out->len = QUEUE_HEAD_LENGTH;	/* filled in when the length is known */
	result = put_line(out, "id", e->id, why);
	if (result == RESULT_OK)
		result = put_number(out, "arrived", e->arrived_us, why);
	if (result == RESULT_OK)
		result = put_texts(out, e, why);
	if (result == RESULT_OK && e->is_local)
		result = put_number(out, "uid", e->uid, why);
	if (result == RESULT_OK)
		result = put_flag(out, "smtputf8", e->needs_smtputf8, why);
	if (result == RESULT_OK)
		result = put_flag(out, "requiretls", e->requires_tls, why);
	if (result == RESULT_OK)
		result = put_flag(out, "tls-optional", e->tls_is_optional, why);
	if (result == RESULT_OK)
		result = put_flag(out, "report", e->is_report, why);
	if (result != RESULT_OK)
		return result;
	if (out->len + recipients_length > QUEUE_ENVELOPE_MAX || e->recipient_count > RECIPIENTS_MAX)
		return why_set(why, RESULT_NEVER, "the envelope is too long");
	snprintf(head, sizeof head, "dawk 1 %010zu %07u\n", out->len - QUEUE_HEAD_LENGTH + recipients_length, e->recipient_count);
	memcpy(out->s, head, QUEUE_HEAD_LENGTH);
	return RESULT_OK;
}

/* ---- reading: each line becomes NUL-ended in place ---- */

static bool parse_notify(char *value, unsigned *notify)
{
	char *name, *rest = value;
	size_t i;

	while ((name = strsep(&rest, ","))) {
		for (i = 0; i < sizeof notify_names / sizeof *notify_names && strcmp(name, notify_names[i].name); i++)
			;
		if (i == sizeof notify_names / sizeof *notify_names)
			return false;
		*notify |= notify_names[i].bit;
	}
	return true;
}

static bool parse_body(const char *value, struct envelope *e)
{
	for (e->body = BODY_7BIT; e->body <= BODY_BINARYMIME; e->body++)
		if (!strcmp(value, body_names[e->body]))
			return true;
	return false;
}

static bool parse_special(struct envelope *e, const char *key, const char *value)
{
	uint64_t number;

	if (!strcmp(key, "arrived"))
		return text_to_number(value, strlen(value), &e->arrived_us);
	if (!strcmp(key, "uid")) {
		if (!text_to_number(value, strlen(value), &number) || number > UINT32_MAX)
			return false;
		e->uid = (uint32_t)number;
		return e->is_local = true;
	}
	if (!strcmp(key, "body"))
		return parse_body(value, e);
	if (!strcmp(key, "return")) {
		e->return_full = !strcmp(value, "FULL");
		e->return_headers = !strcmp(value, "HDRS");
		return e->return_full || e->return_headers;
	}
	if (!strcmp(key, "smtputf8"))
		return e->needs_smtputf8 = true;
	if (!strcmp(key, "requiretls"))
		return e->requires_tls = true;
	if (!strcmp(key, "tls-optional"))
		return e->tls_is_optional = true;
	if (!strcmp(key, "report"))
		return e->is_report = true;
	return true;	/* a later version's word: what this one does not know it does not need */
}

static bool parse_message_line(struct envelope *e, const char *key, const char *value)
{
	const struct { const char *key; const char **place; } texts[] = {
		{ "id", &e->id }, { "from", &e->from }, { "protocol", &e->protocol }, { "client", &e->client },
		{ "client-name", &e->client_name }, { "helo", &e->helo }, { "session", &e->session },
		{ "authenticated", &e->authenticated }, { "parent", &e->parent }, { "envid", &e->envid },
	};
	size_t i;

	for (i = 0; i < sizeof texts / sizeof *texts; i++)
		if (!strcmp(key, texts[i].key)) {
			*texts[i].place = value;
			return true;
		}
	return parse_special(e, key, value);
}

static bool parse_recipient_line(struct envelope_recipient *r, const char *key, char *value)
{
	if (!strcmp(key, "as"))
		r->as = value;
	else if (!strcmp(key, "orcpt"))
		r->orcpt = value;
	else if (!strcmp(key, "owner"))
		r->owner = value;
	else if (!strcmp(key, "expanded"))
		r->is_expanded = true;
	else if (!strcmp(key, "notify"))
		return parse_notify(value, &r->notify);
	return true;
}

static enum result parse_lines(struct envelope *e, char *at, char *end, struct why *why)
{
	uint32_t count = 0;

	while (at < end) {
		char *line_end = memchr(at, '\n', (size_t)(end - at)), *value;
		bool is_ok = true;
		if (!line_end)
			return why_set(why, RESULT_PEER, "the envelope ends inside a line");
		*line_end = 0;
		if (strlen(at) != (size_t)(line_end - at))
			return why_set(why, RESULT_PEER, "a NUL in the envelope");
		value = strchr(at, ' ');
		if (value)
			*value++ = 0;
		else
			value = line_end;
		if (!strcmp(at, "recipient")) {
			if (count == e->recipient_count)
				return why_set(why, RESULT_PEER, "more recipients than the first line tells");
			e->recipients[count++].address = value;
		} else if (count) {
			is_ok = parse_recipient_line(&e->recipients[count - 1], at, value);
		} else {
			is_ok = parse_message_line(e, at, value);
		}
		if (!is_ok)
			return why_set(why, RESULT_PEER, "bad value for %s in the envelope", at);
		at = line_end + 1;
	}
	if (count != e->recipient_count || !e->id || !e->from || !queue_id_is_valid(e->id, strlen(e->id)))
		return why_set(why, RESULT_PEER, "the envelope is not whole");
	return RESULT_OK;
}

static bool parse_head(const char *head, uint64_t *length, uint64_t *count)
{
	return !memcmp(head, "dawk 1 ", 7) && head[17] == ' ' && head[25] == '\n' &&
	       text_to_number(head + 7, 10, length) && text_to_number(head + 18, 7, count) &&
	       *length <= QUEUE_ENVELOPE_MAX && *count <= *length / 11;	/* "recipient \n" */
}

static enum result read_exactly(int fd, char *out, size_t length, uint64_t offset, struct why *why)
{
	while (length) {
		ssize_t n = pread(fd, out, length, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_errno(why, RESULT_RETRY, "unable to read a message");
		if (n == 0)
			return why_set(why, RESULT_PEER, "the message ended early");
		out += n;
		length -= (size_t)n;
		offset += (uint64_t)n;
	}
	return RESULT_OK;
}

/* The trailer must agree with the file's size: a file that was cut is not a message. */
static enum result check_trailer(int fd, const char *first, size_t first_length, uint64_t size, struct envelope *e, struct why *why)
{
	char is[QUEUE_TRAILER_LENGTH], must[QUEUE_TRAILER_LENGTH + 1];
	enum result result = RESULT_OK;

	e->content_length = size - QUEUE_TRAILER_LENGTH - e->content_offset;
	if (first_length == size)
		memcpy(is, first + size - QUEUE_TRAILER_LENGTH, sizeof is);
	else
		result = read_exactly(fd, is, sizeof is, size - QUEUE_TRAILER_LENGTH, why);
	if (result != RESULT_OK)
		return result;
	queue_trailer(must, e->content_length);
	if (memcmp(is, must, sizeof is))
		return why_set(why, RESULT_PEER, "the end mark is missing or tells another length");
	return RESULT_OK;
}

static enum result read_bytes(int fd, const char *first, size_t first_length, uint64_t length, uint64_t count,
                              struct envelope *e, struct why *why)
{
	size_t have = first_length - QUEUE_HEAD_LENGTH;

	e->bytes = malloc(length + 1);
	e->recipients = calloc(count ? count : 1, sizeof *e->recipients);
	if (!e->bytes || !e->recipients)
		return why_set(why, RESULT_RETRY, "no memory for an envelope of %llu bytes", (unsigned long long)length);
	e->recipient_count = (uint32_t)count;
	if (have > length)
		have = length;
	memcpy(e->bytes, first + QUEUE_HEAD_LENGTH, have);
	return read_exactly(fd, e->bytes + have, length - have, QUEUE_HEAD_LENGTH + have, why);
}

enum result envelope_read(int fd, struct envelope *e, struct why *why)
{
	char first[FIRST_READ];
	uint64_t size, length, count;
	enum result result;
	size_t first_length;
	struct stat st;

	*e = (struct envelope){ 0 };
	if (fstat(fd, &st))
		return why_errno(why, RESULT_RETRY, "unable to look at a message");
	size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || size < QUEUE_HEAD_LENGTH + QUEUE_TRAILER_LENGTH)
		return why_set(why, RESULT_PEER, "too short for a message");
	first_length = size < sizeof first ? size : sizeof first;
	result = read_exactly(fd, first, first_length, 0, why);
	if (result != RESULT_OK)
		return result;
	if (!parse_head(first, &length, &count) || size < QUEUE_HEAD_LENGTH + length + QUEUE_TRAILER_LENGTH)
		return why_set(why, RESULT_PEER, "the first line is not that of a message");
	e->content_offset = QUEUE_HEAD_LENGTH + length;
	result = check_trailer(fd, first, first_length, size, e, why);
	if (result == RESULT_OK)
		result = read_bytes(fd, first, first_length, length, count, e, why);
	if (result == RESULT_OK)
		result = parse_lines(e, e->bytes, e->bytes + length, why);
	if (result != RESULT_OK)
		envelope_free(e);
	return result;
}

void envelope_free(struct envelope *e)
{
	free(e->bytes);
	free(e->recipients);
	*e = (struct envelope){ 0 };
}
