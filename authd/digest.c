#include "authd/digest.h"

#include <nettle/base16.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>
#include <stdint.h>

static void put_hex(const uint8_t *digest, size_t length, char *out)
{
	base16_encode_update(out, length, digest);
	out[BASE16_ENCODE_LENGTH(length)] = '\0';
}

void md5_hex(const void *bytes, size_t length, char out[MD5_HEX_LENGTH + 1])
{
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx context;

	md5_init(&context);
	md5_update(&context, length, bytes);
	md5_digest(&context, sizeof digest, digest);
	put_hex(digest, sizeof digest, out);
}

void sha256_hex(const void *bytes, size_t length, char out[SHA256_HEX_LENGTH + 1])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, length, bytes);
	sha256_digest(&context, sizeof digest, digest);
	put_hex(digest, sizeof digest, out);
}
