#include "authd/keys.h"
#include "authd/digest.h"
#include "common/log.h"

#include <fcntl.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEED_SIZE = 32 };
static const char own_password[] = "password";	/* the name of the key that `dawk user passwd` makes */

struct file_mark { ino_t inode; struct timespec modified; };

static struct {
	const struct configuration *conf;
	uint8_t seed[SEED_SIZE];
	struct file_mark hashes, secrets;
	uint32_t mechanisms;
	bool has_apop, has_looked;
	char offer[KEYS_OFFER_MAX];
} state;

/* ---- keys ---- */

/* Without the file, which `dawk update` makes, the salts of names without keys change when this process does. */
void keys_begin(const struct configuration *conf)
{
	char path[PLACE_PATH_SIZE];
	int fd;

	state.conf = conf;
	random_bytes(state.seed, sizeof state.seed);
	if (!configuration_path(conf, "secret/salt", path, sizeof path) || (fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return;
	if (read(fd, state.seed, sizeof state.seed) < 0)
		random_bytes(state.seed, sizeof state.seed);
	close(fd);
}

static void make_unknown(const char *key, struct keys *keys)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct hmac_sha256_ctx context;
	struct scram_key *made = &keys->items[0];

	hmac_sha256_set_key(&context, sizeof state.seed, state.seed);
	hmac_sha256_update(&context, strlen(key), (const uint8_t *)key);
	hmac_sha256_digest(&context, sizeof digest, digest);
	*made = (struct scram_key){ .iterations = SCRAM_ITERATIONS, .salt_length = SCRAM_SALT_SIZE };
	memcpy(made->salt, digest, SCRAM_SALT_SIZE);
	random_bytes(made->stored, sizeof made->stored);
}

/* The key of the first password counts while that is the one it was made of. */
static bool fits_hash(const struct scram_key *key, const char *hash, size_t length)
{
	char hex[SHA256_HEX_LENGTH + 1];

	if (!*key->check)
		return true;
	sha256_hex(hash, length, hex);
	return length > 0 && !memcmp(hex, key->check, SCRAM_CHECK_LENGTH);
}

static bool has_salt_of(const struct scram_key *key, const struct scram_key *first)
{
	return key->iterations == first->iterations && key->salt_length == first->salt_length &&
	       !memcmp(key->salt, first->salt, key->salt_length);
}

static void take_keys(const char *lines, size_t length, const char *hash, size_t hash_length, struct keys *keys)
{
	const char *end = lines + length;
	struct secret_line line;

	while (keys->count < KEYS_MAX && accounts_next_secret(&lines, end, "scram-sha-256", &line)) {
		struct scram_key *key = &keys->items[keys->count];
		if (!scram_key_parse(line.value, line.value_length, key) || !fits_hash(key, hash, hash_length) ||
		    !has_salt_of(key, &keys->items[0]) || line.name_length >= sizeof keys->names[0])
			continue;
		memcpy(keys->names[keys->count], line.name, line.name_length);
		keys->names[keys->count++][line.name_length] = '\0';
	}
}

static enum result find_keys(const char *key, size_t key_length, const char *hash, size_t hash_length, struct keys *keys, struct why *why)
{
	const char *lines;
	size_t length;
	enum result result = accounts_secrets(key, key_length, &lines, &length, why);

	keys->count = 0;
	if (result == RESULT_OK)
		take_keys(lines, length, hash, hash_length, keys);
	return result == RESULT_END ? RESULT_OK : result;
}

enum result keys_find(const char *key, struct keys *keys, struct why *why)
{
	const char *hash = "";
	size_t length = 0;
	enum result result = accounts_hash(key, &hash, &length, why);

	if (result == RESULT_OK || result == RESULT_END)
		result = find_keys(key, strlen(key), hash, result == RESULT_OK ? length : 0, keys, why);
	if (result == RESULT_OK && keys->count == 0)
		make_unknown(key, keys);
	return result;
}

/* ---- what is on offer ---- */

struct survey { struct keys *keys; bool has_apop, has_scram, lacks_scram; };

static bool has_key_named(const struct keys *keys, const char *name, size_t length)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strlen(keys->names[i]) == length && !memcmp(keys->names[i], name, length))
			return true;
	return false;
}

