#include "remoted/scram.h"

#include "common/base64.h"
#include "common/text.h"
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/pbkdf2.h>
#include <stdio.h>
#include <string.h>

enum { SALT_MAX = 256, SIGNATURE_TEXT = BASE64_SIZE(SHA256_DIGEST_SIZE) };

/* RFC 5802 5.1: ',' and '=' in a name. */
static bool put_name(const char *user, char *out, size_t size)
{
	size_t put = 0;

	for (; *user; user++) {
		if (put + 4 > size)
			return false;
		if (*user == ',' || *user == '=')
			put += (size_t)snprintf(out + put, size - put, "%s", *user == ',' ? "=2C" : "=3D");
		else
			out[put++] = *user;
	}
	out[put] = 0;
	return true;
}

bool scram_first(struct scram *scram, const char *user, const char *nonce, char out[SCRAM_MESSAGE_MAX])
{
	char name[SCRAM_MESSAGE_MAX / 2];

	*scram = (struct scram){ .has_signature = false };
	if (strlen(nonce) > SCRAM_NONCE_MAX || !put_name(user, name, sizeof name))
		return false;
	snprintf(scram->nonce, sizeof scram->nonce, "%s", nonce);
	snprintf(scram->first_bare, sizeof scram->first_bare, "n=%s,r=%s", name, nonce);
	return snprintf(out, SCRAM_MESSAGE_MAX, "n,,%s", scram->first_bare) < SCRAM_MESSAGE_MAX;
}

/* The next "K=VALUE" up to a comma. */
static bool next_attribute(const char **at, const char *end, char key, const char **value, size_t *length)
{
	const char *comma;

	if (end - *at < 2 || (*at)[0] != key || (*at)[1] != '=')
		return false;
	*value = *at + 2;
	comma = memchr(*value, ',', (size_t)(end - *value));
	*length = (size_t)((comma ? comma : end) - *value);
	*at = comma ? comma + 1 : end;
	return true;
}

static void hmac(const void *key, size_t key_length, const void *bytes, size_t length, uint8_t out[SHA256_DIGEST_SIZE])
{
	struct hmac_sha256_ctx context;

	hmac_sha256_set_key(&context, key_length, key);
	hmac_sha256_update(&context, length, bytes);
	hmac_sha256_digest(&context, SHA256_DIGEST_SIZE, out);
}

/* RFC 5802 3: the proof that goes to the server, and the signature that it will show. */
static void sign(struct scram *scram, const char *password, const uint8_t *salt, size_t salt_length, unsigned rounds,
                 const char *message, uint8_t proof[SHA256_DIGEST_SIZE])
{
	uint8_t salted[SHA256_DIGEST_SIZE], key[SHA256_DIGEST_SIZE], stored[SHA256_DIGEST_SIZE], signature[SHA256_DIGEST_SIZE];
	struct sha256_ctx sha;
	size_t i;

	pbkdf2_hmac_sha256(strlen(password), (const uint8_t *)password, rounds, salt_length, salt, sizeof salted, salted);
	hmac(salted, sizeof salted, "Client Key", 10, key);
	sha256_init(&sha);
	sha256_update(&sha, sizeof key, key);
	sha256_digest(&sha, sizeof stored, stored);
	hmac(stored, sizeof stored, message, strlen(message), signature);
	for (i = 0; i < SHA256_DIGEST_SIZE; i++)
		proof[i] = key[i] ^ signature[i];
	hmac(salted, sizeof salted, "Server Key", 10, key);
	hmac(key, sizeof key, message, strlen(message), scram->server_signature);
	scram->has_signature = true;
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(key, sizeof key);
}

enum result scram_final(struct scram *scram, const char *server_first, size_t length, const char *password,
                        char out[SCRAM_MESSAGE_MAX], struct why *why)
{
	const char *at = server_first, *end = server_first + length, *nonce, *salt_text, *rounds_text;
	size_t nonce_length, salt_text_length, rounds_length, salt_length, put;
	uint8_t salt[SALT_MAX], proof[SHA256_DIGEST_SIZE];
	char message[3 * SCRAM_MESSAGE_MAX], proof_text[SIGNATURE_TEXT];
	uint64_t rounds;

	if (!next_attribute(&at, end, 'r', &nonce, &nonce_length) || !next_attribute(&at, end, 's', &salt_text, &salt_text_length) ||
	    !next_attribute(&at, end, 'i', &rounds_text, &rounds_length) || !text_to_number(rounds_text, rounds_length, &rounds) || !rounds)
		return why_set(why, RESULT_PEER, "its first SCRAM message is none");
	if (nonce_length <= strlen(scram->nonce) || memcmp(nonce, scram->nonce, strlen(scram->nonce)))
		return why_set(why, RESULT_PEER, "its SCRAM nonce is not the answer to ours");
	if (rounds > SCRAM_ROUNDS_MAX)
		return why_set(why, RESULT_PEER, "it wants more than %d SCRAM rounds", SCRAM_ROUNDS_MAX);
	if (!base64_decode(salt_text, salt_text_length, salt, sizeof salt, &salt_length))
		return why_set(why, RESULT_PEER, "its SCRAM salt is none");
	put = (size_t)snprintf(message, sizeof message, "%s,%.*s,", scram->first_bare, (int)length, server_first);
	if (put + 8 + nonce_length >= sizeof message || nonce_length + SIGNATURE_TEXT + 16 > SCRAM_MESSAGE_MAX)
		return why_set(why, RESULT_PEER, "its first SCRAM message is too long");
	snprintf(message + put, sizeof message - put, "c=biws,r=%.*s", (int)nonce_length, nonce);
	sign(scram, password, salt, salt_length, (unsigned)rounds, message, proof);
	base64_encode(proof, sizeof proof, proof_text);
	snprintf(out, SCRAM_MESSAGE_MAX, "c=biws,r=%.*s,p=%s", (int)nonce_length, nonce, proof_text);
	return RESULT_OK;
}

enum result scram_judge(const struct scram *scram, const char *server_final, size_t length, struct why *why)
{
	const char *at = server_final, *end = server_final + length, *value;
	uint8_t signature[SHA256_DIGEST_SIZE + 3];
	size_t value_length, signature_length;

	if (next_attribute(&at, end, 'e', &value, &value_length))
		return why_set(why, RESULT_PEER, "SCRAM: %.*s", (int)(value_length < 100 ? value_length : 100), value);
	if (!scram->has_signature || !next_attribute(&at, end, 'v', &value, &value_length) ||
	    !base64_decode(value, value_length, signature, sizeof signature, &signature_length) ||
	    signature_length != SHA256_DIGEST_SIZE || !memeql_sec(signature, scram->server_signature, SHA256_DIGEST_SIZE))
		return why_set(why, RESULT_PEER, "the host does not know the password: it may be somebody else");
	return RESULT_OK;
}
