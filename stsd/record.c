#include "record.h"

#include "common/dns.h"
#include <string.h>

struct text { const char *at; size_t length; };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_letter_or_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool starts_with(const struct text *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return text->length >= length && !memcmp(text->at, prefix, length);
}

/* RFC 1035 3.3.14: character-strings, which belong together without anything between (RFC 7208 3.3). */
static bool join(const char *rdata, size_t length, char *out, size_t *out_length)
{
	size_t at = 0, put = 0;

	while (at < length) {
		size_t piece = (unsigned char)rdata[at++];
		if (piece > length - at || put + piece > RECORD_TEXT_MAX)
			return false;
		memcpy(out + put, rdata + at, piece);
		put += piece;
		at += piece;
	}
	*out_length = put;
	return true;
}

/* The one record that starts with VERSION; those that do not are nobody's business. OUT: RECORD_TEXT_MAX. */
static enum result find_one(const char *records, size_t length, const char *version, char *out, size_t *out_length, struct why *why)
{
	const char *at = records, *end = records + length, *rdata;
	char joined[RECORD_TEXT_MAX];
	size_t rdata_length, joined_length;
	int count = 0;

	while (length && dns_next_record(&at, end, &rdata, &rdata_length)) {
		if (!join(rdata, rdata_length, joined, &joined_length))
			continue;
		if (!starts_with(&(struct text){ joined, joined_length }, version))
			continue;
		memcpy(out, joined, joined_length);
		*out_length = joined_length;
		count++;
	}
	if (count > 1)
		return why_set(why, RESULT_NEVER, "there are %d records with %s", count, version);
	return count ? RESULT_OK : why_set(why, RESULT_END, "there is no record with %s", version);
}

/* 1*32 of letters, digits, and behind the first "_", "-", "." */
static bool is_name(const struct text *name)
{
	if (!name->length || name->length > 32 || !is_letter_or_digit(name->at[0]))
		return false;
	for (size_t i = 1; i < name->length; i++)
		if (!is_letter_or_digit(name->at[i]) && !strchr("_-.", name->at[i]))
			return false;
	return true;
}

/* Takes ";name=value" off the front of REST, blanks around the semicolon. RESULT_END: a semicolon at most was left. */
static enum result next_field(struct text *rest, struct text *name, struct text *value)
{
	const char *at = rest->at, *end = rest->at + rest->length, *equals, *stop;

	while (at < end && is_blank(*at))
		at++;
	if (at == end)
		return RESULT_END;
	if (*at++ != ';')
		return RESULT_NEVER;
	while (at < end && is_blank(*at))
		at++;
	if (at == end)
		return RESULT_END;
	stop = memchr(at, ';', (size_t)(end - at));
	stop = stop ? stop : end;
	*rest = (struct text){ stop, (size_t)(end - stop) };
	while (stop > at && is_blank(stop[-1]))
		stop--;
	equals = memchr(at, '=', (size_t)(stop - at));
	if (!equals)
		return RESULT_NEVER;
	*name = (struct text){ at, (size_t)(equals - at) };
	*value = (struct text){ equals + 1, (size_t)(stop - equals - 1) };
	return is_name(name) && value->length ? RESULT_OK : RESULT_NEVER;
}

static bool is_named(const struct text *name, const char *wanted)
{
	return name->length == strlen(wanted) && !memcmp(name->at, wanted, name->length);
}

/* RFC 8461 3.1: of extensions in a policy's record. */
static bool is_extension_value(const struct text *value)
{
	for (size_t i = 0; i < value->length; i++)
		if (value->at[i] <= 0x20 || value->at[i] >= 0x7f || value->at[i] == '=')
			return false;
	return true;
}

static bool is_id(const struct text *value)
{
	if (value->length > STS_ID_MAX)
		return false;
	for (size_t i = 0; i < value->length; i++)
		if (!is_letter_or_digit(value->at[i]))
			return false;
	return true;
}

enum result record_find_policy_id(const char *records, size_t length, char id[STS_ID_MAX + 1], struct why *why)
{
	static const char version[] = "v=STSv1";
	char text[RECORD_TEXT_MAX];
	struct text rest = { text, 0 }, name, value;
	enum result result = find_one(records, length, "v=STSv1;", text, &rest.length, why);

	if (result != RESULT_OK)
		return result;
	rest.at += strlen(version);
	rest.length -= strlen(version);
	*id = 0;
	while ((result = next_field(&rest, &name, &value)) == RESULT_OK) {
		if (!is_named(&name, "id")) {
			if (!is_extension_value(&value))
				break;
			continue;
		}
		if (*id || !is_id(&value))
			break;
		memcpy(id, value.at, value.length);
		id[value.length] = 0;
	}
	if (result == RESULT_END && *id)
		return RESULT_OK;
	return why_set(why, RESULT_NEVER, "the record of the policy is malformed");
}

static bool is_uri(const struct text *uri)
{
	if (!starts_with(uri, "mailto:") && !starts_with(uri, "https://"))
		return false;
	if (uri->length > REPORT_URI_MAX)
		return false;
	for (size_t i = 0; i < uri->length; i++)
		if (uri->at[i] <= 0x20 || uri->at[i] >= 0x7f || strchr("\"<>\\^`{|}!", uri->at[i]))
			return false;
	return true;
}

/* uri *(*WSP "," *WSP uri) */
static void take_uris(const struct text *list, struct report_uris *uris)
{
	const char *at = list->at, *end = list->at + list->length;

	while (at < end && uris->count < REPORT_URIS_MAX) {
		const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end, *next = comma ? comma + 1 : end;
		while (at < stop && is_blank(*at))
			at++;
		while (stop > at && is_blank(stop[-1]))
			stop--;
		struct text uri = { at, (size_t)(stop - at) };
		if (is_uri(&uri)) {
			memcpy(uris->items[uris->count], uri.at, uri.length);
			uris->items[uris->count++][uri.length] = 0;
		}
		at = next;
	}
}

enum result record_find_report_uris(const char *records, size_t length, struct report_uris *uris, struct why *why)
{
	static const char version[] = "v=TLSRPTv1";
	char text[RECORD_TEXT_MAX];
	struct text rest = { text, 0 }, name, value;
	enum result result = find_one(records, length, "v=TLSRPTv1;", text, &rest.length, why);
	bool has_rua = false;

	uris->count = 0;
	if (result != RESULT_OK)
		return result;
	rest.at += strlen(version);
	rest.length -= strlen(version);
	while ((result = next_field(&rest, &name, &value)) == RESULT_OK) {
		if (!is_named(&name, "rua"))
			continue;
		if (has_rua)
			break;
		has_rua = true;
		take_uris(&value, uris);
	}
	if (result != RESULT_END || !has_rua)
		return why_set(why, RESULT_NEVER, "the record of the reports' addresses is malformed");
	return uris->count ? RESULT_OK : why_set(why, RESULT_NEVER, "reports are wanted at addresses of kinds that are not known");
}
