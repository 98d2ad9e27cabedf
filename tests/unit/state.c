/* The state of a queued message: what is written is read again, what a crash left is passed over. */
#include "common/state.h"
#include "unit.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID "1ezn3v0c4hk7x2m9q0ab"

/* Reads TEXT and writes what was understood again; a good reader and writer give the good lines back. */
static char *again(const char *text, size_t length)
{
	static stralloc out;
	const char *at = text;
	struct state_line line;

	out.len = 0;
	while (state_next_line(&at, text + length, &line))
		state_append_line(&out, &line);
	text_append_nul(&out);
	return out.s;
}

static void lines(void)
{
	static const struct { const char *text, *good; } rows[] = {
		{ "", "" },
		{ "sites example.net local.example\n", "sites example.net local.example\n" },
		{ "0 deferred 17 4.2.2 - mailbox is full\n", "0 deferred 17 4.2.2 - mailbox is full\n" },
		{ "1 failed 17 5.1.1 mx.example.net user unknown\n", "1 failed 17 5.1.1 mx.example.net user unknown\n" },
		{ "2 delivered 17 2.0.0 - \n", "2 delivered 17 2.0.0 - \n" },
		{ "2 delivered 17 2.0.0 -\n", "2 delivered 17 2.0.0 - \n" },
		{ "3 part 17 22910 " ID " zoe@example.org\n", "3 part 17 22910 " ID " zoe@example.org\n" },
		{ "3 part 17 end " ID " zoe@example.org\n", "3 part 17 end " ID " zoe@example.org\n" },
		{ "4 forward 17 " ID "\n", "4 forward 17 " ID "\n" },
		{ "0 report 17 " ID "\n0 made 18 " ID "\n", "0 report 17 " ID "\n0 made 18 " ID "\n" },
		{ "0 warning 17 " ID "\n", "0 warning 17 " ID "\n" },
		{ "0 success 17 " ID "\n", "0 success 17 " ID "\n" },
		/* torn at the end of the file */
		{ "0 delivered 17 2.0.0 - saved", "" },
		{ "0 delivered 17 2.0.0 - saved\n1 fail", "0 delivered 17 2.0.0 - saved\n" },
		/* torn, then appended to on a fresh line */
		{ "0 del\n1 delivered 17 2.0.0 - saved\n", "1 delivered 17 2.0.0 - saved\n" },
		{ "0 delivered 17\n", "" },
		{ "0 delivered 17 2.0\n", "" },
		{ "0 delivered 17 2.0.0\n", "" },
		{ "0 report 17 1ezn3v0c4hk7\n", "" },
		{ "0 part 17 22 \n", "" },
		/* what nobody writes */
		{ "\n\n \n", "" },
		{ "x delivered 17 2.0.0 - saved\n", "" },
		{ "4294967296 delivered 17 2.0.0 - saved\n", "" },
		{ "0 vanished 17 2.0.0 - saved\n", "" },
		{ "0 sites 17 2.0.0 - saved\n", "" },
		{ "0 delivered -1 2.0.0 - saved\n", "" },
		{ "0 delivered 17 200 - saved\n", "" },
		{ "0 delivered 17 6.0.0 - saved\n", "" },
		{ "0 delivered 17 2.0. - saved\n", "" },
		{ "0 delivered 17 2.0.0.0 - saved\n", "" },
		{ "0 delivered 17 2.0000000000000.0 - saved\n", "" },
		{ "0 report 17 1EZN3V0C4HK7X2M9Q0AB\n", "" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK_STRING(again(rows[i].text, strlen(rows[i].text)), rows[i].good);
}

static void holes(void)
{
	static const char text[] = "0 delivered 17 2.0.0 - saved\n\0\0\0\0\0\0\n1 delivered 17 2.0.0 - a\0b\n2 failed 17 5.0.0 - no\n";

	CHECK_STRING(again(text, sizeof text - 1), "0 delivered 17 2.0.0 - saved\n2 failed 17 5.0.0 - no\n");
}

static void a_line_is_always_a_line(void)
{
	stralloc out = { 0 };
	struct state_line line = { .event = STATE_FAILED, .index = 7, .time_us = 17, .status = "5.1.1", .host = "a b\nc", .host_length = 5,
	                           .words = "user\r\n8 delivered 1 2.0.0 - x", .words_length = 29 };

	CHECK(state_append_line(&out, &line) && text_append_nul(&out));
	CHECK_STRING(out.s, "7 failed 17 5.1.1 a_b_c user??8 delivered 1 2.0.0 - x\n");
	stralloc_free(&out);
}

static void finals(void)
{
	CHECK(!state_is_final(STATE_SITES) && !state_is_final(STATE_DEFERRED) && !state_is_final(STATE_REPORT) && !state_is_final(STATE_MADE));
	CHECK(state_is_final(STATE_DELIVERED) && state_is_final(STATE_FAILED) && state_is_final(STATE_EXPANDED) && state_is_final(STATE_FORWARDED));
}

static void files(void)
{
	char name[] = "/tmp/state-test.XXXXXX";
	int fd = mkstemp(name);
	stralloc text = { 0 };
	uint64_t due_us;
	struct why why;
	struct stat st;

	CHECK(fd >= 0);
	unlink(name);
	CHECK(state_read(fd, &text, NULL, &why) == RESULT_OK && text.len == 0);
	CHECK(state_write(fd, "one\n", 4, 1795300000123456, &why) == RESULT_OK && state_sync(fd, &why) == RESULT_OK);
	CHECK(fstat(fd, &st) == 0 && st.st_mtim.tv_sec == 1795300000 && st.st_mtim.tv_nsec == 123456000);
	CHECK(state_write(fd, "two\n", 4, 0, &why) == RESULT_OK && fstat(fd, &st) == 0 && st.st_mtim.tv_sec == 1795300000);
	CHECK(pwrite(fd, "tor", 3, 8) == 3);
	CHECK(state_write(fd, "three\n", 6, 0, &why) == RESULT_OK);
	CHECK(state_write(fd, "", 0, 1795300000123456, &why) == RESULT_OK);
	CHECK(state_read(fd, &text, &due_us, &why) == RESULT_OK && due_us == 1795300000123456 && text_append_nul(&text));
	CHECK_STRING(text.s, "one\ntwo\ntor\nthree\n");
	close(fd);
	stralloc_free(&text);
}

/* A disk without room: nothing of the append stays. */
static void full_disk(void)
{
	int fd = open("/dev/full", O_RDWR);
	struct why why = { 0 };

	CHECK(fd >= 0 && state_write(fd, "one\n", 4, 0, &why) == RESULT_RETRY);
	CHECK(why.text[0] != '\0');
	close(fd);
}

int main(void)
{
	UNIT_RUN(lines);
	UNIT_RUN(holes);
	UNIT_RUN(a_line_is_always_a_line);
	UNIT_RUN(finals);
	UNIT_RUN(files);
	UNIT_RUN(full_disk);
	return unit_end();
}
