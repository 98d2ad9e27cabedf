/* Answers over HTTPS, each fed whole, byte by byte, and cut at every place: RFC 9110, RFC 9112. */
#include "common/https_reply.h"
#include "unit.h"

enum { BODY_MAX = 32 };

static const struct row {
	const char *name, *text;
	bool is_orderly;		/* how the connection ends */
	unsigned status;		/* 0: refused, for words in WORDS */
	const char *body, *type, *words;
} rows[] = {
	{ "a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello", "", NULL },
	{ "what follows its end", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello there", false, 200, "hello", "", NULL },
	{ "lines end in LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", false, 200, "hello", "", NULL },
	{ "no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, 200, "", "", NULL },
	{ "a type", "HTTP/1.1 200 OK\r\ncontent-TYPE:\t text/plain; charset=utf-8 \r\nContent-Length:2\r\n\r\nok", false, 200, "ok", "text/plain; charset=utf-8", NULL },
	{ "a type on two lines", "HTTP/1.1 200 OK\r\nContent-Type: text/plain;\r\n charset=utf-8\r\nContent-Length: 2\r\n\r\nok", false, 200, "ok", "text/plain;", NULL },
	{ "the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", false, 200, "ok", "", NULL },
	{ "until the end", "HTTP/1.0 200 OK\r\nX: y\r\n\r\nall of it", true, 200, "all of it", "", NULL },
	{ "chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0A\r\n, you ther\r\n1;x=y\r\ne\r\n0\r\n\r\n", false, 200, "hello, you there", "", NULL },
	{ "chunks and trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2 \r\nok\r\n000\r\nA: b\r\nC: d\r\n\r\n", false, 200, "ok", "", NULL },
	{ "chunks outdo a length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, 200, "ok", "", NULL },
	{ "interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\nContent-Type: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, "ok", "", NULL },
	{ "a redirect", "HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n", false, 301, "", "", NULL },
	{ "204 has no body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, 204, "", "", NULL },
	{ "304 has no body", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, 304, "", "", NULL },
	{ "just what is taken", "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n0123456789abcdef0123456789abcdef", false, 200, "0123456789abcdef0123456789abcdef", "", NULL },

	{ "nothing", "", true, 0, NULL, NULL, "without an answer" },
	{ "another protocol", "220 mail.example ESMTP\r\n", true, 0, NULL, NULL, "HTTP/1.1" },
	{ "HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", true, 0, NULL, NULL, "HTTP/1.1" },
	{ "a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", true, 0, NULL, NULL, "HTTP/1.1" },
	{ "a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", true, 0, NULL, NULL, "HTTP/1.1" },
	{ "a status beyond 599", "HTTP/1.1 600 Odd\r\n\r\n", true, 0, NULL, NULL, "status" },
	{ "a protocol nobody asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n", true, 0, NULL, NULL, "status" },
	{ "headers alone", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", true, 0, NULL, NULL, "before the answer was whole" },
	{ "interim answers alone", "HTTP/1.1 100 Continue\r\n\r\n", true, 0, NULL, NULL, "before the answer was whole" },
	{ "a length that does not come", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true, 0, NULL, NULL, "before the answer was whole" },
	{ "until a cut", "HTTP/1.0 200 OK\r\n\r\nall of it", false, 0, NULL, NULL, "before the answer was whole" },
	{ "chunks without a last one", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true, 0, NULL, NULL, "before the answer was whole" },
	{ "chunks without their last line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", true, 0, NULL, NULL, "before the answer was whole" },
	{ "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", true, 0, NULL, NULL, "Content-Length" },
	{ "a length below 0", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", true, 0, NULL, NULL, "Content-Length" },
	{ "no number", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", true, 0, NULL, NULL, "Content-Length" },
	{ "a length that no number holds", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", true, 0, NULL, NULL, "Content-Length" },
	{ "a length on two lines", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n0123456789", true, 0, NULL, NULL, "malformed" },
	{ "another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", true, 0, NULL, NULL, "Transfer-Encoding" },
	{ "chunks twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true, 0, NULL, NULL, "Transfer-Encoding" },
	{ "chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true, 0, NULL, NULL, "Transfer-Encoding" },
	{ "a line that goes on from the status", "HTTP/1.1 200 OK\r\n X: y\r\n\r\n", true, 0, NULL, NULL, "malformed" },
	{ "a header without a colon", "HTTP/1.1 200 OK\r\nContent-Length 2\r\n\r\nok", true, 0, NULL, NULL, "malformed" },
	{ "a header without a name", "HTTP/1.1 200 OK\r\n: 2\r\n\r\nok", true, 0, NULL, NULL, "malformed" },
	{ "a blank before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", true, 0, NULL, NULL, "malformed" },
	{ "control characters", "HTTP/1.1 200 OK\r\nX: \x1b[2J\r\n\r\n", true, 0, NULL, NULL, "control characters" },
	{ "CR alone", "HTTP/1.1 200 OK\r\nX: y\rContent-Length: 2\r\n\r\nok", true, 0, NULL, NULL, "control characters" },
	{ "a chunk of no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n", true, 0, NULL, NULL, "chunks" },
	{ "a chunk of a wrong size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2x\r\nok\r\n0\r\n\r\n", true, 0, NULL, NULL, "chunks" },
	{ "a chunk below 0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n", true, 0, NULL, NULL, "chunks" },
	{ "a chunk longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", true, 0, NULL, NULL, "chunks" },
	{ "a length beyond the limit", "HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n", true, 0, NULL, NULL, "longer than 32 bytes" },
	{ "a chunk beyond the limit", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff2\r\n", true, 0, NULL, NULL, "longer than 32 bytes" },
	{ "chunks beyond the limit", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n11\r\n0123456789abcdef0\r\n", true, 0, NULL, NULL, "longer than 32 bytes" },
	{ "endless", "HTTP/1.1 200 OK\r\n\r\n0123456789abcdef0123456789abcdef0", true, 0, NULL, NULL, "longer than 32 bytes" },
};

/* STEP bytes at a time, up to LENGTH. */
static enum result feed(struct https_reply *reply, const char *text, size_t length, size_t step, bool is_orderly, struct why *why)
{
	enum result result = RESULT_OK;
	size_t at;

	*reply = (struct https_reply){ .body_max = BODY_MAX };
	*why = (struct why){ 0 };
	for (at = 0; at < length && result == RESULT_OK; at += step)
		result = https_reply_take(reply, text + at, length - at < step ? length - at : step, why);
	return result == RESULT_OK ? https_reply_end(reply, is_orderly, why) : result;
}

static bool fits(const struct row *row, size_t step)
{
	struct https_reply reply;
	struct why why;
	enum result result = feed(&reply, row->text, strlen(row->text), step, row->is_orderly, &why);
	bool is_fine;

	if (row->words)
		is_fine = result == RESULT_PEER && !reply.is_whole && strstr(why.text, row->words);
	else
		is_fine = result == RESULT_OK && reply.is_whole && reply.status == row->status && reply.body.len == strlen(row->body) &&
		          !memcmp(reply.body.s ? reply.body.s : "", row->body, reply.body.len) && !strcmp(reply.type, row->type);
	if (!is_fine)
		printf("# %s, %zu at a time: %d \"%s\" status %u\n", row->name, step, (int)result, why.text, reply.status);
	https_reply_free(&reply);
	return is_fine;
}

static void answers(void)
{
	size_t i, step;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		printf("# %s\n", rows[i].name);
		CHECK(fits(&rows[i], 4096));
		for (step = 1; step < 7 && fits(&rows[i], step); step++)
			;
		CHECK(step == 7);
	}
}

/* Whatever is cut off in the middle, and by whom ever, is no answer; but for a body that ends with the connection. */
static void cuts(void)
{
	struct https_reply reply;
	struct why why;
	size_t i, length, taken = 0;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		for (length = 0; !rows[i].words && length < strlen(rows[i].text); length++) {
			enum result result = feed(&reply, rows[i].text, length, 4096, false, &why);
			taken += result == RESULT_OK && reply.body.len < strlen(rows[i].body);
			https_reply_free(&reply);
		}
	CHECK(taken == 0);
}

static bool refuses(const char *head, const char *part, size_t times, const char *words)
{
	struct https_reply reply = { .body_max = BODY_MAX };
	struct why why = { 0 };
	enum result result = https_reply_take(&reply, head, strlen(head), &why);

	for (; times > 0 && result == RESULT_OK; times--)
		result = https_reply_take(&reply, part, strlen(part), &why);
	https_reply_free(&reply);
	return result == RESULT_PEER && strstr(why.text, words);
}

static void limits(void)
{
	CHECK(refuses("HTTP/1.1 200 OK\r\n", "x", HTTPS_HEAD_MAX, "16 KiB"));
	CHECK(refuses("HTTP/1.1 200 OK\r\n", "Header: value\r\n", HTTPS_HEAD_MAX / 15 + 1, "16 KiB"));
	CHECK(refuses("", "HTTP/1.1 100 Continue\r\n\r\n", HTTPS_HEAD_MAX / 25 + 1, "16 KiB"));
	CHECK(refuses("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "Trailer: value\r\n", HTTPS_HEAD_MAX / 16 + 1, "16 KiB"));
	CHECK(refuses("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x", HTTPS_CHUNK_LINE_MAX, "chunks"));
	CHECK(refuses("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "0", HTTPS_CHUNK_LINE_MAX + 1, "chunks"));
}

/* The status is there before a body that is too long is refused. */
static void status_first(void)
{
	static const char text[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 100000\r\n\r\n";
	struct https_reply reply = { .body_max = BODY_MAX };
	struct why why;

	CHECK(https_reply_take(&reply, text, strlen(text), &why) == RESULT_PEER);
	CHECK(reply.status == 404 && reply.has_head && reply.is_too_long);
	https_reply_free(&reply);
}

int main(void)
{
	UNIT_RUN(answers);
	UNIT_RUN(cuts);
	UNIT_RUN(limits);
	UNIT_RUN(status_first);
	return unit_end();
}
