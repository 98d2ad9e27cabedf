#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* stralloc counts in size_t and grows checked; libowfat's own number functions are broken. */
bool text_append(stralloc *text, const void *bytes, size_t length)
{
	return !length || stralloc_catb(text, bytes, length) == 1;
}

bool text_append_string(stralloc *text, const char *string)
{
	return text_append(text, string, strlen(string));
}

bool text_append_number(stralloc *text, uint64_t number)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);

	return text_append(text, digits, (size_t)length);
}

bool text_append_format(stralloc *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0 || !stralloc_readyplus(text, (size_t)length + 1))
		return false;
	va_start(arguments, format);
	vsnprintf(text->s + text->len, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->len += (size_t)length;
	return true;
}

bool text_append_nul(stralloc *text)
{
	if (!text_append(text, "", 1))
		return false;
	text->len--;
	return true;
}

bool text_to_number(const void *bytes, size_t length, uint64_t *number)
{
	const unsigned char *digit = bytes;
	uint64_t value = 0;
	size_t i;

	if (!length)
		return false;
	for (i = 0; i < length; i++) {
		unsigned d = digit[i] - (unsigned)'0';
		if (d > 9 || value > (UINT64_MAX - d) / 10)
			return false;
		value = value * 10 + d;
	}
	*number = value;
	return true;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

void text_lower(char *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		bytes[i] = lower(bytes[i]);
}

bool text_equal_folded(const void *a, size_t a_length, const void *b, size_t b_length)
{
	const char *x = a, *y = b;
	size_t i;

	if (a_length != b_length)
		return false;
	for (i = 0; i < a_length; i++)
		if (lower(x[i]) != lower(y[i]))
			return false;
	return true;
}

bool text_is_printable(const void *bytes, size_t length)
{
	const unsigned char *c = bytes;
	size_t i;

	for (i = 0; i < length; i++)
		if (c[i] < 0x20 || c[i] == 0x7f)
			return false;
	return true;
}

size_t text_utf8_length(const void *at, size_t left, uint32_t *code)
{
	const unsigned char *c = at;
	size_t length = left == 0 ? 0 : *c < 0x80 ? 1 : *c < 0xc2 ? 0 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : *c < 0xf5 ? 4 : 0;
	uint32_t number;

	if (length > left || length == 0)
		return 0;
	number = length == 1 ? *c : *c & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
		number = number << 6 | (c[i] & 0x3f);
	}
	if ((length == 3 && number < 0x800) || (length == 4 && number < 0x10000) || number > 0x10ffff || (number >= 0xd800 && number < 0xe000))
		return 0;
	if (code)
		*code = number;
	return length;
}

bool text_is_utf8(const void *bytes, size_t length)
{
	const char *at = bytes, *end = at + length;
	size_t step;

	for (; at < end; at += step)
		if ((step = text_utf8_length(at, (size_t)(end - at), NULL)) == 0)
			return false;
	return true;
}

/* Control characters, the separators of lines and paragraphs, what turns the direction (UAX #9), invisible plane 14. */
static bool is_shown(uint32_t code)
{
	static const struct { uint32_t first, last; } hidden[] = {
		{ 0, 0x1f }, { 0x7f, 0x9f }, { 0x61c, 0x61c }, { 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2066, 0x2069 }, { 0xfeff, 0xfeff },
		{ 0xe0000, 0xe0fff },
	};
	size_t i;

	for (i = 0; i < sizeof hidden / sizeof *hidden; i++)
		if (code >= hidden[i].first && code <= hidden[i].last)
			return false;
	return true;
}

size_t text_shown_length(const void *at, size_t left)
{
	uint32_t code;
	size_t length = text_utf8_length(at, left, &code);

	return length > 0 && is_shown(code) ? length : 0;
}

bool text_is_shown(const void *bytes, size_t length)
{
	const char *at = bytes, *end = at + length;
	size_t step;

	for (; at < end; at += step)
		if ((step = text_shown_length(at, (size_t)(end - at))) == 0)
			return false;
	return true;
}

void text_clean(char *bytes, size_t length, char instead)
{
	char *at = bytes, *end = bytes + length;
	size_t step;

	for (; at < end; at += step > 0 ? step : 1)
		if ((step = text_shown_length(at, (size_t)(end - at))) == 0)
			*at = instead;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool text_next_word(const char **at, const char *end, const char **word, size_t *length)
{
	const char *p = *at;

	while (p < end && is_blank(*p))
		p++;
	*word = p;
	while (p < end && !is_blank(*p))
		p++;
	*length = (size_t)(p - *word);
	*at = p;
	return *length > 0;
}

uint64_t time_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t time_real_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

size_t time_format_rfc5322(char *out, uint64_t real_us)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)(real_us / 1000000);
	struct tm local;
	long offset;
	int length;

	localtime_r(&seconds, &local);
	offset = local.tm_gmtoff / 60;
	length = snprintf(out, TIME_RFC5322_MAX, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld",
	                  days[local.tm_wday % 7], local.tm_mday, months[local.tm_mon % 12], local.tm_year + 1900,
	                  local.tm_hour, local.tm_min, local.tm_sec, offset < 0 ? '-' : '+',
	                  labs(offset) / 60, labs(offset) % 60);
	return (size_t)length;
}

void random_bytes(void *out, size_t length)
{
	unsigned char *at = out;

	while (length) {
		ssize_t n = getrandom(at, length, 0);
		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0) {
			at += n;
			length -= (size_t)n;
		}
	}
}

uint64_t random_below(uint64_t limit)
{
	uint64_t value, rest = (UINT64_MAX % limit + 1) % limit;	/* 2^64 mod limit */

	do
		random_bytes(&value, sizeof value);
	while (rest && value > UINT64_MAX - rest);
	return value % limit;
}
