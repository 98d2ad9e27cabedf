/* link: remoted/reply.o remoted/route.o remoted/body.o */
#include "remoted/body.h"
#include "remoted/reply.h"
#include "remoted/route.h"
#include "searched.h"
#include "unit.h"
#include <stdlib.h>

static void replies_are_taken_line_by_line(void)
{
	static const struct { const char *lines[3]; enum result last; int code; const char *status; } rows[] = {
		{ { "250 ok" }, RESULT_OK, 250, "2.0.0" },
		{ { "250" }, RESULT_OK, 250, "2.0.0" },
		{ { "550-5.1.1 no", "550 5.1.1 such user" }, RESULT_OK, 550, "5.1.1" },
		{ { "550 4.1.1 class does not fit" }, RESULT_OK, 550, "5.9.9" },
		{ { "450 4.7.1234 too long" }, RESULT_OK, 450, "4.9.9" },
		{ { "451 4.7.1" }, RESULT_OK, 451, "4.7.1" },
		{ { "451 4.100.999 x" }, RESULT_OK, 451, "4.100.999" },
		{ { "550 5.0.0 x" }, RESULT_OK, 550, "5.0.0" },
		{ { "550 5..1 x" }, RESULT_OK, 550, "5.9.9" },
		{ { "550 5.1. x" }, RESULT_OK, 550, "5.9.9" },
		{ { "550 5.1 x" }, RESULT_OK, 550, "5.9.9" },
		{ { "550 5.1.1.1 x" }, RESULT_OK, 550, "5.9.9" },
		{ { "550 5.01.1 x" }, RESULT_OK, 550, "5.9.9" },
		{ { "550 5.1.00 x" }, RESULT_OK, 550, "5.9.9" },
		{ { "250-a", "251 b" }, RESULT_PEER, 250, NULL },
		{ { "hello" }, RESULT_PEER, 0, NULL },
		{ { "999 x" }, RESULT_PEER, 0, NULL },
		{ { "150 x" }, RESULT_PEER, 0, NULL },
		{ { "25" }, RESULT_PEER, 0, NULL },
		{ { "250_x" }, RESULT_PEER, 0, NULL },
		{ { "" }, RESULT_PEER, 0, NULL },
	};
	size_t i, j;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reply reply = { 0 };
		struct why why = { 0 };
		enum result result = RESULT_OK;
		char status[12];

		for (j = 0; j < 3 && rows[i].lines[j] && result == RESULT_OK; j++)
			result = reply_take_line(&reply, rows[i].lines[j], strlen(rows[i].lines[j]), &why);
		CHECK(result == rows[i].last && reply.code == rows[i].code);
		if (!rows[i].status)
			continue;
		CHECK(reply.is_whole);
		reply_status(&reply, rows[i].code < 300 ? "2.0.0" : "5.9.9", status);
		CHECK_STRING(status, rows[i].status);
	}
}

static void an_endless_reply_keeps_bounded_words(void)
{
	struct reply reply = { 0 };
	struct why why = { 0 };
	char line[REPLY_LINE_MAX];
	int i;

	memset(line, 'x', sizeof line);
	memcpy(line, "250-", 4);
	for (i = 0; i < REPLY_LINES_MAX; i++)
		CHECK(reply_take_line(&reply, line, sizeof line, &why) == RESULT_OK);
	CHECK(reply_take_line(&reply, line, sizeof line, &why) == RESULT_PEER);
	CHECK(reply.length <= REPLY_TEXT_MAX && strlen(reply.text) == reply.length);
}

