/* The table of recipients in relay-domains. See update.h, dawk-relay-recipients(5); resolve.h has the keys. */
#include "update.h"

#include <string.h>

static bool is_relay_domain(struct source *source, const char *domain)
{
	if (configuration_is_relay_domain(source->update->conf, domain, strlen(domain)))
		return true;
	source_error(source, "expected a domain of relay-domains, found \"%s\" (is it missing there?)", domain);
	return false;
}

/* "user@domain", or "@domain" for whatever stands before the '@'. */
static bool read_recipient(struct source *source, const char *text, size_t length, char *key)
{
	struct address address;

	*key = '@';
	if (length > 1 && *text == '@' && domain_to_ascii(text + 1, length - 1, key + 1, NULL) == RESULT_OK)
		return is_relay_domain(source, key + 1);
	if (address_parse(text, length, &address, NULL) != RESULT_OK || *address.domain == '\0') {
		source_error(source, "expected user@domain or @domain, found \"%.*s\"", (int)(length > 200 ? 200 : length), text);
		return false;
	}
	address_fold(&address, key);
	return is_relay_domain(source, strrchr(key, '@') + 1);
}

/* A domain is noted once, at its first recipient. */
static void take_entry(struct source *source, critbit0_tree *domains, struct table_writer *writer)
{
	const char *at = source->text.s, *end = at + source->text.len, *word;
	char key[ADDRESS_MAX + 1];
	size_t length;

	if (!text_next_word(&at, end, &word, &length) || !read_recipient(source, word, length, key))
		return;
	if (text_next_word(&at, end, &word, &length)) {
		source_error(source, "expected one address a line, found \"%.*s\" behind it", (int)(length > 200 ? 200 : length), word);
		return;
	}
	const char *domain = strrchr(key, '@') + 1;
	int is_new = critbit0_insert(domains, domain);
	if (is_new == 0)
		source_error(source, "no memory");
	if (is_new == 2)
		update_add(source, writer, domain, "", 0);
	update_add(source, writer, key, "", 0);
}

void update_relay_recipients(struct update *update, struct table_writer *writer, uint64_t *count)
{
	struct source source;
	critbit0_tree domains = { 0 };

	if (!source_open(&source, update, update->conf->relay_recipients, false, false))
		return;
	while (source_next(&source)) {
		take_entry(&source, &domains, writer);
		update_progress(update, "relay-recipients", ++*count);
	}
	critbit0_clear(&domains);
	source_close(&source);
}
