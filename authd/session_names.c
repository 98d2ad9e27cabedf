#include "authd/maildrop.h"
#include "authd/digest.h"

#include <string.h>

/* The digits at TEXT up to END; *USED 0: none, or they do not fit. */
static uint64_t leading_number(const char *text, const char *end, size_t *used)
{
	size_t length = 0;
	uint64_t number = 0;

	while (text + length < end && text[length] >= '0' && text[length] <= '9')
		length++;
	*used = text_to_number(text, length, &number) ? length : 0;
	return *used ? number : 0;
}

/* The value of a field: digits up to the next ',' or the end. */
static uint64_t field_number(const char *at, const char *end)
{
	size_t used;
	uint64_t number = leading_number(at, end, &used);

	if (!used || (at + used < end && at[used] != ',') || number >> 48)
		return MAILDROP_OCTETS_UNKNOWN;
	return number;
}

/* ",S=20,W=23", in any order. */
static void parse_fields(const char *name, size_t length, struct name_facts *facts)
{
	const char *at = name, *end = name + length;

	facts->octets = facts->bytes = MAILDROP_OCTETS_UNKNOWN;
	while ((at = memchr(at, ',', (size_t)(end - at))) && ++at + 2 <= end) {
		if (at[1] != '=')
			continue;
		if (at[0] == 'W')
			facts->octets = field_number(at + 2, end);
		else if (at[0] == 'S')
			facts->bytes = field_number(at + 2, end);
	}
}

/* "SECONDS.M123456P..." and the older "SECONDS.PID.host" */
static uint64_t delivery_time(const char *name, size_t length)
{
	const char *end = name + length;
	uint64_t seconds, micro = 0;
	size_t used;

	seconds = leading_number(name, end, &used);
	if (!used || seconds >> 40)
		return 0;
	if (name + used + 2 < end && name[used] == '.' && name[used + 1] == 'M')
		micro = leading_number(name + used + 2, end, &used);
	return seconds * 1000000 + (micro < 1000000 ? micro : 999999);
}

void name_parse(const char *name, size_t length, struct name_facts *facts)
{
	const char *colon = memchr(name, ':', length);

	facts->unique_length = colon ? (size_t)(colon - name) : length;
	facts->time_key = delivery_time(name, facts->unique_length);
	parse_fields(name, facts->unique_length, facts);
}

static bool is_unique_id(const char *name, size_t length)
{
	if (length < 1 || length > MAILDROP_UIDL_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] < 0x21 || name[i] > 0x7e || name[i] == ':')
			return false;
	return true;
}

/* No two messages share an id: a plain name has no ':', and nobody can make two names of one digest. */
size_t name_unique_id(const char *name, size_t length, char *out)
{
	if (is_unique_id(name, length)) {
		memcpy(out, name, length);
		out[length] = 0;
		return length;
	}
	out[0] = ':';
	sha256_hex(name, length, out + 1);
	return 1 + SHA256_HEX_LENGTH;
}
