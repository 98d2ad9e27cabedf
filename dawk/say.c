/* What the sub-commands share: failures with their exit codes, JSON strings, where the programs are. */
#include "command.h"

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

/* How many bytes the UTF-8 character at BYTES has (RFC 3629 4); 0: none. */
static size_t utf8_length(const unsigned char *bytes, size_t length)
{
	size_t want = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
	if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || length < want)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	if ((bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xed && bytes[1] > 0x9f) ||
	    (bytes[0] == 0xf0 && bytes[1] < 0x90) || (bytes[0] == 0xf4 && bytes[1] > 0x8f))
		return 0;
	return want;
}

/* How many bytes from AT on need no other form. */
static size_t plain_length(const unsigned char *at, size_t length)
{
	size_t i = 0;
	while (i < length && at[i] >= 0x20 && at[i] < 0x7f && at[i] != '"' && at[i] != '\\')
		i++;
	return i;
}

/* RFC 8259 7 */
void json_string(FILE *file, const char *bytes, size_t length)
{
	const unsigned char *at = (const unsigned char *)bytes;
	fputc('"', file);
	while (length) {
		size_t take = plain_length(at, length);
		if (take)
			fwrite(at, 1, take, file);
		else if (*at == '"' || *at == '\\')
			fprintf(file, "\\%c", *at);
		else if (*at < 0x80)
			fprintf(file, "\\u%04x", *at);
		else if ((take = utf8_length(at, length)) > 0)
			fwrite(at, 1, take, file);
		else
			fputs("\\ufffd", file);
		if (!take)
			take = 1;
		at += take;
		length -= take;
	}
	fputc('"', file);
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
