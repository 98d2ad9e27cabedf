/* link: smtpd/body.o */
/* The content of DATA, RFC 5321 4.1.1.4, 4.5.2, 2.3.8: each row whole, byte by byte, and split in two at
 * every place. In expected texts '|' stands for the final dot's end. */
#include "smtpd/body.h"
#include "searched.h"
#include "unit.h"

#include <stdlib.h>

static char out[300000];
static size_t out_length;

static void take(void *context, const char *bytes, size_t length)
{
	(void)context;
	memcpy(out + out_length, bytes, length);
	out_length += length;
}

struct row {
	const char *in;
	const char *out;
	int used;	/* bytes up to and with the final dot; -1: no end in it */
	bool is_bare;
};

static const struct row rows[] = {
	{ "a\r\n.\r\n", "a\r\n", 6, false },
	{ ".\r\n", "", 3, false },
	{ "a\r\n.\r\nQUIT\r\n", "a\r\n", 6, false },
	{ "a\r\n..\r\n.\r\n", "a\r\n.\r\n", 10, false },
	{ "..a\r\n...b\r\n.\r\n", ".a\r\n..b\r\n", 14, false },
	{ ".a\r\n.\r\n", "a\r\n", 7, false },
	{ "a.b\r\nc.\r\n.\r\n", "a.b\r\nc.\r\n", 12, false },
	{ "\r\n\r\n.\r\n", "\r\n\r\n", 7, false },
	/* smuggling: none of these is an end */
	{ "a\n.\nb", "a\r\n.\r\nb", -1, true },
	{ "a\n.\r\nb", "a\r\n.\r\nb", -1, true },
	{ "a\r\n.\nb", "a\r\n\r\nb", -1, true },
	{ "a\r.\rb", "a\r\n.\r\nb", -1, true },
	{ "a\r.\r\nb", "a\r\n.\r\nb", -1, true },
	{ "a\r\n.\rb", "a\r\n\r\nb", -1, true },
	{ "a\r\n.\r.\r\nb", "a\r\n\r\n.\r\nb", -1, true },
	{ "a\r\r\n.\r\n", "a\r\n\r\n", 7, true },
	{ "a\n\n.\r\nb", "a\r\n\r\n.\r\nb", -1, true },
	{ "a\n\r\n.\r\n", "a\r\n\r\n", 7, true },
	{ "\n.\r\n\r\n.\r\n", "\r\n.\r\n\r\n", 9, true },
	{ "a\r\n.\r\r\n.\r\n", "a\r\n\r\n\r\n", 10, true },
};

static bool feed_pieces(const struct row *row, size_t first, size_t step, struct body *body, size_t *end)
{
	size_t length = strlen(row->in), at = 0, used;

	out_length = 0;
	body_start(body);
	while (at < length) {
		size_t piece = at == 0 && first ? first : step;
		if (piece > length - at)
			piece = length - at;
		char *copy = malloc(piece > 0 ? piece : 1);	/* so that a sanitizer sees a read beyond the piece */
		memcpy(copy, row->in + at, piece);
		enum result result = body_feed(body, copy, piece, &used, take, NULL);
		free(copy);
		at += used;
		*end = at;
		if (result == RESULT_END)
			return true;
	}
	return false;
}

static void check_row(const struct row *row, size_t first, size_t step)
{
	struct body body;
	size_t end = 0;
	bool ended = feed_pieces(row, first, step, &body, &end);

	out[out_length] = '\0';
	CHECK(ended == (row->used >= 0));
	CHECK(!ended || end == (size_t)row->used);
	CHECK(body.has_bare_newline == row->is_bare);
	CHECK_STRING(out, row->out);
}

static void content_is_the_same_however_it_is_split(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check_row(&rows[i], 0, strlen(rows[i].in));
		check_row(&rows[i], 0, 1);
		for (size_t first = 1; first < strlen(rows[i].in); first++)
			check_row(&rows[i], first, 1000);
	}
}

static void a_line_may_be_64_kilobytes_long_and_no_longer(void)
{
	static char line[BODY_LINE_MAX + 8];
	struct body body;
	size_t used;

	memset(line, 'x', sizeof line);
	for (int over = 0; over < 2; over++) {
		body_start(&body);
		out_length = 0;
		body_feed(&body, line, BODY_LINE_MAX + (size_t)over, &used, take, NULL);
		body_feed(&body, "\r\n.\r\n", 5, &used, take, NULL);
		CHECK(body.has_long_line == (over == 1));
	}
}

