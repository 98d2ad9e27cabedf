#include "dkim.h"

#include "base64.h"
#include "loop.h"
#include <stdlib.h>
#include <string.h>

enum {
	LINE_LONG = 70,			/* characters, then h= is folded */
	BASE64_LINE_BYTES = 54,		/* of a signature: 72 characters */
};

/* ---- the body ---- */

static void put_text(struct dkim_relaxed *relaxed, const char *bytes, size_t length)
{
	for (; relaxed->empty_lines; relaxed->empty_lines--)
		relaxed->put(relaxed, "\r\n", 2);
	if (relaxed->has_blank)
		relaxed->put(relaxed, " ", 1);
	relaxed->has_blank = false;
	relaxed->has_text = true;
	relaxed->put(relaxed, bytes, length);
}

static void end_line(struct dkim_relaxed *relaxed)
{
	if (relaxed->has_text)
		relaxed->put(relaxed, "\r\n", 2);
	else
		relaxed->empty_lines++;
	relaxed->has_text = relaxed->has_blank = false;
}

/* A CR or LF of its own is text. */
void dkim_relaxed_add(struct dkim_relaxed *relaxed, const char *bytes, size_t length)
{
	const char *end = bytes + length, *from;

	while (bytes < end) {
		if (relaxed->has_cr) {
			relaxed->has_cr = false;
			if (*bytes == '\n') {
				end_line(relaxed);
				bytes++;
				continue;
			}
			put_text(relaxed, "\r", 1);
		}
		for (from = bytes; bytes < end && *bytes != '\r' && *bytes != ' ' && *bytes != '\t'; bytes++)
			;
		if (bytes > from)
			put_text(relaxed, from, (size_t)(bytes - from));
		else if (*bytes++ == '\r')
			relaxed->has_cr = true;
		else
			relaxed->has_blank = true;
	}
}

void dkim_relaxed_end(struct dkim_relaxed *relaxed)
{
	if (relaxed->has_cr)
		put_text(relaxed, "\r", 1);
	if (relaxed->has_text)
		end_line(relaxed);
}

static void hash_piece(struct dkim_relaxed *relaxed, const char *bytes, size_t length)
{
	sha256_update(&container_of(relaxed, struct dkim_body, relaxed)->hash, length, (const uint8_t *)bytes);
}

void dkim_body_start(struct dkim_body *body)
{
	body->relaxed = (struct dkim_relaxed){ .put = hash_piece };
	sha256_init(&body->hash);
}

void dkim_body_add(struct dkim_body *body, const char *bytes, size_t length)
{
	dkim_relaxed_add(&body->relaxed, bytes, length);
}

void dkim_body_end(struct dkim_body *body, unsigned char hash[DKIM_HASH_SIZE])
{
	dkim_relaxed_end(&body->relaxed);
	sha256_digest(&body->hash, DKIM_HASH_SIZE, hash);
}

/* ---- the header ---- */

/* The line ends of a folded field stand before blanks, and are gone like these. */
static size_t blank_length(const char *at, const char *end)
{
	if (*at == ' ' || *at == '\t')
		return 1;
	return end - at > 1 && at[0] == '\r' && at[1] == '\n' ? 2 : 0;
}

/* Without blanks at either end. */
static bool append_reduced(stralloc *out, const char *at, const char *end)
{
	bool is_first = true, has_blank = false;

	while (at < end) {
		size_t blank = blank_length(at, end);
		if (!blank && ((has_blank && !is_first && !text_append(out, " ", 1)) || !text_append(out, at, 1)))
			return false;
		has_blank = blank > 0;
		is_first = is_first && blank;
		at += blank ? blank : 1;
	}
	return true;
}

bool dkim_append_relaxed_field(stralloc *out, const char *field, size_t length)
{
	const char *end, *colon;
	size_t start = out->len;

	if (!length)
		return true;
	end = field + length;
	colon = memchr(field, ':', length);
	if (!append_reduced(out, field, colon ? colon : end))
		return false;
	if (out->len > start)
		text_lower(out->s + start, out->len - start);
	return !colon || (text_append(out, ":", 1) && append_reduced(out, colon + 1, end));
}

struct field { const char *at; size_t length, name_length; };
struct fields { struct field *items; size_t count; };

static size_t field_length(const char *at, const char *end)
{
	const char *newline = at;

	while ((newline = memchr(newline, '\n', (size_t)(end - newline)))) {
		newline++;
		if (newline == end || (*newline != ' ' && *newline != '\t'))
			return (size_t)(newline - at);
	}
	return (size_t)(end - at);
}

