#include "access.h"

#include "common/text.h"
#include <stdio.h>
#include <string.h>

static enum access_action access_action_of(const char *word, size_t length)
{
	static const struct { const char *word; enum access_action action; } actions[] = {
		{ "allow", ACCESS_ALLOW }, { "relay", ACCESS_RELAY }, { "reject", ACCESS_REJECT }, { "defer", ACCESS_DEFER },
	};

	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (text_equal_folded(word, length, actions[i].word, strlen(actions[i].word)))
			return actions[i].action;
	return ACCESS_NONE;
}

/* Looks KIND:VALUE up. RESULT_END: not in the table. */
static enum result access_find(struct table *table, const char *kind, const char *value, struct access *access, struct why *why)
{
	char key[16 + ADDRESS_MAX + 1];
	const char *found;
	size_t found_length;
	int length = snprintf(key, sizeof key, "%s:%s", kind, value);

	if (length < 0 || (size_t)length >= sizeof key)
		return RESULT_END;
	text_lower(key, (size_t)length);
	enum result result = table_find(table, key, (size_t)length, &found, &found_length, why);
	if (result != RESULT_OK)
		return result;
	const char *blank = memchr(found, ' ', found_length);
	size_t word = blank ? (size_t)(blank - found) : found_length;
	access->action = access_action_of(found, word);
	if (blank)
		snprintf(access->text, sizeof access->text, "%.*s", (int)(found_length - word - 1), blank + 1);
	return RESULT_OK;
}

/* NAME itself, then .DOMAIN for each domain above it. */
static enum result access_find_name(struct table *table, const char *kind, const char *name, struct access *access, struct why *why)
{
	enum result result = access_find(table, kind, name, access, why);

	for (const char *dot = strchr(name, '.'); dot && result == RESULT_END; dot = strchr(dot + 1, '.'))
		result = access_find(table, kind, dot, access, why);
	return result;
}

static enum result access_find_prefix(struct table *table, const struct address_ip *ip, unsigned prefix, struct access *access, struct why *why)
{
	char text[NETWORK_TEXT_MAX], value[NETWORK_TEXT_MAX + 8];
	struct address_ip base = *ip;

	for (unsigned bit = prefix; bit < sizeof base.bytes * 8; bit++)
		base.bytes[bit / 8] = (uint8_t)(base.bytes[bit / 8] & ~(0x80 >> bit % 8));
	snprintf(value, sizeof value, "%s/%u", ip_text(&base, text), prefix);
	return access_find(table, "client", value, access, why);
}

/* Which prefix lengths the table has for FAMILY; it lists them from the shortest. */
static size_t prefixes_read(const char *text, size_t length, uint8_t family, unsigned char *lengths, size_t most)
{
	const char *at = text, *end = text + length, *word;
	size_t word_length, count = 0;

	while (text_next_word(&at, end, &word, &word_length)) {
		if (word_length < 3 || word[0] != '0' + family)
			continue;
		for (const char *digit = word + 2, *stop = word + word_length; digit < stop && count < most; digit++) {
			unsigned value = 0;
			for (; digit < stop && *digit >= '0' && *digit <= '9'; digit++)
				value = value * 10 + (unsigned)(*digit - '0');
			if (value <= 128)
				lengths[count++] = (unsigned char)value;
		}
	}
	return count;
}

/* The networks around IP shorter than BELOW, the longest prefix first. */
static enum result access_find_network(struct table *table, const struct address_ip *ip, unsigned below, struct access *access, struct why *why)
{
	unsigned char lengths[129];
	const char *found;
	size_t found_length;
	enum result result = table_find(table, "prefixes", strlen("prefixes"), &found, &found_length, why);

	if (result != RESULT_OK)
		return result;
	size_t count = prefixes_read(found, found_length, ip->family, lengths, sizeof lengths);
	for (result = RESULT_END; count > 0 && result == RESULT_END; count--)
		if (lengths[count - 1] < below)
			result = access_find_prefix(table, ip, lengths[count - 1], access, why);
	return result;
}

static enum result access_done(enum result result)
{
	return result == RESULT_END ? RESULT_OK : result;
}

enum result access_of_client(struct table *table, const struct address_ip *ip, const char *name,
                             struct access *access, struct why *why)
{
	unsigned whole = ip->family == 4 ? 32 : 128;

	*access = (struct access){ .action = ACCESS_NONE };
	enum result result = access_find_prefix(table, ip, whole, access, why);
	if (result == RESULT_END && name)
		result = access_find_name(table, "client", name, access, why);
	if (result == RESULT_END)
		result = access_find_network(table, ip, whole, access, why);
	return access_done(result);
}

enum result access_of_helo(struct table *table, const char *helo, struct access *access, struct why *why)
{
	*access = (struct access){ .action = ACCESS_NONE };
	return access_done(access_find_name(table, "helo", helo, access, why));
}

/* As `dawk update` writes them: local part folded, U-labels as A-labels. */
static enum result access_of_address(struct table *table, const char *kind, const struct address *address,
                                     struct access *access, struct why *why)
{
	char whole[ADDRESS_MAX + 1] = "<>", domain[ADDRESS_DOMAIN_MAX + 1] = "";

	*access = (struct access){ .action = ACCESS_NONE };
	if (address->length > 0)
		address_fold(address, whole);
	enum result result = access_find(table, kind, whole, access, why);
	if (result != RESULT_END || !*address->domain)
		return access_done(result);
	if (!address->needs_smtputf8 || domain_to_ascii(address->domain, strlen(address->domain), domain, NULL) != RESULT_OK)
		memcpy(domain, address->domain, strlen(address->domain) + 1);
	return access_done(access_find_name(table, kind, domain, access, why));
}

enum result access_of_sender(struct table *table, const struct address *from, struct access *access, struct why *why)
{
	return access_of_address(table, "from", from, access, why);
}

enum result access_of_recipient(struct table *table, const struct address *to, struct access *access, struct why *why)
{
	return access_of_address(table, "to", to, access, why);
}
