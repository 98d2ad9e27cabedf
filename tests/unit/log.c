/* common/log.c: a reader that stands still costs lines, never time. */
#include "common/log.h"
#include "unit.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int saved_error, reader;

static void pipe_as_error(void)
{
	int ends[2];

	saved_error = dup(2);
	if (pipe(ends) || dup2(ends[1], 2) < 0)
		exit(1);
	close(ends[1]);
	reader = ends[0];
	fcntl(reader, F_SETFL, O_NONBLOCK);
	log_open("unit");
	log_never_wait();
}

static void error_again(void)
{
	dup2(saved_error, 2);
	close(saved_error);
	close(reader);
}

static void say(unsigned number)
{
	struct log_line line;

	log_start(&line, "event");
	log_number(&line, "number", number);
	log_text(&line, "words", "some words that take a little room in the pipe and in the buffer");
	log_end(&line);
}

/* All that was said, NUL-ended; the caller frees. */
static char *read_all(void)
{
	const size_t size = 1 << 20;
	char *text = calloc(1, size + 1);
	size_t length = 0;
	bool is_flushed;
	ssize_t n;

	do {
		is_flushed = log_try_flush();
		while (text && length < size && (n = read(reader, text + length, size - length)) > 0)
			length += (size_t)n;
	} while (text && !is_flushed);
	return text;
}

static void a_line_is_written_by_a_flush(void)
{
	pipe_as_error();
	say(7);
	char *text = read_all();
	error_again();
	CHECK(text && strstr(text, "unit event number=7 words=\"some") == text);
	free(text);
}

/* Some 190,000 bytes: 64 KB are taken by the pipe, 64 KB kept, the rest is counted. */
static void lines_that_nobody_reads_are_counted_and_told(void)
{
	enum { LINES = 2000 };
	unsigned whole = 0;
	unsigned long lost = 0;

	pipe_as_error();
	for (unsigned i = 0; i < LINES; i++)
		say(i);
	CHECK(!log_try_flush());
	char *before = read_all();
	say(LINES);
	char *after = read_all();
	error_again();

	for (char *line = strtok(before, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strncmp(line, "unit log-lost lines=", 20))
			lost = strtoul(line + 20, NULL, 10);
		else
			whole += !strncmp(line, "unit event number=", 18) && line[strlen(line) - 1] == '"';
	}
	CHECK(lost > 0);
	CHECK(whole + lost == LINES);
	CHECK(after && strstr(after, "number=2000") && !strstr(after, "log-lost"));
	free(before);
	free(after);
}

int main(void)
{
	UNIT_RUN(a_line_is_written_by_a_flush);
	UNIT_RUN(lines_that_nobody_reads_are_counted_and_told);
	return unit_end();
}
