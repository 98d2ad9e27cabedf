#include "https_reply.h"

#include <stdio.h>
#include <string.h>

static enum result refuse(struct why *why, const char *words)
{
	return why_set(why, RESULT_PEER, "%s", words);
}

static enum result refuse_length(struct https_reply *reply, struct why *why)
{
	reply->is_too_long = true;
	return why_set(why, RESULT_PEER, "the answer is longer than %zu bytes", reply->body_max);
}

static void end(struct https_reply *reply)
{
	reply->place = HTTPS_END;
	reply->is_whole = true;
}

/* ---- status and headers ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* RFC 9112 4: HTTP-version SP status-code SP [ reason-phrase ]; that last blank is missed out by some. */
static enum result take_status(struct https_reply *reply, const char *line, size_t length, struct why *why)
{
	if (length < 12 || memcmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) || line[8] != ' ' || !is_digit(line[9]) ||
	    !is_digit(line[10]) || !is_digit(line[11]) || (length > 12 && line[12] != ' '))
		return refuse(why, "what answers does not speak HTTP/1.1");
	reply->status = (unsigned)(line[9] - '0') * 100 + (unsigned)(line[10] - '0') * 10 + (unsigned)(line[11] - '0');
	if (reply->status < 100 || reply->status > 599 || reply->status == 101)	/* nobody asked to switch (RFC 9110 15.2.2) */
		return refuse(why, "the status of the answer is none");
	reply->is_old = line[7] == '0';
	reply->type[0] = 0;
	reply->has_length = reply->is_chunked = reply->may_fold = false;
	reply->place = HTTPS_FIELDS;
	return RESULT_OK;
}

/* RFC 9110 8.6: twice the same is harmless. */
static enum result take_length(struct https_reply *reply, const char *value, size_t length, struct why *why)
{
	uint64_t number;

	if (!text_to_number(value, length, &number) || (reply->has_length && number != reply->left))
		return refuse(why, "the answer's Content-Length is wrong");
	reply->left = number;
	reply->has_length = true;
	return RESULT_OK;
}

/* RFC 9112 6.1: nothing but chunked comes unasked, and that once, from HTTP/1.1 on. */
static enum result take_coding(struct https_reply *reply, const char *value, size_t length, struct why *why)
{
	if (reply->is_chunked || reply->is_old || !text_equal_folded(value, length, "chunked", 7))
		return refuse(why, "the answer's Transfer-Encoding is wrong");
	reply->is_chunked = true;
	return RESULT_OK;
}

static enum result take_type(struct https_reply *reply, const char *value, size_t length, struct why *why)
{
	(void)why;
	snprintf(reply->type, sizeof reply->type, "%.*s", (int)(length < HTTPS_TYPE_MAX ? length : HTTPS_TYPE_MAX), value);
	return RESULT_OK;
}

static const struct field {
	const char *name;
	bool is_framing;
	enum result (*take)(struct https_reply *reply, const char *value, size_t length, struct why *why);
} fields[] = {
	{ "content-length", true, take_length },
	{ "transfer-encoding", true, take_coding },
	{ "content-type", false, take_type },
};

/* RFC 9110 5.6.2 */
static bool is_token(const char *name, size_t length)
{
	static const char wanted[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t i;

	for (i = 0; i < length; i++)
		if (!memchr(wanted, name[i], sizeof wanted - 1))
			return false;
	return length > 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* RFC 9112 5. A line that goes on (5.2) adds nothing that is wanted here, but must not hide a length. */
static enum result take_field(struct https_reply *reply, const char *line, size_t length, struct why *why)
{
	const char *colon = memchr(line, ':', length), *end_of_value = line + length, *value;
	size_t i;

	if (is_blank(line[0]))
		return reply->may_fold ? RESULT_OK : refuse(why, "the answer's headers are malformed");
	if (!colon || !is_token(line, (size_t)(colon - line)))
		return refuse(why, "the answer's headers are malformed");
	for (value = colon + 1; value < end_of_value && is_blank(*value); value++)
		;
	while (end_of_value > value && is_blank(end_of_value[-1]))
		end_of_value--;
	reply->may_fold = true;
	for (i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (!text_equal_folded(line, (size_t)(colon - line), fields[i].name, strlen(fields[i].name)))
			continue;
		reply->may_fold = !fields[i].is_framing;
		return fields[i].take(reply, value, (size_t)(end_of_value - value), why);
	}
	return RESULT_OK;
}

/* RFC 9112 6.3: where the body ends. */
static enum result end_head(struct https_reply *reply, struct why *why)
{
	if (reply->status < 200) {	/* RFC 9110 15.2 */
		reply->place = HTTPS_STATUS;
		reply->status = 0;
		return RESULT_OK;
	}
	reply->has_head = true;
	if (reply->status == 204 || reply->status == 304 || (!reply->is_chunked && reply->has_length && reply->left == 0))
		end(reply);
	else if (reply->is_chunked)
		reply->place = HTTPS_SIZE;
	else if (reply->has_length)
		reply->place = HTTPS_LENGTH;
	else
		reply->place = HTTPS_REST;
	if (reply->place == HTTPS_LENGTH && reply->left > reply->body_max)
		return refuse_length(reply, why);
	return RESULT_OK;
}

/* ---- chunks: RFC 9112 7.1 ---- */

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c, 16);

	return at ? (int)(at - digits) : -1;
}

