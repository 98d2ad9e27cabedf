#include "authd/scram.h"
#include "common/base64.h"
#include "common/text.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/pbkdf2.h>
#include <stdio.h>
#include <string.h>

/* ---- keys ---- */

static void hmac(const uint8_t *key, size_t key_length, const void *bytes, size_t length, uint8_t out[SCRAM_KEY_SIZE])
{
	struct hmac_sha256_ctx context;

	hmac_sha256_set_key(&context, key_length, key);
	hmac_sha256_update(&context, length, bytes);
	hmac_sha256_digest(&context, SCRAM_KEY_SIZE, out);
	explicit_bzero(&context, sizeof context);
}

static void hash(const uint8_t bytes[SCRAM_KEY_SIZE], uint8_t out[SCRAM_KEY_SIZE])
{
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, SCRAM_KEY_SIZE, bytes);
	sha256_digest(&context, SCRAM_KEY_SIZE, out);
}

void scram_key_make(const char *password, size_t length, struct scram_key *key)	/* RFC 5802 3 */
{
	uint8_t salted[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE];

	pbkdf2_hmac_sha256(length, (const uint8_t *)password, key->iterations, key->salt_length, key->salt, sizeof salted, salted);
	hmac(salted, sizeof salted, "Client Key", 10, client);
	hash(client, key->stored);
	hmac(salted, sizeof salted, "Server Key", 10, key->server);
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(client, sizeof client);
}

/* The text up to the next comma, or to END; *AT moves behind it. */
static bool next_part(const char **at, const char *end, const char **part, size_t *length)
{
	const char *comma;

	if (*at > end)
		return false;
	comma = memchr(*at, ',', (size_t)(end - *at));
	*part = *at;
	*length = (size_t)((comma ? comma : end) - *at);
	*at = comma ? comma + 1 : end + 1;
	return true;
}

static bool take_bytes(const char **at, const char *end, uint8_t *out, size_t size, size_t *out_length)
{
	const char *part;
	size_t length;

	return next_part(at, end, &part, &length) && base64_decode(part, length, out, size, out_length) && *out_length > 0;
}

static bool is_hex(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr("0123456789abcdef", text[i]) || !text[i])
			return false;
	return true;
}

bool scram_key_parse(const char *text, size_t length, struct scram_key *key)
{
	const char *at = text, *end = text + length, *part;
	size_t part_length, stored, server;
	uint64_t iterations;

	*key = (struct scram_key){ 0 };
	if (!next_part(&at, end, &part, &part_length) || !text_to_number(part, part_length, &iterations) ||
	    iterations < SCRAM_ITERATIONS_LEAST || iterations > SCRAM_ITERATIONS_MOST)
		return false;
	key->iterations = (uint32_t)iterations;
	if (!take_bytes(&at, end, key->salt, sizeof key->salt, &key->salt_length) ||
	    !take_bytes(&at, end, key->stored, sizeof key->stored, &stored) || stored != SCRAM_KEY_SIZE ||
	    !take_bytes(&at, end, key->server, sizeof key->server, &server) || server != SCRAM_KEY_SIZE)
		return false;
	if (!next_part(&at, end, &part, &part_length))
		return true;
	if (part_length != SCRAM_CHECK_LENGTH || !is_hex(part, part_length) || at <= end)
		return false;
	memcpy(key->check, part, part_length);
	return true;
}

void scram_key_format(const struct scram_key *key, char *out)
{
	char salt[BASE64_SIZE(SCRAM_SALT_MAX)], stored[BASE64_SIZE(SCRAM_KEY_SIZE)], server[BASE64_SIZE(SCRAM_KEY_SIZE)];

	base64_encode(key->salt, key->salt_length, salt);
	base64_encode(key->stored, sizeof key->stored, stored);
	base64_encode(key->server, sizeof key->server, server);
	snprintf(out, SCRAM_TEXT_MAX, "%u,%s,%s,%s%s%s", key->iterations, salt, stored, server, *key->check ? "," : "", key->check);
}

/* ---- what the client says ---- */

/* "X=VALUE", of attribute NAME. */
static bool take_attribute(const char **at, const char *end, char name, const char **value, size_t *length)
{
	if (!next_part(at, end, value, length) || *length < 2 || (*value)[0] != name || (*value)[1] != '=')
		return false;
	*value += 2;
	*length -= 2;
	return true;
}

/* RFC 5802 5.1: ',' is "=2C" and '=' is "=3D" in a name; nothing else follows a '='. */
static bool decode_name(const char *text, size_t length, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		if (c == '=') {
			if (length - i < 3 || text[i + 1] != (text[i + 2] == 'C' ? '2' : '3') || !strchr("CD", text[i + 2]))
				return false;
			c = text[i + 2] == 'C' ? ',' : '=';
			i += 2;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f || used + 1 >= size)
			return false;
		out[used++] = c;
	}
	out[used] = '\0';
	return used > 0;
}

/* gs2-header: flag, authzid; RFC 5802 7. */
static bool take_header(struct scram *scram, const char **at, const char *end)
{
	static const char exporter[] = "p=tls-exporter";
	const char *start = *at, *part;
	size_t length;

	if (!next_part(at, end, &part, &length) || length == 0)
		return false;
	scram->flag = *part;
	if (*part == 'p' ? length != strlen(exporter) || memcmp(part, exporter, length) : length != 1 || !strchr("ny", *part))
		return false;
	if (!next_part(at, end, &part, &length) || *at > end)
		return false;
	if (length > 0 && (length < 2 || memcmp(part, "a=", 2) || !decode_name(part + 2, length - 2, scram->authzid, sizeof scram->authzid)))
		return false;
	scram->header_length = (size_t)(*at - start);
	if (scram->header_length > sizeof scram->header)
		return false;
	memcpy(scram->header, start, scram->header_length);
	return true;
}

