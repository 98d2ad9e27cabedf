/* The header of a message that a local program hands in: whom it is for, and what of it goes on. */
#include "submit.h"

#include <string.h>

static enum result no_memory(struct why *why)
{
	return why_set(why, RESULT_RETRY, "out of memory");
}

/* One address of a list while it is read: RFC 5322 3.4. */
struct reading {
	stralloc bare;		/* outside angle brackets: an address or a name */
	stralloc angle;		/* within them */
	bool has_angle;
};

static enum result take_one(struct recipients *recipients, struct reading *reading, struct why *why)
{
	const stralloc *text = reading->has_angle ? &reading->angle : &reading->bare;
	struct address address;
	size_t used;
	stralloc path = { 0 };
	enum result result = RESULT_OK;
	if (!text->len && !reading->has_angle)
		return RESULT_OK;
	/* brackets, so that a route in front is stripped */
	if (!text_append(&path, "<", 1) || !text_append(&path, text->s, text->len) || !text_append(&path, ">", 1))
		result = no_memory(why);
	struct why reason = { 0 };
	if (result == RESULT_OK && (address_parse_path(path.s, path.len, &address, &used, &reason) != RESULT_OK ||
	                            used != path.len || !address.length))
		result = why_set(why, RESULT_NEVER, "'%.*s' is no address%s%s", (int)(text->len > 100 ? 100 : text->len),
		                 text->len ? text->s : "<", *reason.text ? ": " : "", reason.text);
	if (result == RESULT_OK && (!text_append(&recipients->text, address.text, address.length) ||
	                            (!*address.domain && !text_append_format(&recipients->text, "@%s", recipients->domain)) ||
	                            !text_append(&recipients->text, "", 1)))
		result = no_memory(why);
	if (result == RESULT_OK) {
		recipients->count++;
		recipients->needs_smtputf8 |= address.needs_smtputf8;
	}
	stralloc_free(&path);
	reading->bare.len = reading->angle.len = 0;
	reading->has_angle = false;
	return result;
}

/* RFC 5322 3.2.2: comments nest, a backslash quotes. Returns where the comment ends. */
static const char *skip_comment(const char *at, const char *end)
{
	int depth = 0;
	for (; at < end; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		else if (*at == '(')
			depth++;
		else if (*at == ')' && --depth == 0)
			return at + 1;
	}
	return end;
}

/* A quoted string or domain literal, taken as it stands. */
static const char *take_quoted(const char *at, const char *end, stralloc *out, bool *is_fine)
{
	const char *start = at;
	char closing = *at == '"' ? '"' : ']';
	for (at++; at < end && *at != closing; at++)
		if (*at == '\\' && at + 1 < end)
			at++;
	at = at < end ? at + 1 : end;
	*is_fine = text_append(out, start, (size_t)(at - start));
	return at;
}

/* Blanks count only between words: "joe . smith @ example.org" has none (RFC 5322 4.4). */
static bool take_blank(stralloc *out, const char *next, const char *end)
{
	while (next < end && (*next == ' ' || *next == '\t' || *next == '\r' || *next == '\n'))
		next++;
	if (!out->len || next == end || strchr(".@<>,;:(", *next) || strchr(".@ ", out->s[out->len - 1]))
		return true;
	return text_append(out, " ", 1);
}

static enum result read_list(struct recipients *recipients, struct reading *reading, const char *at, const char *end, struct why *why)
{
	bool is_angle = false, is_fine = true;
	enum result result = RESULT_OK;
	while (at < end && is_fine && result == RESULT_OK) {
		stralloc *out = is_angle ? &reading->angle : &reading->bare;
		char c = *at;
		if (c == '(') {
			at = skip_comment(at, end);
			continue;
		}
		if (c == '"' || c == '[') {
			at = take_quoted(at, end, out, &is_fine);
			continue;
		}
		at++;
		if (c == '<' && !is_angle) {
			is_angle = reading->has_angle = true;
		} else if (c == '>' && is_angle) {
			is_angle = false;
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			is_fine = take_blank(out, at, end);
		} else if (!is_angle && c == ':') {	/* a group's name ends */
			reading->bare.len = 0;
		} else if (!is_angle && (c == ',' || c == ';')) {
			result = take_one(recipients, reading, why);
		} else {
			is_fine = text_append(out, &c, 1);
		}
	}
	if (!is_fine)
		return no_memory(why);
	return result == RESULT_OK ? take_one(recipients, reading, why) : result;
}

enum result recipients_add_list(struct recipients *recipients, const char *list, size_t length, struct why *why)
{
	struct reading reading = { 0 };
	enum result result = read_list(recipients, &reading, list, list + length, why);
	stralloc_free(&reading.bare);
	stralloc_free(&reading.angle);
	return result;
}

/* The line at AT, with its CRLF. */
static size_t line_length(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));
	return newline ? (size_t)(newline + 1 - at) : (size_t)(end - at);
}

