/* link: authd/session_commands.o authd/digest.o authd/session_names.o authd/session_maildrop.o authd/session_sizes.o authd/session_content.o pop3d/command.o */
#include "unit.h"
#include "authd/session_commands.h"
#include "pop3d/command.h"

#include <stdlib.h>

static void lines_of_the_worker(void)
{
	static char text[LINE_MAX_BYTES * 3 + 20];
	const char *line;
	size_t length, used;
	bool skipping = false;

	CHECK(line_take("", 0, &skipping, &used, &line, &length) == RESULT_RETRY && used == 0);
	CHECK(line_take("NOOP", 4, &skipping, &used, &line, &length) == RESULT_RETRY && used == 0);
	CHECK(line_take("NOOP\r\nX", 7, &skipping, &used, &line, &length) == RESULT_OK && used == 6 && length == 4);
	CHECK(line_take("NOOP\nX", 6, &skipping, &used, &line, &length) == RESULT_OK && used == 5 && length == 4);
	CHECK(line_take("\r\n", 2, &skipping, &used, &line, &length) == RESULT_OK && used == 2 && length == 0);
	memset(text, 'a', sizeof text);
	CHECK(line_take(text, LINE_MAX_BYTES - 1, &skipping, &used, &line, &length) == RESULT_RETRY && used == 0);
	CHECK(line_take(text, sizeof text, &skipping, &used, &line, &length) == RESULT_PEER && skipping);
	CHECK(line_take(text, sizeof text, &skipping, &used, &line, &length) == RESULT_PEER || used == sizeof text);
	skipping = true;
	CHECK(line_take("aaa\r\nQUIT\r\n", 11, &skipping, &used, &line, &length) == RESULT_OK && used == 11 && length == 4);
	CHECK(!skipping);
}

static void verbs(void)
{
	const char *argument;
	size_t verb, length;

	line_split("PASS  a b ", 10, &verb, &argument, &length);
	CHECK(verb == 4 && length == 5 && !memcmp(argument, " a b ", 5));
	line_split("QUIT", 4, &verb, &argument, &length);
	CHECK(verb == 4 && length == 0);
}

static void credentials(void)
{
	char out[8];

	CHECK(credential_copy(" s p ", 5, out, sizeof out) && !strcmp(out, " s p "));
	CHECK(!credential_copy("", 0, out, sizeof out));
	CHECK(!credential_copy("a\0b", 3, out, sizeof out));
	CHECK(!credential_copy("a\nb", 3, out, sizeof out) && !credential_copy("a\rb", 3, out, sizeof out));
	CHECK(credential_copy("1234567", 7, out, sizeof out) && !credential_copy("12345678", 8, out, sizeof out));
}

static void put_input(struct input *in, const char *text, size_t length)
{
	memcpy(in->bytes + in->length, text, length);
	in->length += length;
}

static void lines_of_the_session(void)
{
	static struct input in;
	static char text[COMMAND_LINE_MAX + 100];
	const char *line;
	size_t length;

	put_input(&in, "STAT\r\nLIST 1\nNO", 15);
	CHECK(input_take_line(&in, &line, &length) == RESULT_OK && length == 4 && !memcmp(line, "STAT", 4));
	CHECK(input_take_line(&in, &line, &length) == RESULT_OK && length == 6);
	CHECK(input_take_line(&in, &line, &length) == RESULT_RETRY);
	put_input(&in, "OP\r\n", 4);
	CHECK(input_take_line(&in, &line, &length) == RESULT_OK && length == 4 && !memcmp(line, "NOOP", 4));
	memset(text, 'a', sizeof text);
	put_input(&in, text, sizeof text);
	CHECK(input_take_line(&in, &line, &length) == RESULT_PEER);
	CHECK(input_take_line(&in, &line, &length) == RESULT_RETRY);
	put_input(&in, "aa\r\nQUIT\r\n", 10);
	CHECK(input_take_line(&in, &line, &length) == RESULT_OK && length == 4 && !memcmp(line, "QUIT", 4));
}

static const struct session_start start = { .quota = "", .maildir = "", .error_limit = 3 };

static const char *answer_to(struct session *s, const char *line)
{
	static char answer[OUTPUT_BYTES + 1];

	s->output.length = 0;
	session_command(s, line, strlen(line));
	memcpy(answer, s->output.bytes, s->output.length);
	answer[s->output.length] = 0;
	return answer;
}

static void commands(void)
{
	static struct session s = { .start = &start, .drop = { .root = -1, .folder = { -1, -1 }, .lock = -1 } };

	CHECK_STRING(answer_to(&s, "stat"), "+OK 0 0\r\n");
	CHECK_STRING(answer_to(&s, "LIST"), "+OK\r\n.\r\n");
	CHECK_STRING(answer_to(&s, "UIDL "), "+OK\r\n.\r\n");
	CHECK_STRING(answer_to(&s, "RETR 1"), "-ERR no such message\r\n");
	CHECK_STRING(answer_to(&s, "NOOP"), "+OK\r\n");
	CHECK_STRING(answer_to(&s, ""), "-ERR no such command here\r\n");
	CHECK_STRING(answer_to(&s, "RETR"), "-ERR wrong number of arguments\r\n");
	CHECK(!s.is_over);
	CHECK_STRING(answer_to(&s, "TOP 1 x"), "-ERR TOP takes a message number and a number of lines\r\n-ERR too many errors\r\n");
	CHECK(s.is_over);
}

int main(void)
{
	UNIT_RUN(lines_of_the_worker);
	UNIT_RUN(verbs);
	UNIT_RUN(credentials);
	UNIT_RUN(lines_of_the_session);
	UNIT_RUN(commands);
	return unit_end();
}
