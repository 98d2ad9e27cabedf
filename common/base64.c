#include "base64.h"

#include <stdint.h>
#include <string.h>

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, the last ones may be padding; *COUNT bytes into OUT. */
static bool decode_quad(const char *quad, bool is_last, unsigned char out[3], size_t *count)
{
	size_t digits = is_last && quad[3] == '=' ? (quad[2] == '=' ? 2 : 3) : 4;
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < digits ? base64_value(quad[i]) : 0;
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	*count = digits - 1;
	out[0] = (unsigned char)(bits >> 16);
	out[1] = (unsigned char)(bits >> 8);
	out[2] = (unsigned char)bits;
	return (digits != 2 || !(bits & 0xffff)) && (digits != 3 || !(bits & 0xff));
}

bool base64_decode(const char *text, size_t length, void *out, size_t size, size_t *out_length)
{
	unsigned char three[3], *bytes = out;
	size_t count;

	*out_length = 0;
	if (length % 4)
		return false;
	for (size_t at = 0; at < length; at += 4) {
		if (!decode_quad(text + at, at + 4 == length, three, &count) || count > size - *out_length)
			return false;
		memcpy(bytes + *out_length, three, count);
		*out_length += count;
	}
	return true;
}

size_t base64_encode(const void *bytes, size_t length, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *at = bytes;
	char *to = out;

	for (; length > 0; at += 3) {
		size_t count = length < 3 ? length : 3;
		uint32_t bits = (uint32_t)at[0] << 16 | (count > 1 ? (uint32_t)at[1] << 8 : 0) | (count > 2 ? at[2] : 0);
		*to++ = digits[bits >> 18];
		*to++ = digits[bits >> 12 & 63];
		*to++ = count > 1 ? digits[bits >> 6 & 63] : '=';
		*to++ = count > 2 ? digits[bits & 63] : '=';
		length -= count;
	}
	*to = '\0';
	return (size_t)(to - out);
}