/* How long the name of the field at AT is; 0: no field starts there (RFC 5322 2.2). */
static size_t field_name(const char *at, const char *end)
{
	const char *c = at;
	while (c < end && *c > 0x20 && *c < 0x7f && *c != ':')
		c++;
	size_t length = (size_t)(c - at);
	while (c < end && (*c == ' ' || *c == '\t'))
		c++;
	return c < end && *c == ':' ? length : 0;
}

/* The whole field at AT, with the lines that continue it. */
static size_t field_length(const char *at, const char *end)
{
	size_t length = line_length(at, end);
	while (at + length < end && (at[length] == ' ' || at[length] == '\t'))
		length += line_length(at + length, end);
	return length;
}

static bool is_field(const char *at, size_t name, const char *wanted)
{
	return text_equal_folded(at, name, wanted, strlen(wanted));
}

static bool is_bcc(const char *at, size_t name)
{
	return is_field(at, name, "Bcc") || is_field(at, name, "Resent-Bcc");
}

static bool names_recipients(const char *at, size_t name, bool is_resent)
{
	static const char *const names[] = { "To", "Cc", "Bcc" };
	for (size_t i = 0; i < 3; i++) {
		if (is_resent && name > 7 && text_equal_folded(at, 7, "Resent-", 7) && is_field(at + 7, name - 7, names[i]))
			return true;
		if (!is_resent && is_field(at, name, names[i]))
			return true;
	}
	return false;
}

void header_scan(struct header *header, const char *head, size_t length)
{
	const char *at = head, *end = head + length;
	size_t name;
	*header = (struct header){ 0 };
	/* what a mailbox file puts in front is no field */
	if (length > 5 && !memcmp(head, "From ", 5))
		at += header->skip = line_length(head, end);
	while (at < end && (name = field_name(at, end))) {
		header->has_from |= is_field(at, name, "From");
		header->is_resent |= names_recipients(at, name, true);
		at += field_length(at, end);
	}
	header->length = (size_t)(at - head);
	header->is_followed = end - at >= 2 && !memcmp(at, "\r\n", 2);
}

enum result header_recipients(const struct header *header, const char *head, struct recipients *recipients, struct why *why)
{
	const char *at = head + header->skip, *end = head + header->length;
	enum result result = RESULT_OK;
	while (at < end && result == RESULT_OK) {
		size_t name = field_name(at, end), length = field_length(at, end);
		const char *value = (const char *)memchr(at, ':', length) + 1;
		if (names_recipients(at, name, header->is_resent))
			result = recipients_add_list(recipients, value, (size_t)(at + length - value), why);
		at += length;
	}
	return result;
}

enum result header_write(const struct header *header, const char *head, bool drop_bcc, stralloc *out, struct why *why)
{
	const char *at = head + header->skip, *end = head + header->length;
	while (at < end) {
		size_t name = field_name(at, end), length = field_length(at, end);
		if (!(drop_bcc && is_bcc(at, name)) && !text_append(out, at, length))
			return no_memory(why);
		at += length;
	}
	return RESULT_OK;
}

/* RFC 2047 4.2, with each word under 75 characters and no character cut. */
static bool append_encoded(stralloc *out, const unsigned char *name)
{
	size_t room = 60;
	bool is_fine = text_append_string(out, "=?UTF-8?Q?");
	for (; *name; name++) {
		if (room < 12 && (*name & 0xc0) != 0x80) {
			is_fine = is_fine && text_append_string(out, "?= =?UTF-8?Q?");
			room = 60;
		}
		is_fine = is_fine && text_append_format(out, "=%02X", *name);
		room -= room < 3 ? room : 3;
	}
	return is_fine && text_append_string(out, "?=");
}

enum result header_write_from(stralloc *out, const char *name, const char *address, struct why *why)
{
	bool is_plain = true, is_ascii = true, is_fine = text_append_string(out, "From: ");
	for (const char *c = name; *c; c++) {
		is_plain = is_plain && !strchr("()<>[]:;@\\,.\"", *c);
		is_ascii = is_ascii && *c >= 0x20 && *c < 0x7f;
	}
	if (*name && !is_ascii) {
		is_fine = is_fine && append_encoded(out, (const unsigned char *)name);
	} else if (*name && is_plain) {
		is_fine = is_fine && text_append_string(out, name);
	} else if (*name) {
		is_fine = is_fine && text_append(out, "\"", 1);
		for (const char *c = name; *c; c++)
			is_fine = is_fine && (!strchr("\"\\", *c) || text_append(out, "\\", 1)) && text_append(out, c, 1);
		is_fine = is_fine && text_append(out, "\"", 1);
	}
	is_fine = is_fine && text_append_format(out, *name ? " <%s>\r\n" : "%s\r\n", address);
	return is_fine ? RESULT_OK : no_memory(why);
}
