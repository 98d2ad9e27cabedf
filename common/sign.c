#include "sign.h"

static const struct sign_row rows[SIGN_ALGORITHMS_END] = {
	[SIGN_ECDSA_SHA256] = { GNUTLS_SIGN_ECDSA_SHA256, GNUTLS_PK_ECDSA, 32 },
	[SIGN_ECDSA_SHA384] = { GNUTLS_SIGN_ECDSA_SHA384, GNUTLS_PK_ECDSA, 48 },
	[SIGN_ECDSA_SHA512] = { GNUTLS_SIGN_ECDSA_SHA512, GNUTLS_PK_ECDSA, 64 },
	[SIGN_ECDSA_P256] = { GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_PK_ECDSA, 32 },
	[SIGN_ECDSA_P384] = { GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, GNUTLS_PK_ECDSA, 48 },
	[SIGN_ECDSA_P521] = { GNUTLS_SIGN_ECDSA_SECP521R1_SHA512, GNUTLS_PK_ECDSA, 64 },
	[SIGN_ED25519] = { GNUTLS_SIGN_EDDSA_ED25519, GNUTLS_PK_EDDSA_ED25519, 0 },
	[SIGN_RSA_SHA256] = { GNUTLS_SIGN_RSA_SHA256, GNUTLS_PK_RSA, 32 },
	[SIGN_RSA_SHA384] = { GNUTLS_SIGN_RSA_SHA384, GNUTLS_PK_RSA, 48 },
	[SIGN_RSA_SHA512] = { GNUTLS_SIGN_RSA_SHA512, GNUTLS_PK_RSA, 64 },
	[SIGN_PSS_SHA256] = { GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, GNUTLS_PK_RSA, 32 },
	[SIGN_PSS_SHA384] = { GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, GNUTLS_PK_RSA, 48 },
	[SIGN_PSS_SHA512] = { GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, GNUTLS_PK_RSA, 64 },
};

const struct sign_row *sign_row_of(uint64_t number)
{
	return number > 0 && number < SIGN_ALGORITHMS_END ? &rows[number] : NULL;
}

enum sign_algorithm sign_algorithm_of(gnutls_sign_algorithm_t algorithm)
{
	unsigned i;

	for (i = 1; i < SIGN_ALGORITHMS_END; i++)
		if (rows[i].algorithm == algorithm)
			return i;
	return 0;
}

enum sign_algorithm sign_algorithm_rsa(gnutls_digest_algorithm_t hash)
{
	switch (hash) {
	case GNUTLS_DIG_SHA256: return SIGN_RSA_SHA256;
	case GNUTLS_DIG_SHA384: return SIGN_RSA_SHA384;
	case GNUTLS_DIG_SHA512: return SIGN_RSA_SHA512;
	default:                return 0;
	}
}
