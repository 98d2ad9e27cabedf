/* link: authd/session_content.o */
#include "unit.h"
#include "authd/session_content.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct output output;
static char got[4096];

/* What a client reads of TEXT, given in pieces of STEP bytes; LINES of the body, or -1 for all. */
static const char *sent(const char *text, size_t length, size_t step, long lines)
{
	struct content content = { .is_top = lines >= 0, .body_lines = lines >= 0 ? (uint64_t)lines : 0 };

	output.length = 0;
	for (size_t at = 0; at < length; at += step)
		if (!content_put(&content, &output, text + at, length - at < step ? length - at : step))
			break;
	content_end(&content, &output);
	memcpy(got, output.bytes, output.length);
	got[output.length] = 0;
	return got;
}

static uint64_t octets(const char *text, size_t length, size_t step)
{
	struct content content = { 0 };
	uint64_t sum = 0;

	for (size_t at = 0; at < length; at += step)
		sum += content_octets(&content, text + at, length - at < step ? length - at : step);
	return sum + content_octets_end(&content);
}

static const struct { const char *text, *want; uint64_t octets; } rows[] = {
	{ "", ".\r\n", 0 },
	{ "\n", "\r\n.\r\n", 2 },
	{ "a\n", "a\r\n.\r\n", 3 },
	{ "a", "a\r\n.\r\n", 3 },
	{ "a\r\nb\r\n", "a\r\nb\r\n.\r\n", 6 },
	{ "a\r\nb\n", "a\r\nb\r\n.\r\n", 6 },
	{ "a\r", "a\r\r\n.\r\n", 4 },
	{ "a\rb\n", "a\rb\r\n.\r\n", 5 },
	{ "\r\n", "\r\n.\r\n", 2 },
	{ "\r\r\n", "\r\r\n.\r\n", 3 },
	{ ".\n", "..\r\n.\r\n", 3 },
	{ "..\n.a\nb.\n", "...\r\n..a\r\nb.\r\n.\r\n", 12 },
	{ "a\n.", "a\r\n..\r\n.\r\n", 6 },
	{ "\n\n.\n", "\r\n\r\n..\r\n.\r\n", 7 },
};

static void lines_and_dots(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t step = 1; step < 8; step++) {
			CHECK_STRING(sent(rows[i].text, strlen(rows[i].text), step, -1), rows[i].want);
			CHECK(octets(rows[i].text, strlen(rows[i].text), step) == rows[i].octets);
		}
}

static void top_stops(void)
{
	static const char text[] = "A: 1\nB: 2\n\none\ntwo\n\nthree\n";
	static const struct { long lines; const char *want; } tops[] = {
		{ 0, "A: 1\r\nB: 2\r\n\r\n.\r\n" },
		{ 1, "A: 1\r\nB: 2\r\n\r\none\r\n.\r\n" },
		{ 3, "A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n\r\n.\r\n" },
		{ 99, "A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n\r\nthree\r\n.\r\n" },
	};

	for (size_t i = 0; i < sizeof tops / sizeof *tops; i++)
		for (size_t step = 1; step < 30; step += 7)
			CHECK_STRING(sent(text, strlen(text), step, tops[i].lines), tops[i].want);
	CHECK_STRING(sent("A: 1\r\n\r\nx\r\n", 11, 3, 0), "A: 1\r\n\r\n.\r\n");
	CHECK_STRING(sent("no body", 7, 3, 5), "no body\r\n.\r\n");
}

static void full_output_is_sent(void)
{
	int ends[2];
	char byte = 'x';
	ssize_t n;
	uint64_t sum = 0;
	static char sink[65536];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	output.fd = ends[0];
	output.length = 0;
	for (int i = 0; i < OUTPUT_BYTES + 10; i++)
		output_put(&output, &byte, 1);
	CHECK(output.length == 10);
	CHECK(output.sent_bytes == OUTPUT_BYTES);
	while (sum < OUTPUT_BYTES && (n = read(ends[1], sink, sizeof sink)) > 0)
		sum += (uint64_t)n;
	CHECK(sum == OUTPUT_BYTES);
	close(ends[1]);
	output_flush(&output);
	CHECK(output.is_broken);
	output_put(&output, &byte, 1);
	CHECK(output.length == 0);
	close(ends[0]);
}

int main(void)
{
	UNIT_RUN(lines_and_dots);
	UNIT_RUN(top_stops);
	UNIT_RUN(full_output_is_sent);
	return unit_end();
}
