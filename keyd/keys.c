#include "keys.h"

#include "common/sign.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct key {
	struct key_facts facts;
	enum key_purpose purpose;
	gnutls_privkey_t private;
	gnutls_pk_algorithm_t type;
	uint64_t generation;		/* the newest set it belongs to */
	uint64_t kept;			/* the newest set in force it belongs to; until one is, its first */
	struct key *next;
};

static struct key *keys;
static size_t key_count;

/* ---- reading ---- */

static enum result read_file(int fd, unsigned char *bytes, size_t *length, struct why *why)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return why_set(why, RESULT_NEVER, "it is not a file");
	if (st.st_size > KEYS_FILE_MAX)
		return why_set(why, RESULT_NEVER, "it is longer than %d bytes", KEYS_FILE_MAX);
	for (*length = 0; *length < KEYS_FILE_MAX; *length += (size_t)n) {
		n = pread(fd, bytes + *length, KEYS_FILE_MAX - *length, (off_t)*length);
		if (n < 0)
			return why_errno(why, RESULT_RETRY, "unable to read it");
		if (n == 0)
			return RESULT_OK;
	}
	return why_set(why, RESULT_NEVER, "it is longer than %d bytes", KEYS_FILE_MAX);
}

static enum result find_id(gnutls_privkey_t private, struct key_facts *facts, struct why *why)
{
	gnutls_pubkey_t public;
	size_t size = sizeof facts->id;
	int error = gnutls_pubkey_init(&public);

	if (error < 0)
		return why_set(why, RESULT_RETRY, "%s", gnutls_strerror(error));
	error = gnutls_pubkey_import_privkey(public, private, 0, 0);
	if (error >= 0)
		error = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, facts->id, &size);
	gnutls_pubkey_deinit(public);
	return error < 0 ? why_set(why, RESULT_NEVER, "%s", gnutls_strerror(error)) : RESULT_OK;
}

/* 0: one that is not used. */
static enum key_type type_of(gnutls_pk_algorithm_t type)
{
	switch (type) {
	case GNUTLS_PK_RSA:           return KEY_RSA;
	case GNUTLS_PK_ECDSA:         return KEY_ECDSA;
	case GNUTLS_PK_EDDSA_ED25519: return KEY_ED25519;
	default:                      return 0;
	}
}

static enum result judge(struct key *key, struct why *why)
{
	unsigned least = key->purpose == KEY_DKIM ? KEYS_RSA_BITS_LEAST_DKIM : KEYS_RSA_BITS_LEAST;

	key->type = (gnutls_pk_algorithm_t)gnutls_privkey_get_pk_algorithm(key->private, &key->facts.bits);
	key->facts.type_name = gnutls_pk_get_name(key->type);
	key->facts.type = type_of(key->type);
	if (key->facts.type == KEY_RSA && key->facts.bits < least)
		return why_set(why, RESULT_NEVER, "an RSA key of %u bits is too short, %u are the least", key->facts.bits, least);
	if (!key->facts.type || (key->facts.type == KEY_ECDSA && key->purpose == KEY_DKIM))	/* RFC 8301, RFC 8463 */
		return why_set(why, RESULT_NEVER, "a key of type %s; %sEd25519 and RSA are used", key->facts.type_name,
		               key->purpose == KEY_DKIM ? "" : "ECDSA, ");
	return find_id(key->private, &key->facts, why);
}

static enum result import(struct key *key, int fd, struct why *why)
{
	static unsigned char bytes[KEYS_FILE_MAX];
	gnutls_datum_t file = { .data = bytes };
	enum result result;
	size_t length = 0;
	int error;

	result = read_file(fd, bytes, &length, why);
	file.size = (unsigned)length;
	if (result == RESULT_OK) {
		error = gnutls_privkey_import_x509_raw(key->private, &file, GNUTLS_X509_FMT_PEM, NULL, 0);
		if (error < 0)
			result = why_set(why, RESULT_NEVER, "it holds no private key without a passphrase: %s", gnutls_strerror(error));
	}
	explicit_bzero(bytes, sizeof bytes);
	return result == RESULT_OK ? judge(key, why) : result;
}

