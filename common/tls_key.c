#include "tls_private.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

char *tls_as_string(gnutls_datum_t *datum)
{
	char *string = malloc((size_t)datum->size + 1);

	if (string) {
		memcpy(string, datum->data, datum->size);
		string[datum->size] = 0;
	}
	explicit_bzero(datum->data, datum->size);
	gnutls_free(datum->data);
	return string;
}

/* ---- the public half ---- */

static int export_public(gnutls_pubkey_t public, struct tls_public_key *key)
{
	gnutls_datum_t made = { 0 };
	gnutls_ecc_curve_t curve;
	int error = 0;

	switch (gnutls_pubkey_get_pk_algorithm(public, &key->bits)) {
	case GNUTLS_PK_RSA:
		key->type = KEY_RSA;
		error = gnutls_pubkey_export2(public, GNUTLS_X509_FMT_DER, &made);
		break;
	case GNUTLS_PK_EDDSA_ED25519:
		key->type = KEY_ED25519;
		error = gnutls_pubkey_export_ecc_raw2(public, &curve, &made, NULL, 0);
		break;
	case GNUTLS_PK_ECDSA:
		key->type = KEY_ECDSA;
		break;
	default:
		break;
	}
	if (made.size > sizeof key->bytes)
		error = GNUTLS_E_SHORT_MEMORY_BUFFER;
	if (error >= 0 && made.size) {
		key->length = made.size;
		memcpy(key->bytes, made.data, made.size);
	}
	gnutls_free(made.data);
	return error;
}

static int import_public(gnutls_pubkey_t public, const char *pem, size_t length)
{
	gnutls_datum_t bytes = { (unsigned char *)(uintptr_t)pem, (unsigned)length };
	gnutls_privkey_t private;
	int error = gnutls_privkey_init(&private);

	if (error < 0)
		return error;
	error = gnutls_privkey_import_x509_raw(private, &bytes, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (error >= 0)
		error = gnutls_pubkey_import_privkey(public, private, 0, 0);
	gnutls_privkey_deinit(private);
	return error;
}

enum result tls_public_key(const char *pem, size_t length, struct tls_public_key *key, struct why *why)
{
	gnutls_pubkey_t public;
	int error = gnutls_pubkey_init(&public);

	*key = (struct tls_public_key){ .length = 0 };
	if (error < 0)
		return tls_why(why, RESULT_RETRY, "no memory for a key", error);
	error = import_public(public, pem, length);
	if (error >= 0)
		error = export_public(public, key);
	gnutls_pubkey_deinit(public);
	return error < 0 ? tls_why(why, RESULT_NEVER, "no private key (PEM) without a passphrase", error) : RESULT_OK;
}

/* ---- making one ---- */

enum result tls_rsa_key_make(unsigned bits, char **key, struct why *why)
{
	gnutls_x509_privkey_t private;
	gnutls_datum_t pem = { 0 };
	int error = gnutls_x509_privkey_init(&private);

	*key = NULL;
	if (error < 0)
		return tls_why(why, RESULT_RETRY, "no memory for a key", error);
	error = gnutls_x509_privkey_generate(private, GNUTLS_PK_RSA, bits, 0);
	if (error >= 0)
		error = gnutls_x509_privkey_export2_pkcs8(private, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
	gnutls_x509_privkey_deinit(private);
	if (error >= 0 && !(*key = tls_as_string(&pem)))
		error = GNUTLS_E_MEMORY_ERROR;
	return error < 0 ? tls_why(why, RESULT_STOP, "unable to make a key", error) : RESULT_OK;
}
