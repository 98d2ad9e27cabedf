#include "tls_private.h"

#include "text.h"
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SERIAL_SIZE = 16, COMMON_NAME_MAX = 64 /* RFC 5280, ub-common-name */, BACKDATED_SECONDS = 3600 };

enum result tls_chain_read(const char *pem, size_t length, gnutls_x509_crt_t chain[TLS_CHAIN_MAX], unsigned *count, struct why *why)
{
	gnutls_datum_t bytes = { (unsigned char *)(uintptr_t)pem, (unsigned)length };
	int error;

	if (!length || length > TLS_CERTIFICATE_FILE_MAX)
		return why_set(why, RESULT_NEVER, "%s", length ? "the certificate file is too long" : "the certificate file is empty");
	*count = TLS_CHAIN_MAX;
	error = gnutls_x509_crt_list_import(chain, count, &bytes, GNUTLS_X509_FMT_PEM,
	                                    GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (error < 0)
		return tls_why(why, RESULT_NEVER, "no certificate (PEM) that can be used", error);
	*count = (unsigned)error;
	return RESULT_OK;
}

/* ---- names ---- */

/* Names of DNS are ASCII; one with other bytes is for nobody. */
static bool give_name(char *name, size_t size, bool (*each)(void *, const char *), void *context)
{
	if (!size || strlen(name) != size || !text_is_printable(name, size) || strchr(name, ' '))
		return true;
	text_lower(name, size);
	return each(context, name);
}

/* RFC 6125 6.4.4: the common name counts only where there is no alternative name of DNS. */
static bool common_name(gnutls_x509_crt_t crt, bool (*each)(void *, const char *), void *context)
{
	char name[TLS_NAME_MAX + 1];
	size_t size = sizeof name;

	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) < 0)
		return true;
	return give_name(name, strnlen(name, sizeof name), each, context);
}

bool tls_names_each(gnutls_x509_crt_t crt, bool (*each)(void *, const char *), void *context)
{
	bool has_names = false;
	unsigned i;

	for (i = 0; i < TLS_NAMES_MAX; i++) {
		char name[TLS_NAME_MAX + 1] = "";
		size_t size = sizeof name - 1;
		int type = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &size, NULL);
		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (type != GNUTLS_SAN_DNSNAME)
			continue;
		has_names = true;
		name[size < sizeof name ? size : sizeof name - 1] = 0;
		if (!give_name(name, strlen(name), each, context))
			return false;
	}
	return has_names || common_name(crt, each, context);
}

/* ---- facts ---- */

static bool append_name(void *context, const char *name)
{
	struct tls_certificate *c = context;
	size_t used = strlen(c->names), length = strlen(name);

	if (used + 1 + length < sizeof c->names)
		snprintf(c->names + used, sizeof c->names - used, "%s%s", used ? " " : "", name);
	return true;
}

static void fill_facts(gnutls_x509_crt_t crt, struct tls_certificate *c)
{
	size_t size = sizeof c->key_id;
	unsigned bits = 0;
	int type = gnutls_x509_crt_get_pk_algorithm(crt, &bits);

	gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, c->key_id, &size);
	size = sizeof c->fingerprint;
	gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, c->fingerprint, &size);
	snprintf(c->key_type, sizeof c->key_type, "%s %u", type == GNUTLS_PK_ECDSA ? "ECDSA" :
	         gnutls_pk_get_name((gnutls_pk_algorithm_t)type), bits);
	size = sizeof c->issuer;
	if (gnutls_x509_crt_get_issuer_dn(crt, c->issuer, &size) < 0)
		c->issuer[0] = 0;
	c->not_before = gnutls_x509_crt_get_activation_time(crt);
	c->not_after = gnutls_x509_crt_get_expiration_time(crt);
	c->is_self_signed = gnutls_x509_crt_check_issuer(crt, crt) != 0;
	tls_names_each(crt, append_name, c);
}

