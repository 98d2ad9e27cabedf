#include "result.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void why_format(struct why *why, const char *format, va_list arguments)
{
	vsnprintf(why->text, sizeof why->text, format, arguments);
	text_clean(why->text, strlen(why->text), '?');
}

enum result why_set(struct why *why, enum result result, const char *format, ...)
{
	va_list arguments;

	if (!why)
		return result;
	why->errno_value = 0;
	va_start(arguments, format);
	why_format(why, format, arguments);
	va_end(arguments);
	return result;
}

enum result why_errno(struct why *why, enum result result, const char *format, ...)
{
	int error = errno;
	size_t length;
	va_list arguments;

	if (!why)
		return result;
	va_start(arguments, format);
	why_format(why, format, arguments);
	va_end(arguments);
	length = strlen(why->text);
	snprintf(why->text + length, sizeof why->text - length, ": %s", strerror(error));
	why->errno_value = error;
	errno = error;
	return result;
}

enum result result_of_errno(int errno_value)
{
	static const int passing[] = {
		ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EIO, EROFS, EAGAIN, EINTR, ESTALE, ENOBUFS,
		ETIMEDOUT, EBUSY, ENODEV, ENXIO, ETOOMANYREFS,
	};
	size_t i;

	for (i = 0; i < sizeof passing / sizeof *passing; i++)
		if (errno_value == passing[i])
			return RESULT_RETRY;
	return RESULT_NEVER;
}