/* Has each password the key that SCRAM needs? Stops at the first that has none. */
static bool survey_hash(void *context, const char *key, size_t key_length, const char *hash, size_t hash_length)
{
	struct survey *survey = context;

	if (find_keys(key, key_length, hash, hash_length, survey->keys, NULL) != RESULT_OK ||
	    !has_key_named(survey->keys, own_password, strlen(own_password)))
		survey->lacks_scram = true;
	return !survey->lacks_scram;
}

static bool survey_secrets(void *context, const char *key, size_t key_length, const char *value, size_t length)
{
	struct survey *survey = context;
	const char *at, *end = value + length;
	struct secret_line line, other;

	(void)key;
	(void)key_length;
	at = value;
	survey->has_apop = survey->has_apop || accounts_next_secret(&at, end, "apop", &line);
	at = value;
	survey->has_scram = survey->has_scram || accounts_next_secret(&at, end, "scram-sha-256", &line);
	for (at = value; !survey->lacks_scram && accounts_next_secret(&at, end, "crypt", &line);) {
		const char *from = value;
		bool is_found = false;
		while (!is_found && accounts_next_secret(&from, end, "scram-sha-256", &other))
			is_found = other.name_length == line.name_length && !memcmp(other.name, line.name, line.name_length);
		survey->lacks_scram = !is_found;
	}
	return true;
}

/* A client takes the strongest that is offered, and would fail by it where another one works. Some programs that can't
 * bind channels take -PLUS all the same, so it has to be named. */
static uint32_t choose(const struct survey *survey)
{
	uint32_t mechanisms = state.conf->auth_mechanisms;
	bool is_automatic = mechanisms & MECHANISM_AUTO;
	bool suits = survey->has_scram && !survey->lacks_scram && !state.conf->system_users && !state.conf->checkpassword;

	if (is_automatic)
		mechanisms |= MECHANISM_PLAIN | MECHANISM_LOGIN | MECHANISM_OAUTHBEARER | MECHANISM_XOAUTH2;
	if (is_automatic && suits)
		mechanisms |= MECHANISM_SCRAM_SHA_256;
	else if (is_automatic && !(mechanisms & MECHANISM_SCRAM_SHA_256))
		mechanisms &= ~(uint32_t)MECHANISM_SCRAM_SHA_256_PLUS;
	if (!state.conf->oauth_checker)
		mechanisms &= ~(uint32_t)(MECHANISM_OAUTHBEARER | MECHANISM_XOAUTH2);
	return mechanisms;
}

static void describe(uint32_t mechanisms)
{
	size_t used = 0;

	state.offer[0] = '\0';
	for (const struct mechanism_word *word = mechanism_words; word->name; word++)
		if (mechanisms & word->bit)
			used += (size_t)snprintf(state.offer + used, sizeof state.offer - used, "%s%s", used ? " " : "", word->name);
}

/* false: as it was. */
static bool look_at(const char *name, struct file_mark *mark)
{
	char path[PLACE_PATH_SIZE];
	struct stat now = { 0 };
	bool is_other;

	if (!configuration_path(state.conf, name, path, sizeof path) || stat(path, &now))
		now = (struct stat){ 0 };
	is_other = now.st_ino != mark->inode || now.st_mtim.tv_sec != mark->modified.tv_sec || now.st_mtim.tv_nsec != mark->modified.tv_nsec;
	*mark = (struct file_mark){ now.st_ino, now.st_mtim };
	return is_other;
}

bool keys_look(void)
{
	static struct keys keys;
	struct survey survey = { .keys = &keys };
	bool had_apop = state.has_apop, is_first = !state.has_looked;
	uint32_t had = state.mechanisms;
	bool is_other = look_at("secret/users.cdb", &state.hashes);

	is_other = look_at("secret/secrets.cdb", &state.secrets) || is_other;
	if (!is_first && !is_other)
		return false;
	accounts_each_secret(survey_secrets, &survey);
	if (survey.has_scram && !survey.lacks_scram && state.conf->auth_mechanisms & MECHANISM_AUTO)
		accounts_each_hash(survey_hash, &survey);
	state.has_looked = true;
	state.has_apop = survey.has_apop;
	state.mechanisms = choose(&survey);
	describe(state.mechanisms);
	return is_first || had_apop != state.has_apop || had != state.mechanisms;
}

const char *keys_offer(void)
{
	return state.offer;
}

bool keys_offer_apop(void)
{
	return state.has_apop;
}

uint32_t keys_mechanisms(void)
{
	return state.mechanisms;
}
