/* link: authd/sasl.o authd/scram.o */
/* Messages of SASL as clients send them: base64, PLAIN, bearer tokens, SCRAM's two messages. The first byte chooses. */
#include "authd/sasl.h"
#include "authd/scram.h"
#include "common/base64.h"
#include "fuzz.h"

static void decode(const char *bytes, size_t size)
{
	static char decoded[SASL_MESSAGE_MAX], encoded[BASE64_SIZE(SASL_MESSAGE_MAX)];
	size_t length;

	if (!base64_decode(bytes, size, decoded, sizeof decoded, &length))
		return;
	MUST(base64_encode(decoded, length, encoded) == size && !memcmp(encoded, bytes, size));	/* there is one way to write it */
}

static void plain(const char *bytes, size_t size)
{
	struct sasl_credentials credentials;

	if (!sasl_take_plain(bytes, size, &credentials))
		return;
	MUST(*credentials.name && *credentials.secret);
	MUST(strlen(credentials.name) <= SASL_NAME_MAX && strlen(credentials.secret) <= SASL_SECRET_MAX);
}

static void bearer(const char *bytes, size_t size)
{
	struct sasl_bearer found;

	for (int i = 0; i < 2; i++) {
		if (!(i ? sasl_take_xoauth2 : sasl_take_oauthbearer)(bytes, size, &found))
			continue;
		MUST(strlen(found.name) <= SASL_NAME_MAX && found.token_length > 0);
		MUST(found.token > bytes && found.token + found.token_length < bytes + size);
	}
}

static void scram_first(const char *bytes, size_t size)
{
	const struct scram_key key = { .iterations = SCRAM_ITERATIONS, .salt_length = SCRAM_SALT_SIZE };
	static struct scram scram;
	char out[SCRAM_MESSAGE_MAX];

	if (!scram_take_first(&scram, bytes, size))
		return;
	MUST(*scram.name && *scram.nonce && strchr("nyp", scram.flag));
	MUST(scram_put_first(&scram, "server", &key, out) && strlen(out) < sizeof out);
}

static void scram_final(const char *bytes, size_t size)
{
	static const char first[] = "n,,n=a,r=x";
	struct scram_key key = { .iterations = SCRAM_ITERATIONS, .salt_length = SCRAM_SALT_SIZE };
	static struct scram scram;
	char out[SCRAM_MESSAGE_MAX];

	MUST(scram_take_first(&scram, first, strlen(first)) && scram_put_first(&scram, "y", &key, out));
	memset(key.stored, 7, sizeof key.stored);
	if (scram_take_final(&scram, bytes, size, "", 0))
		MUST(!scram_is_proven(&scram, &key));	/* nobody knows that key */
}

static void key_text(const char *bytes, size_t size)
{
	char text[SCRAM_TEXT_MAX];
	struct scram_key key, again;

	if (!scram_key_parse(bytes, size, &key))
		return;
	scram_key_format(&key, text);
	MUST(scram_key_parse(text, strlen(text), &again) && !memcmp(&again, &key, sizeof key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(const char *, size_t) = { decode, plain, bearer, scram_first, scram_final, key_text };

	if (size < 1 || size > SASL_LINE_MAX)
		return 0;
	char *bytes = malloc(size - 1 ? size - 1 : 1);
	MUST(bytes);
	memcpy(bytes, data + 1, size - 1);
	parsers[data[0] % (sizeof parsers / sizeof *parsers)](bytes, size - 1);
	free(bytes);
	return 0;
}