/* ---- keeping ---- */

static void key_free(struct key *key)
{
	gnutls_privkey_deinit(key->private);
	free(key);
}

static struct key *find(const void *id, size_t id_length)
{
	struct key *key;

	for (key = keys; key && id_length == sizeof key->facts.id; key = key->next)
		if (!memcmp(key->facts.id, id, id_length))
			return key;
	return NULL;
}

static enum result keep(struct key *key, struct why *why)
{
	struct key *known = find(key->facts.id, sizeof key->facts.id);

	if (known && known->purpose != key->purpose)
		return why_set(why, RESULT_NEVER, "the same key serves TLS and DKIM: make one for each");
	if (!known && key_count >= KEYS_MAX)
		return why_set(why, RESULT_NEVER, "more than %d keys", KEYS_MAX);
	if (known) {
		known->generation = key->generation;
		key_free(key);
		return RESULT_OK;
	}
	key->next = keys;
	keys = key;
	key_count++;
	return RESULT_OK;
}

enum result keys_load(int fd, enum key_purpose purpose, uint64_t generation, struct key_facts *facts, struct why *why)
{
	struct key *key = calloc(1, sizeof *key);
	enum result result;

	if (!key || gnutls_privkey_init(&key->private) < 0) {
		free(key);
		return why_set(why, RESULT_RETRY, "no memory for a key");
	}
	key->purpose = purpose;
	key->generation = key->kept = generation;
	result = import(key, fd, why);
	*facts = key->facts;
	if (result == RESULT_OK)
		result = keep(key, why);
	if (result != RESULT_OK)
		key_free(key);
	return result;
}

/* What is tried may be refused: a key that joined it still belongs to the set in force. */
void keys_keep(uint64_t generation, uint64_t in_force)
{
	struct key **at = &keys;

	while (*at) {
		struct key *key = *at;
		if (key->generation == in_force)
			key->kept = in_force;
		if (key->generation == generation || key->kept == in_force) {
			at = &key->next;
			continue;
		}
		*at = key->next;
		key_count--;
		key_free(key);
	}
}

/* ---- signing ---- */

static enum sign_verdict sign(const struct key *key, const struct sign_row *row, const gnutls_datum_t *data,
                              struct key_signature *signature, struct why *why)
{
	gnutls_datum_t made = { 0 };
	enum sign_verdict verdict = SIGN_OK;
	int error;

	if (row->length)
		error = gnutls_privkey_sign_hash2(key->private, row->algorithm, 0, data, &made);
	else
		error = gnutls_privkey_sign_data2(key->private, row->algorithm, 0, data, &made);
	if (error < 0 || made.size > sizeof signature->bytes) {
		why_set(why, RESULT_NEVER, "unable to sign: %s", error < 0 ? gnutls_strerror(error) : "too long");
		verdict = SIGN_FAILED;
	} else {
		signature->length = made.size;
		memcpy(signature->bytes, made.data, made.size);
	}
	gnutls_free(made.data);
	return verdict;
}

enum sign_verdict keys_sign(const void *id, size_t id_length, enum key_purpose purpose, uint64_t algorithm,
                            const void *data, size_t length, struct key_signature *signature, struct why *why)
{
	const struct sign_row *row = sign_row_of(algorithm);
	const struct key *key = find(id, id_length);
	gnutls_datum_t bytes = { (unsigned char *)(uintptr_t)data, (unsigned)length };

	if (!key) {
		why_set(why, RESULT_NEVER, "no such key");
		return SIGN_UNKNOWN;
	}
	if (key->purpose != purpose || !row || row->key != key->type || (row->length && row->length != length) || !length) {
		why_set(why, RESULT_NEVER, "%s", key->purpose != purpose ? "the key has another purpose" :
		        "no algorithm of this key, or data of another length than its hash");
		return SIGN_REFUSED;
	}
	return sign(key, row, &bytes, signature, why);
}
