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

static void ip_clear_bit(struct address_ip *ip, unsigned bit)
{
	ip->bytes[bit / 8] = (uint8_t)(ip->bytes[bit / 8] & ~(0x80 >> bit % 8));
}

/* The networks around IP, the longest prefix first. */
static enum result access_find_network(struct table *table, struct address_ip ip, struct access *access, struct why *why)
{
	char text[NETWORK_TEXT_MAX], value[NETWORK_TEXT_MAX + 8];
	enum result result = RESULT_END;

	for (int prefix = ip.family == 4 ? 32 : 128; prefix >= 0 && result == RESULT_END; prefix--) {
		snprintf(value, sizeof value, "%s/%d", ip_text(&ip, text), prefix);
		result = access_find(table, "client", value, access, why);
		if (prefix > 0)
			ip_clear_bit(&ip, (unsigned)prefix - 1);
	}
	return result;
}

static enum result access_done(enum result result)
{
	return result == RESULT_END ? RESULT_OK : result;
}

enum result access_of_client(struct table *table, const struct address_ip *ip, const char *name,
                             struct access *access, struct why *why)
{
	char text[NETWORK_TEXT_MAX];

	*access = (struct access){ .action = ACCESS_NONE };
	enum result result = access_find(table, "client", ip_text(ip, text), access, why);
	if (result == RESULT_END && name)
		result = access_find_name(table, "client", name, access, why);
	if (result == RESULT_END && ip->family)
		result = access_find_network(table, *ip, access, why);
	return access_done(result);
}

enum result access_of_helo(struct table *table, const char *helo, struct access *access, struct why *why)
{
	*access = (struct access){ .action = ACCESS_NONE };
	return access_done(access_find_name(table, "helo", helo, access, why));
}

static enum result access_of_address(struct table *table, const char *kind, const struct address *address,
                                     struct access *access, struct why *why)
{
	*access = (struct access){ .action = ACCESS_NONE };
	enum result result = access_find(table, kind, address->length ? address->text : "<>", access, why);
	if (result == RESULT_END && *address->domain)
		result = access_find_name(table, kind, address->domain, access, why);
	return access_done(result);
}

enum result access_of_sender(struct table *table, const struct address *from, struct access *access, struct why *why)
{
	return access_of_address(table, "from", from, access, why);
}

enum result access_of_recipient(struct table *table, const struct address *to, struct access *access, struct why *why)
{
	return access_of_address(table, "to", to, access, why);
}
