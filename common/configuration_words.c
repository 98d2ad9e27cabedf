/* See configuration_words.h. */
#include "configuration_words.h"
#include "configuration.h"
#include "text.h"

#include <string.h>

/* One of two words; *SECOND says which. */
static bool read_choice(struct value *value, const char *first, const char *other, bool *second)
{
	*second = strcmp(value->text, other) == 0;
	return *second || strcmp(value->text, first) == 0 || value_wrong(value, value->text, strlen(value->text));
}

bool words_read_yes_no(struct value *value, void *field)
{
	return read_choice(value, "no", "yes", field);
}

bool words_read_bare_newline(struct value *value, void *field)
{
	bool second;
	bool is_right = read_choice(value, "reject", "normalize", &second);

	*(enum bare_newline *)field = second ? BARE_NEWLINE_NORMALIZE : BARE_NEWLINE_REJECT;
	return is_right;
}

bool words_read_relay_check(struct value *value, void *field)
{
	bool second;
	bool is_right = read_choice(value, "table", "ask", &second);

	*(enum relay_check *)field = second ? RELAY_CHECK_ASK : RELAY_CHECK_TABLE;
	return is_right;
}

bool words_read_relay_away(struct value *value, void *field)
{
	bool second;
	bool is_right = read_choice(value, "accept", "defer", &second);

	*(enum relay_away *)field = second ? RELAY_AWAY_DEFER : RELAY_AWAY_ACCEPT;
	return is_right;
}

bool words_read_quota_policy(struct value *value, void *field)
{
	bool second;
	bool is_right = read_choice(value, "defer", "reject", &second);

	*(enum quota_policy *)field = second ? QUOTA_REJECT : QUOTA_DEFER;
	return is_right;
}

bool words_read_sync(struct value *value, void *field)
{
	static const char *const words[] = { [DURABLE_AUTO] = "auto", [DURABLE_FILES] = "files", [DURABLE_FILESYSTEM] = "filesystem" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(value->text, words[i]) == 0) {
			*(enum durable_policy *)field = (enum durable_policy)i;
			return true;
		}
	return value_wrong(value, value->text, strlen(value->text));
}

static uint32_t listener_bit(const char *word, size_t length)
{
	static const struct { const char *name; enum listener_bit bit; } rows[] = {
		{ "smtp", LISTEN_SMTP }, { "submission", LISTEN_SUBMISSION }, { "submissions", LISTEN_SUBMISSIONS },
		{ "pop3", LISTEN_POP3 }, { "pop3s", LISTEN_POP3S },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strlen(rows[i].name) == length && !memcmp(rows[i].name, word, length))
			return rows[i].bit;
	return 0;
}

bool words_read_listener_names(struct value *value, void *field)
{
	const char *at = value->text, *end = at + strlen(at), *word;
	uint32_t *bits = field, bit;
	size_t length;

	*bits = 0;
	if (strcmp(value->text, "none") == 0)
		return true;
	while (text_next_word(&at, end, &word, &length)) {
		if (!(bit = listener_bit(word, length)))
			return value_wrong(value, word, length);
		*bits |= bit;
	}
	return *bits || value_wrong(value, value->text, strlen(value->text));
}

const struct mechanism_word mechanism_words[] = {
	{ "PLAIN", MECHANISM_PLAIN }, { "LOGIN", MECHANISM_LOGIN }, { "SCRAM-SHA-256-PLUS", MECHANISM_SCRAM_SHA_256_PLUS },
	{ "SCRAM-SHA-256", MECHANISM_SCRAM_SHA_256 }, { "OAUTHBEARER", MECHANISM_OAUTHBEARER }, { "XOAUTH2", MECHANISM_XOAUTH2 },
	{ NULL, 0 },
};

static uint32_t mechanism_bit(const char *word, size_t length)
{
	for (const struct mechanism_word *row = mechanism_words; row->name; row++)
		if (text_equal_folded(row->name, strlen(row->name), word, length))
			return row->bit;
	return 0;
}

bool words_read_mechanisms(struct value *value, void *field)
{
	const char *at = value->text, *end = at + strlen(at), *word;
	uint32_t *bits = field, bit;
	size_t length;

	*bits = 0;
	while (text_next_word(&at, end, &word, &length)) {
		bit = text_equal_folded(word, length, "auto", 4) ? MECHANISM_AUTO : mechanism_bit(word, length);
		if (!bit)
			return value_wrong(value, word, length);
		*bits |= bit;
	}
	return *bits || value_wrong(value, value->text, strlen(value->text));
}

bool words_read_submission_from(struct value *value, void *field)
{
	static const char *const words[] = {
		[SUBMISSION_FROM_OFF] = "off", [SUBMISSION_FROM_ENVELOPE] = "envelope", [SUBMISSION_FROM_ENFORCE] = "enforce",
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(value->text, words[i]) == 0) {
			*(enum submission_from *)field = (enum submission_from)i;
			return true;
		}
	return value_wrong(value, value->text, strlen(value->text));
}