static void a_chunk_is_the_same_however_it_is_split(void)
{
	static const struct { const char *in, *out; } chunks[] = {	/* out: what a bare newline makes of it */
		{ "a\r\nb\r\n", NULL }, { "a", NULL }, { "", NULL }, { ".\r\n", NULL }, { "a\nb", "a\r\nb" }, { "a\rb", "a\r\nb" },
		{ "a\r", "a\r\n" }, { "\n", "\r\n" }, { "\r\n\r\n", NULL }, { "a\r\r\n", "a\r\n\r\n" }, { "a\r\n\n", "a\r\n\r\n" },
		{ "\r\n\r", "\r\n\r\n" }, { "a\r\n.\r\nb\r\n", NULL }, { "\r\n..x\r\n.", NULL }, { ".\n.\r\n", ".\r\n.\r\n" },
		{ "a\r.\r\n", "a\r\n.\r\n" },
	};

	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++)
		for (size_t first = 0; first <= strlen(chunks[i].in); first++) {
			struct body body;
			out_length = 0;
			body_start(&body);
			body_feed_chunk(&body, chunks[i].in, first, false, take, NULL);
			body_feed_chunk(&body, chunks[i].in + first, strlen(chunks[i].in) - first, true, take, NULL);
			out[out_length] = '\0';
			CHECK(body.has_bare_newline == (chunks[i].out != NULL));
			CHECK_STRING(out, chunks[i].out ? chunks[i].out : chunks[i].in);
		}
}

/* Random texts of the four kinds of bytes: whole and byte by byte they must mean the same, and an end can only
 * stand behind CRLF.CRLF. */
static void random_texts_mean_the_same_whole_and_by_bytes(void)
{
	static char whole[64];
	uint32_t seed = 1;
	bool same = true;

	for (int i = 0; i < 30000 && same; i++) {
		char text[16] = "";
		for (int at = 0; at < 15; at++) {
			seed = seed * 1664525 + 1013904223;
			text[at] = "\r\n.a\r\n"[(seed >> 24) % 6];
		}
		struct row row = { .in = text };
		struct body a, b;
		size_t end_a = 0, end_b = 0;
		bool ended_a = feed_pieces(&row, 0, 15, &a, &end_a);
		size_t length = out_length;
		memcpy(whole, out, length);
		bool ended_b = feed_pieces(&row, 0, 1, &b, &end_b);
		same = ended_a == ended_b && end_a == end_b && length == out_length && !memcmp(whole, out, length) &&
		       a.has_bare_newline == b.has_bare_newline && a.line_length == b.line_length;
		if (ended_a && end_a > 3)
			same = same && end_a >= 5 && !memcmp(text + end_a - 5, "\r\n.\r\n", 5);
	}
	CHECK(same);
}

/* However the CRs and LFs stand, a byte is looked at a few times, and not once for each of them. */
static void no_content_is_searched_again_and_again(void)
{
	static const char *const patterns[] = { "\ra", "\r", "a\n", "a\r\n", ".x\r\n", "\ra.", "aaaaaaaa\r" };
	static char in[65536];
	struct body body;
	size_t i, at, used;

	for (i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		for (at = 0; at < sizeof in; at++)
			in[at] = patterns[i][at % strlen(patterns[i])];
		searched = out_length = 0;
		body_start(&body);
		CHECK(body_feed(&body, in, sizeof in, &used, take, NULL) != RESULT_END);
		CHECK(searched <= 4 * sizeof in);
		searched = out_length = 0;
		body_start(&body);
		body_feed_chunk(&body, in, sizeof in, true, take, NULL);
		CHECK(searched <= 4 * sizeof in);
	}
}

int main(void)
{
	UNIT_RUN(content_is_the_same_however_it_is_split);
	UNIT_RUN(random_texts_mean_the_same_whole_and_by_bytes);
	UNIT_RUN(a_line_may_be_64_kilobytes_long_and_no_longer);
	UNIT_RUN(a_chunk_is_the_same_however_it_is_split);
	UNIT_RUN(no_content_is_searched_again_and_again);
	return unit_end();
}