static void routes_are_parsed_whole_or_refused(void)
{
	static const struct { const char *text; int is_ok; const char *host; int port, is_exact, is_lmtp; const char *path; } rows[] = {
		{ "smtp:[192.0.2.1]:2525", 1, "192.0.2.1", 2525, 1, 0, "" },
		{ "smtp:Smart.Example", 1, "smart.example", 25, 0, 0, "" },
		{ "smtp:smart.example:587 source=192.0.2.9", 1, "smart.example", 587, 0, 0, "" },
		{ "smtp:[2001:db8::1]:26", 1, "2001:db8::1", 26, 1, 0, "" },
		{ "lmtp:[inner.example]", 1, "inner.example", 24, 1, 1, "" },
		{ "lmtp:unix:/run/lmtp", 1, "", 24, 1, 1, "/run/lmtp" },
		{ "smtp:", 0, "", 0, 0, 0, "" }, { "http://x", 0, "", 0, 0, 0, "" }, { "", 0, "", 0, 0, 0, "" },
		{ "smtp:[x", 0, "", 0, 0, 0, "" }, { "smtp:x:0", 0, "", 0, 0, 0, "" }, { "smtp:x:99999", 0, "", 0, 0, 0, "" },
		{ "lmtp:unix:relative", 0, "", 0, 0, 0, "" }, { "smtp:x source=nonsense", 0, "", 0, 0, 0, "" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct route route;
		struct why why = { 0 };
		int is_ok = route_parse(rows[i].text, strlen(rows[i].text), &route, &why) == RESULT_OK;
		CHECK(is_ok == rows[i].is_ok);
		if (!is_ok || !rows[i].is_ok)
			continue;
		CHECK_STRING(route.host, rows[i].host);
		CHECK_STRING(route.path, rows[i].path);
		CHECK(route.port == rows[i].port && route.is_exact == rows[i].is_exact && route.is_lmtp == rows[i].is_lmtp);
	}
}

static size_t convert(const char *in, size_t length, size_t piece, char *out)
{
	struct body body = { .at_line_start = true };
	size_t at, put = 0;

	for (at = 0; at < length; at += piece)
		put += body_convert(&body, in + at, length - at < piece ? length - at : piece, out + put);
	return put + body_end(&body, out + put);
}

static void content_is_stuffed_the_same_in_pieces_of_any_size(void)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "", ".\r\n" }, { "a\r\n", "a\r\n.\r\n" }, { "a", "a\r\n.\r\n" }, { ".", "..\r\n.\r\n" },
		{ "\r\n.\r\n", "\r\n..\r\n.\r\n" }, { "a\n.\nb", "a\r\n..\r\nb\r\n.\r\n" }, { "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\r\r\n", "a\r\n\r\n.\r\n" }, { "a\r", "a\r\n.\r\n" }, { "..x\r\ny.z\r\n", "...x\r\ny.z\r\n.\r\n" },
		{ "\n\n", "\r\n\r\n.\r\n" }, { "\r\r", "\r\n\r\n.\r\n" },
	};
	size_t i, piece;
	char out[200];

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		for (piece = 1; piece <= strlen(rows[i].in) + 1; piece++) {
			size_t length = convert(rows[i].in, strlen(rows[i].in), piece, out);
			CHECK(length == strlen(rows[i].out) && !memcmp(out, rows[i].out, length));
		}
}

static void no_content_is_searched_again_and_again(void)
{
	static const char *const patterns[] = { "\ra", "\r", "a\n", "a\r\n", "aaaaaaaa\r" };
	char *in = malloc(BODY_PIECE), *out = malloc(BODY_OUT_MAX);
	size_t i, at;

	for (i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		struct body body = { .at_line_start = true };
		for (at = 0; at < BODY_PIECE; at++)
			in[at] = patterns[i][at % strlen(patterns[i])];
		searched = 0;
		body_convert(&body, in, BODY_PIECE, out);
		CHECK(searched <= 4 * BODY_PIECE);
	}
	free(in);
	free(out);
}

static void the_worst_content_fits_the_buffer(void)
{
	char *in = malloc(BODY_PIECE), *out = malloc(BODY_OUT_MAX);
	struct body body = { .at_line_start = true, .after_cr = true };
	size_t i;

	for (i = 0; i < BODY_PIECE; i++)
		in[i] = i % 2 ? '\n' : '.';
	CHECK(body_convert(&body, in, BODY_PIECE, out) + 5 <= BODY_OUT_MAX);
	memset(in, '\n', BODY_PIECE);
	body.after_cr = true;
	CHECK(body_convert(&body, in, BODY_PIECE, out) + 5 <= BODY_OUT_MAX);
	free(in);
	free(out);
}

int main(void)
{
	UNIT_RUN(replies_are_taken_line_by_line);
	UNIT_RUN(an_endless_reply_keeps_bounded_words);
	UNIT_RUN(routes_are_parsed_whole_or_refused);
	UNIT_RUN(content_is_stuffed_the_same_in_pieces_of_any_size);
	UNIT_RUN(the_worst_content_fits_the_buffer);
	UNIT_RUN(no_content_is_searched_again_and_again);
	return unit_end();
}
