#include "authd/sasl.h"
#include "common/text.h"

#include <string.h>

enum { BETWEEN = 1 };	/* RFC 7628 3.1: kvsep, ^A */

bool sasl_copy(const char *bytes, size_t length, char *out, size_t size)
{
	if (!length || length >= size || memchr(bytes, 0, length) || memchr(bytes, '\n', length) || memchr(bytes, '\r', length))
		return false;
	memcpy(out, bytes, length);
	out[length] = 0;
	return true;
}

bool sasl_take_plain(const char *bytes, size_t length, struct sasl_credentials *credentials)
{
	const char *end = bytes + length;
	const char *first = length ? memchr(bytes, 0, length) : NULL;
	const char *second = first ? memchr(first + 1, 0, (size_t)(end - first - 1)) : NULL;
	size_t name_length;

	if (!second)
		return false;
	name_length = (size_t)(second - first - 1);
	if (first > bytes && ((size_t)(first - bytes) != name_length || memcmp(bytes, first + 1, name_length)))
		return false;
	return sasl_copy(first + 1, name_length, credentials->name, sizeof credentials->name) &&
	       sasl_copy(second + 1, (size_t)(end - second - 1), credentials->secret, sizeof credentials->secret);
}

/* RFC 6750 2.1 */
static bool is_token(const char *token, size_t length)
{
	static const char others[] = "-._~+/=";

	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)token[i];
		bool is_alphanumeric = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
		if (!is_alphanumeric && (!c || !strchr(others, c)))
			return false;
	}
	return length > 0;
}

/* "Bearer TOKEN" */
static bool take_token(const char *value, size_t length, struct sasl_bearer *bearer)
{
	static const char scheme[] = "Bearer ";
	size_t skip = strlen(scheme);

	if (length <= skip || !text_equal_folded(value, skip, scheme, skip))
		return false;
	while (skip < length && value[skip] == ' ')
		skip++;
	bearer->token = value + skip;
	bearer->token_length = length - skip;
	return is_token(bearer->token, bearer->token_length);
}

/* KEY=VALUE, each ended by ^A, then one more. Other keys (host, port) are passed over. */
static bool take_pairs(const char *at, const char *end, struct sasl_bearer *bearer, bool names_user)
{
	while (at < end && *at != BETWEEN) {
		const char *stop = memchr(at, BETWEEN, (size_t)(end - at));
		const char *equals = stop ? memchr(at, '=', (size_t)(stop - at)) : NULL;
		if (!equals || equals == at)
			return false;
		size_t key = (size_t)(equals - at), length = (size_t)(stop - equals - 1);
		if (text_equal_folded(at, key, "auth", 4) && (bearer->token || !take_token(equals + 1, length, bearer)))
			return false;
		if (names_user && text_equal_folded(at, key, "user", 4) && !sasl_copy(equals + 1, length, bearer->name, sizeof bearer->name))
			return false;
		at = stop + 1;
	}
	return at + 1 == end && bearer->token;
}

/* RFC 5801 4: saslname has ',' as "=2C" and '=' as "=3D". */
static bool take_name(const char *text, size_t length, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < length && used < size; i++) {
		out[used] = text[i];
		if (text[i] == '=') {
			if (length - i < 3 || (memcmp(text + i, "=2C", 3) && memcmp(text + i, "=3D", 3)))
				return false;
			out[used] = text[i + 2] == 'C' ? ',' : '=';
			i += 2;
		}
		used++;
	}
	if (used == 0 || used == size || memchr(out, 0, used))
		return false;
	out[used] = 0;
	return true;
}

bool sasl_take_oauthbearer(const char *bytes, size_t length, struct sasl_bearer *bearer)	/* RFC 7628 3.1 */
{
	const char *end = bytes + length, *at = bytes + 2, *comma;

	*bearer = (struct sasl_bearer){ 0 };
	if (length < 4 || (memcmp(bytes, "n,", 2) && memcmp(bytes, "y,", 2)))
		return false;	/* it has no channel binding */
	comma = memchr(at, ',', (size_t)(end - at));
	if (!comma || end - comma < 3 || comma[1] != BETWEEN)
		return false;
	if (comma > at && (comma - at < 3 || memcmp(at, "a=", 2) ||
	                   !take_name(at + 2, (size_t)(comma - at - 2), bearer->name, sizeof bearer->name)))
		return false;
	return take_pairs(comma + 2, end, bearer, false);
}

/* "user=NAME^Aauth=Bearer TOKEN^A^A" */
bool sasl_take_xoauth2(const char *bytes, size_t length, struct sasl_bearer *bearer)
{
	*bearer = (struct sasl_bearer){ 0 };
	return take_pairs(bytes, bytes + length, bearer, true) && *bearer->name;
}