static enum result take_size(struct https_reply *reply, const char *line, size_t length, struct why *why)
{
	size_t i;

	reply->left = 0;
	for (i = 0; i < length && hex_value(line[i]) >= 0; i++) {
		reply->left = reply->left * 16 + (uint64_t)hex_value(line[i]);
		if (reply->left > reply->body_max)
			return refuse_length(reply, why);
	}
	if (i == 0 || (i < length && line[i] != ';' && !is_blank(line[i])))	/* extensions are passed over */
		return refuse(why, "the answer's chunks are malformed");
	reply->place = reply->left ? HTTPS_CHUNK : HTTPS_TRAILERS;
	return RESULT_OK;
}

/* ---- lines ---- */

static enum result take_line(struct https_reply *reply, const char *line, size_t length, struct why *why)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
			return refuse(why, "the answer has control characters in its headers");
	switch (reply->place) {
	case HTTPS_STATUS:
		return take_status(reply, line, length, why);
	case HTTPS_FIELDS:
		return length ? take_field(reply, line, length, why) : end_head(reply, why);
	case HTTPS_SIZE:
		return take_size(reply, line, length, why);
	case HTTPS_CHUNK_END:
		reply->place = HTTPS_SIZE;
		return length ? refuse(why, "the answer's chunks are malformed") : RESULT_OK;
	default:	/* a trailer: nothing of it is wanted */
		if (length == 0)
			end(reply);
		return RESULT_OK;
	}
}

/* Collects up to the end of a line, CRLF or LF alone (RFC 9112 2.2). */
static enum result collect_line(struct https_reply *reply, const char **at, const char *stop, struct why *why)
{
	const char *newline = memchr(*at, '\n', (size_t)(stop - *at));
	size_t length = (size_t)((newline ? newline + 1 : stop) - *at);
	bool is_chunk = reply->place == HTTPS_SIZE || reply->place == HTTPS_CHUNK_END;
	size_t room = is_chunk ? HTTPS_CHUNK_LINE_MAX - reply->line.len : HTTPS_HEAD_MAX - reply->head_length;
	enum result result;

	if (length > room)
		return refuse(why, is_chunk ? "the answer's chunks are malformed" : "the answer's headers are longer than 16 KiB");
	if (!text_append(&reply->line, *at, length))
		return why_set(why, RESULT_RETRY, "no memory for an answer");
	*at += length;
	if (!is_chunk)
		reply->head_length += length;
	if (!newline)
		return RESULT_OK;
	length = reply->line.len - 1;
	if (length && reply->line.s[length - 1] == '\r')
		length--;
	result = take_line(reply, reply->line.s, length, why);
	reply->line.len = 0;
	return result;
}

/* ---- the body ---- */

static enum result collect_body(struct https_reply *reply, const char **at, const char *stop, struct why *why)
{
	size_t length = (size_t)(stop - *at);

	if (reply->place != HTTPS_REST && length > reply->left)
		length = (size_t)reply->left;
	if (length > reply->body_max - reply->body.len)
		return refuse_length(reply, why);
	if (!text_append(&reply->body, *at, length))
		return why_set(why, RESULT_RETRY, "no memory for an answer");
	*at += length;
	if (reply->place == HTTPS_REST)
		return RESULT_OK;
	reply->left -= length;
	if (reply->left == 0 && reply->place == HTTPS_LENGTH)
		end(reply);
	else if (reply->left == 0)
		reply->place = HTTPS_CHUNK_END;
	return RESULT_OK;
}

enum result https_reply_take(struct https_reply *reply, const char *bytes, size_t length, struct why *why)
{
	const char *at = bytes, *stop = bytes + length;
	enum result result = RESULT_OK;

	while (result == RESULT_OK && at < stop && !reply->is_whole)
		if (reply->place == HTTPS_LENGTH || reply->place == HTTPS_REST || reply->place == HTTPS_CHUNK)
			result = collect_body(reply, &at, stop, why);
		else
			result = collect_line(reply, &at, stop, why);
	return result;
}

enum result https_reply_end(struct https_reply *reply, bool is_orderly, struct why *why)
{
	if (reply->place == HTTPS_REST && is_orderly)
		end(reply);
	if (reply->is_whole)
		return RESULT_OK;
	return refuse(why, reply->head_length ? "the connection ended before the answer was whole" : "the connection ended without an answer");
}

void https_reply_free(struct https_reply *reply)
{
	stralloc_free(&reply->body);
	stralloc_free(&reply->line);
}
