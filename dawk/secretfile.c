#include "secretfile.h"
#include "userfile.h"
#include "authd/digest.h"
#include "authd/scram.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

enum { NAME = USER_HASH, SCHEME = USER_UID, VALUE = USER_GID };	/* of ADDRESS:NAME:SCHEME:VALUE */
enum { SECRET_NAME_MAX = 64 };

bool secret_name_is_fit(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return length > 0 && length <= SECRET_NAME_MAX && !name[length];
}

static bool field_is(const struct user_line *line, int field, const char *text)
{
	return text_equal_folded(line->field[field], line->field_length[field], text, strlen(text));
}

/* The next line of ADDRESS from *AT on, called NAME (NULL: whatever). */
static bool next_of(const struct userfile *file, size_t *at, const struct address *address, const char *name, struct user_line *line)
{
	char wanted[ADDRESS_MAX + 1], have[ADDRESS_MAX + 1];
	size_t length = address_fold(address, wanted);
	struct address found;

	while (userfile_next(file, at, line))
		if ((!name || (line->field_length[NAME] == strlen(name) && !memcmp(line->field[NAME], name, strlen(name)))) &&
		    address_parse(line->field[USER_ADDRESS], line->field_length[USER_ADDRESS], &found, NULL) == RESULT_OK &&
		    address_fold(&found, have) == length && !memcmp(have, wanted, length))
			return true;
	return false;
}

/* RFC 5802 2.2 asks for SASLprep; GnuTLS has its successor, OpaqueString (RFC 8265 4.2): no control characters, all
 * blanks alike, NFC. false: such a password can't be used by SCRAM. */
static bool prepare(const char *password, gnutls_datum_t *out)
{
	return gnutls_utf8_password_normalize((const unsigned char *)password, (unsigned)strlen(password), out, 0) >= 0;
}

/* All keys of an address have one salt: a client is told it before anyone knows which password it has. */
static void find_salt(const struct userfile *file, const struct address *address, struct scram_key *key)
{
	struct user_line line;
	size_t at = 0;

	while (next_of(file, &at, address, NULL, &line))
		if (field_is(&line, SCHEME, "scram-sha-256") && scram_key_parse(line.field[VALUE], line.field_length[VALUE], key))
			return;
	*key = (struct scram_key){ .iterations = SCRAM_ITERATIONS, .salt_length = SCRAM_SALT_SIZE };
	random_bytes(key->salt, SCRAM_SALT_SIZE);
}

static bool append_key(const struct userfile *file, const struct secret_wish *wish, stralloc *out, bool *has_key)
{
	char folded[ADDRESS_MAX + 1], text[SCRAM_TEXT_MAX], digest[SHA256_HEX_LENGTH + 1];
	gnutls_datum_t prepared;
	struct scram_key key;

	*has_key = prepare(wish->password, &prepared);
	if (!*has_key)
		return true;
	find_salt(file, wish->address, &key);
	scram_key_make((const char *)prepared.data, prepared.size, &key);
	explicit_bzero(prepared.data, prepared.size);
	gnutls_free(prepared.data);
	key.check[0] = '\0';
	if (wish->check) {
		sha256_hex(wish->check, strlen(wish->check), digest);
		memcpy(key.check, digest, SCRAM_CHECK_LENGTH);
		key.check[SCRAM_CHECK_LENGTH] = '\0';
	}
	scram_key_format(&key, text);
	address_fold(wish->address, folded);
	return text_append_format(out, "%s:%s:scram-sha-256:%s\n", folded, wish->name, text);
}

static enum result drop(struct userfile *file, const struct address *address, const char *name, unsigned *count, struct why *why)
{
	const stralloc nothing = { 0 };
	struct user_line line;
	size_t at = 0;
	enum result result = RESULT_OK;

	*count = 0;
	while (result == RESULT_OK && next_of(file, &at, address, name, &line)) {
		result = userfile_edit(file, line.start, line.length, &nothing, why);
		at = line.start;
		++*count;
	}
	return result;
}

static enum result put(struct userfile *file, const struct secret_wish *wish, bool *has_key, struct why *why)
{
	char folded[ADDRESS_MAX + 1];
	stralloc text = { 0 };
	struct user_line line;
	size_t at = 0;
	unsigned count;
	enum result result = RESULT_OK;

	if (wish->must_be_new && next_of(file, &at, wish->address, wish->name, &line))
		return RESULT_END;
	address_fold(wish->address, folded);
	if ((wish->hash && !text_append_format(&text, "%s:%s:crypt:%s\n", folded, wish->name, wish->hash)) ||
	    !append_key(file, wish, &text, has_key))
		result = why_set(why, RESULT_RETRY, "out of memory");
	if (result == RESULT_OK)
		result = drop(file, wish->address, wish->name, &count, why);
	if (result == RESULT_OK)
		result = userfile_edit(file, file->text.len, 0, &text, why);
	stralloc_free(&text);
	return result;
}

enum result secretfile_put(const struct configuration *conf, const struct secret_wish *wish, bool *has_key, struct why *why)
{
	struct userfile file;
	enum result result = userfile_open(&file, conf->secrets, true, why);

	*has_key = false;
	if (result == RESULT_OK)
		result = put(&file, wish, has_key, why);
	if (result == RESULT_OK)
		result = userfile_save(&file, why);
	userfile_close(&file);
	return result;
}

enum result secretfile_drop(const struct configuration *conf, const struct address *address, const char *name,
                            unsigned *count, struct why *why)
{
	struct userfile file;
	enum result result = userfile_open(&file, conf->secrets, true, why);

	*count = 0;
	if (result == RESULT_OK)
		result = drop(&file, address, name, count, why);
	if (result == RESULT_OK && *count > 0)
		result = userfile_save(&file, why);
	userfile_close(&file);
	return result;
}

enum result secretfile_each(const struct configuration *conf, const struct address *address,
                            void (*each)(const char *name, const char *scheme), struct why *why)
{
	struct userfile file;
	struct user_line line;
	size_t at = 0;
	enum result result = userfile_open(&file, conf->secrets, false, why);

	while (result == RESULT_OK && next_of(&file, &at, address, NULL, &line)) {
		char name[SECRET_NAME_MAX + 1], scheme[32];
		snprintf(name, sizeof name, "%.*s", (int)line.field_length[NAME], line.field[NAME]);
		snprintf(scheme, sizeof scheme, "%.*s", (int)line.field_length[SCHEME], line.field[SCHEME]);
		text_lower(scheme, strlen(scheme));
		each(name, scheme);
	}
	userfile_close(&file);
	return result;
}