static size_t name_length(const char *at, size_t length)
{
	const char *colon = memchr(at, ':', length);
	size_t name = colon ? (size_t)(colon - at) : 0;

	while (name && blank_length(at + name - 1, at + name))
		name--;
	return name;
}

static bool find_fields(struct fields *fields, const char *header, size_t length)
{
	const char *at, *end = header + length;
	size_t most = 1;

	for (at = header; at < end; at += field_length(at, end))
		most++;
	*fields = (struct fields){ calloc(most, sizeof *fields->items), 0 };
	if (!fields->items)
		return false;
	for (at = header; at < end; at += fields->items[fields->count++].length) {
		size_t one = field_length(at, end);
		fields->items[fields->count] = (struct field){ at, one, name_length(at, one) };
	}
	return true;
}

static bool has_name(const struct field *field, const char *name)
{
	return text_equal_folded(field->at, field->name_length, name, strlen(name));
}

/* ---- the signature's own field ---- */

static bool append_name(stralloc *out, const char *name, size_t *column)
{
	bool is_first = out->s[out->len - 1] == '=', folds = !is_first && *column + strlen(name) > LINE_LONG;

	if (!is_first && !text_append(out, ":", 1))
		return false;
	if (folds && !text_append(out, "\r\n\t ", 4))
		return false;
	*column = (folds ? 0 : *column) + strlen(name) + 1;
	return text_append_string(out, name);
}

static bool append_names(stralloc *out, const struct dkim_wish *wish, const struct fields *fields)
{
	const char *const *name;
	size_t i, column = 0;

	for (name = wish->names; *name; name++) {
		for (i = 0; i < fields->count; i++)
			if (has_name(&fields->items[i], *name) && !append_name(out, *name, &column))
				return false;
		if (!append_name(out, *name, &column))
			return false;
	}
	return true;
}

static bool append_tags(stralloc *out, const struct dkim_wish *wish, const struct fields *fields, const unsigned char body[DKIM_HASH_SIZE])
{
	char hash[BASE64_SIZE(DKIM_HASH_SIZE)];

	base64_encode(body, DKIM_HASH_SIZE, hash);
	return text_append_format(out, "DKIM-Signature: v=1; a=%s; c=relaxed/relaxed;\r\n\td=%s;\r\n\ts=%s; t=%llu;\r\n\th=",
	                          wish->algorithm == SIGN_ED25519 ? "ed25519-sha256" : "rsa-sha256", wish->domain, wish->selector,
	                          (unsigned long long)wish->now_seconds) &&
	       append_names(out, wish, fields) && text_append_format(out, ";\r\n\tbh=%s;\r\n\tb=", hash);
}

/* RFC 6376 3.7: the fields of a name from the last one up, then this one, with no signature in it and no line end. */
static bool append_hashed(stralloc *out, const struct dkim_wish *wish, const struct fields *fields, const char *own, size_t length)
{
	const char *const *name;
	size_t i;

	for (name = wish->names; *name; name++)
		for (i = fields->count; i-- > 0;)
			if (has_name(&fields->items[i], *name) &&
			    (!dkim_append_relaxed_field(out, fields->items[i].at, fields->items[i].length) || !text_append(out, "\r\n", 2)))
				return false;
	return dkim_append_relaxed_field(out, own, length);
}

bool dkim_field_start(const struct dkim_wish *wish, const char *header, size_t length, const unsigned char body[DKIM_HASH_SIZE],
                      stralloc *field, unsigned char hash[DKIM_HASH_SIZE])
{
	struct fields fields;
	struct sha256_ctx context;
	stralloc hashed = { 0 };
	size_t start = field->len;
	bool is_fine = find_fields(&fields, header, length) && append_tags(field, wish, &fields, body) &&
	               append_hashed(&hashed, wish, &fields, field->s + start, field->len - start);

	if (is_fine) {
		sha256_init(&context);
		sha256_update(&context, hashed.len, (const uint8_t *)hashed.s);
		sha256_digest(&context, DKIM_HASH_SIZE, hash);
	}
	stralloc_free(&hashed);
	free(fields.items);
	return is_fine;
}

bool dkim_field_end(stralloc *field, const void *signature, size_t length)
{
	const char *at = signature;
	char line[BASE64_SIZE(BASE64_LINE_BYTES)];

	while (length) {
		size_t piece = length < BASE64_LINE_BYTES ? length : BASE64_LINE_BYTES;
		if (!text_append(field, "\r\n\t ", 4) || !text_append(field, line, base64_encode(at, piece, line)))
			return false;
		at += piece;
		length -= piece;
	}
	return text_append(field, "\r\n", 2);
}
