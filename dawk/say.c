/* What the sub-commands share: failures with their exit codes, JSON strings, where the programs are. */
#include "command.h"
#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int command_code(enum result result)
{
	switch (result) {
	case RESULT_OK:
	case RESULT_END:
		return EX_OK;
	case RESULT_RETRY:
		return EX_TEMPFAIL;
	case RESULT_STOP:
		return EX_OSERR;
	default:
		return EX_DATAERR;
	}
}

static void say(const char *command, const char *format, va_list arguments)
{
	fflush(stdout);
	fprintf(stderr, "dawk %s: ", command);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

int command_fail(const char *command, int code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say(command, format, arguments);
	va_end(arguments);
	return code;
}

int command_code_why(enum result result, const struct why *why)
{
	return why->errno_value == EACCES || why->errno_value == EPERM ? EX_NOPERM : command_code(result);
}

int command_fail_why(const char *command, enum result result, const struct why *why)
{
	return command_fail(command, command_code_why(result, why), "%s", why->text);
}

int command_usage(const char *command, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say(command, format, arguments);
	va_end(arguments);
	fprintf(stderr, "dawk %s: `dawk %s -h` shows the usage\n", command, command);
	return EX_USAGE;
}

/* How many bytes from AT on need no other form. */
static size_t plain_length(const unsigned char *at, size_t length)
{
	size_t i = 0;
	while (i < length && at[i] >= 0x20 && at[i] < 0x7f && at[i] != '"' && at[i] != '\\')
		i++;
	return i;
}

/* What may not be shown, by its number: U+009B as \u009b, over U+FFFF in two halves. */
static void put_escape(FILE *file, uint32_t code)
{
	if (code > 0xffff)
		fprintf(file, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
	else
		fprintf(file, "\\u%04x", code);
}

/* RFC 8259 7 */
void json_string(FILE *file, const char *bytes, size_t length)
{
	const unsigned char *at = (const unsigned char *)bytes;
	fputc('"', file);
	while (length) {
		uint32_t code = 0xfffd;
		size_t take = plain_length(at, length);
		if (take || (take = text_shown_length(at, length)) > 1) {
			fwrite(at, 1, take, file);
		} else if (take) {
			fprintf(file, "\\%c", *at);
		} else {
			take = text_utf8_length(at, length, &code);
			put_escape(file, code);
			take += take == 0;
		}
		at += take;
		length -= take;
	}
	fputc('"', file);
}

void print_shown(FILE *file, const char *format, ...)
{
	char *text, *line, *end;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	for (line = text; line < text + length; line = end + 1) {
		end = line + strcspn(line, "\n");
		text_clean(line, (size_t)(end - line), '?');
	}
	fwrite(text, 1, (size_t)length, file);
	free(text);
}

enum result command_programs_directory(char *out, size_t size, struct why *why)
{
	ssize_t length = readlink("/proc/self/exe", out, size - 1);
	if (length < 0)
		return why_errno(why, RESULT_STOP, "unable to find this program's folder");
	out[length] = 0;
	char *slash = strrchr(out, '/');
	if (!slash || slash == out)
		return why_set(why, RESULT_STOP, "unable to find this program's folder: %s", out);
	*slash = 0;
	return RESULT_OK;
}