static bool take_nonce(struct scram *scram, const char *nonce, size_t length)
{
	if (length == 0 || length > SCRAM_NONCE_MAX / 2)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)nonce[i] < 0x21 || (unsigned char)nonce[i] > 0x7e)
			return false;
	memcpy(scram->nonce, nonce, length);
	scram->nonce[length] = '\0';
	return true;
}

/* With a comma behind all but the last of the three parts. false: it does not fit. */
static bool append_message(struct scram *scram, const char *part, size_t length, bool is_last)
{
	if (length + !is_last > sizeof scram->message - scram->message_length)
		return false;
	memcpy(scram->message + scram->message_length, part, length);
	scram->message_length += length;
	if (!is_last)
		scram->message[scram->message_length++] = ',';
	return true;
}

bool scram_take_first(struct scram *scram, const char *bytes, size_t length)
{
	const char *at = bytes, *end = bytes + length, *bare, *value;
	size_t value_length;

	*scram = (struct scram){ 0 };
	if (length > SCRAM_MESSAGE_MAX || memchr(bytes, 0, length) || !take_header(scram, &at, end))
		return false;
	bare = at;
	if (!take_attribute(&at, end, 'n', &value, &value_length) ||	/* "m=", a mandatory extension, ends here too */
	    !decode_name(value, value_length, scram->name, sizeof scram->name) ||
	    !take_attribute(&at, end, 'r', &value, &value_length) || !take_nonce(scram, value, value_length))
		return false;
	return append_message(scram, bare, (size_t)(end - bare), false);
}

bool scram_put_first(struct scram *scram, const char *nonce, const struct scram_key *key, char *out)
{
	char salt[BASE64_SIZE(SCRAM_SALT_MAX)];
	size_t have = strlen(scram->nonce);
	int length = snprintf(scram->nonce + have, sizeof scram->nonce - have, "%s", nonce);

	if (length < 0 || (size_t)length >= sizeof scram->nonce - have)
		return false;
	base64_encode(key->salt, key->salt_length, salt);
	length = snprintf(out, SCRAM_MESSAGE_MAX, "r=%s,s=%s,i=%u", scram->nonce, salt, key->iterations);
	return length > 0 && length < SCRAM_MESSAGE_MAX && append_message(scram, out, (size_t)length, false);
}

/* c= repeats the header, and behind it the binding where there is one; RFC 5802 6. */
static bool is_bound(const struct scram *scram, const char *text, size_t length, const void *binding, size_t binding_length)
{
	uint8_t bytes[sizeof scram->header + SCRAM_BINDING_MAX];
	size_t count, wanted = scram->flag == 'p' ? binding_length : 0;

	if (!base64_decode(text, length, bytes, sizeof bytes, &count) || count != scram->header_length + wanted)
		return false;
	if (scram->flag == 'p' && binding_length == 0)
		return false;
	return memeql_sec(bytes, scram->header, scram->header_length) &&
	       (wanted == 0 || memeql_sec(bytes + scram->header_length, binding, wanted));
}

/* Where ",p=" of the last attribute begins. NULL: there is none. */
static const char *find_proof(const char *bytes, size_t length)
{
	const char *comma = memrchr(bytes, ',', length);

	return comma && bytes + length - comma > 3 && !memcmp(comma, ",p=", 3) ? comma : NULL;
}

bool scram_take_final(struct scram *scram, const char *bytes, size_t length, const void *binding, size_t binding_length)
{
	const char *proof = length > 0 && length <= SCRAM_MESSAGE_MAX ? find_proof(bytes, length) : NULL, *at = bytes, *value;
	size_t value_length, proof_length;

	if (!proof || !take_attribute(&at, proof, 'c', &value, &value_length) ||
	    !is_bound(scram, value, value_length, binding, binding_length))
		return false;
	if (!take_attribute(&at, proof, 'r', &value, &value_length) || value_length != strlen(scram->nonce) ||
	    !memeql_sec(value, scram->nonce, value_length))
		return false;
	if (!base64_decode(proof + 3, (size_t)(bytes + length - proof - 3), scram->proof, sizeof scram->proof, &proof_length) ||
	    proof_length != SCRAM_KEY_SIZE)
		return false;
	return append_message(scram, bytes, (size_t)(proof - bytes), true);
}

/* ---- what is proven ---- */

bool scram_is_proven(const struct scram *scram, const struct scram_key *key)
{
	uint8_t client[SCRAM_KEY_SIZE], stored[SCRAM_KEY_SIZE];

	hmac(key->stored, sizeof key->stored, scram->message, scram->message_length, client);
	for (size_t i = 0; i < sizeof client; i++)
		client[i] ^= scram->proof[i];
	hash(client, stored);
	explicit_bzero(client, sizeof client);
	return memeql_sec(stored, key->stored, sizeof stored);
}

void scram_put_final(const struct scram *scram, const struct scram_key *key, char *out)
{
	uint8_t signature[SCRAM_KEY_SIZE];
	char text[BASE64_SIZE(SCRAM_KEY_SIZE)];

	hmac(key->server, sizeof key->server, scram->message, scram->message_length, signature);
	base64_encode(signature, sizeof signature, text);
	snprintf(out, SCRAM_MESSAGE_MAX, "v=%s", text);
}