enum result tls_certificate_read(const char *pem, size_t length, struct tls_certificate *certificate, struct why *why)
{
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX];
	unsigned i, count = 0;
	enum result result = tls_chain_read(pem, length, chain, &count, why);

	*certificate = (struct tls_certificate){ .not_after = 0 };
	if (result != RESULT_OK)
		return result;
	fill_facts(chain[0], certificate);
	for (i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	return RESULT_OK;
}

enum result tls_private_key_id(const char *pem, size_t length, unsigned char key_id[WIRE_KEY_ID_MAX], struct why *why)
{
	gnutls_datum_t bytes = { (unsigned char *)(uintptr_t)pem, (unsigned)length };
	size_t size = WIRE_KEY_ID_MAX;
	gnutls_x509_privkey_t key;
	int error = gnutls_x509_privkey_init(&key);

	if (error < 0)
		return tls_why(why, RESULT_RETRY, "no memory for a key", error);
	error = gnutls_x509_privkey_import2(key, &bytes, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (error >= 0)
		error = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, key_id, &size);
	gnutls_x509_privkey_deinit(key);
	return error < 0 ? tls_why(why, RESULT_NEVER, "no private key (PEM) without a passphrase", error) : RESULT_OK;
}

/* ---- making one ---- */

static int fill_certificate(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *hostname, unsigned days)
{
	const char *subject = strlen(hostname) <= COMMON_NAME_MAX ? hostname : "mail host";
	unsigned char serial[SERIAL_SIZE];
	time_t start = time(NULL) - BACKDATED_SECONDS;	/* clocks of clients differ */
	int error;

	random_bytes(serial, sizeof serial);
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);	/* positive and never short, RFC 5280 4.1.2.2 */
	error = gnutls_x509_crt_set_version(crt, 3);
	if (error >= 0)
		error = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
	if (error >= 0)
		error = gnutls_x509_crt_set_activation_time(crt, start);
	if (error >= 0)
		error = gnutls_x509_crt_set_expiration_time(crt, start + (time_t)days * 86400);
	if (error >= 0)
		error = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, subject, (unsigned)strlen(subject));
	if (error >= 0)
		error = gnutls_x509_crt_set_key(crt, key);
	if (error >= 0)
		error = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, hostname, (unsigned)strlen(hostname), GNUTLS_FSAN_SET);
	if (error >= 0)
		error = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (error >= 0)
		error = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (error >= 0)
		error = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	return error < 0 ? error : gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

static int export(gnutls_x509_crt_t crt, gnutls_x509_privkey_t private, char **certificate, char **key)
{
	gnutls_datum_t crt_pem = { 0 }, key_pem = { 0 };
	int error = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &crt_pem);

	if (error >= 0)
		*certificate = tls_as_string(&crt_pem);
	if (error >= 0)
		error = gnutls_x509_privkey_export2_pkcs8(private, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &key_pem);
	if (error >= 0)
		*key = tls_as_string(&key_pem);
	return error < 0 || (*certificate && *key) ? error : GNUTLS_E_MEMORY_ERROR;
}

enum result tls_certificate_make(const char *hostname, unsigned days, char **certificate, char **key, struct why *why)
{
	gnutls_x509_privkey_t private;
	gnutls_x509_crt_t crt;
	int error;

	*certificate = *key = NULL;
	if ((error = gnutls_x509_privkey_init(&private)) < 0)
		return tls_why(why, RESULT_RETRY, "no memory for a key", error);
	if ((error = gnutls_x509_crt_init(&crt)) < 0) {
		gnutls_x509_privkey_deinit(private);
		return tls_why(why, RESULT_RETRY, "no memory for a certificate", error);
	}
	error = gnutls_x509_privkey_generate(private, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (error >= 0)
		error = fill_certificate(crt, private, hostname, days);
	if (error >= 0)
		error = export(crt, private, certificate, key);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(private);
	if (error >= 0)
		return RESULT_OK;
	free(*certificate);
	free(*key);
	*certificate = *key = NULL;
	return tls_why(why, RESULT_STOP, "unable to make a certificate", error);
}
