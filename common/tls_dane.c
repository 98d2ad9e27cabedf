#include "tls_dane.h"

#include "dns.h"
#include "tls_private.h"
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

enum { USAGE_TA = 2, USAGE_EE = 3, SELECT_CERTIFICATE = 0, SELECT_KEY = 1, MATCH_WHOLE = 0, MATCH_SHA256 = 1, MATCH_SHA512 = 2 };

struct record {
	unsigned usage, selector, matching;
	gnutls_datum_t data;
};

struct chain {
	gnutls_x509_crt_t items[TLS_CHAIN_MAX];
	unsigned count;
};

/* ---- records ---- */

static bool parse(const char *rdata, size_t length, struct record *r)
{
	if (length < 4)
		return false;
	*r = (struct record){ (unsigned char)rdata[0], (unsigned char)rdata[1], (unsigned char)rdata[2],
	                      { (unsigned char *)(uintptr_t)rdata + 3, (unsigned)(length - 3) } };
	return true;
}

static bool certificate_of(const gnutls_datum_t *der, gnutls_x509_crt_t *crt)
{
	if (gnutls_x509_crt_init(crt) < 0)
		return false;
	if (gnutls_x509_crt_import(*crt, der, GNUTLS_X509_FMT_DER) >= 0)
		return true;
	gnutls_x509_crt_deinit(*crt);
	return false;
}

static bool is_certificate(const gnutls_datum_t *der)
{
	gnutls_x509_crt_t crt;

	if (!certificate_of(der, &crt))
		return false;
	gnutls_x509_crt_deinit(crt);
	return true;
}

static bool is_key(const gnutls_datum_t *der)
{
	gnutls_pubkey_t key;
	bool is_right;

	if (gnutls_pubkey_init(&key) < 0)
		return false;
	is_right = gnutls_pubkey_import(key, der, GNUTLS_X509_FMT_DER) >= 0;
	gnutls_pubkey_deinit(key);
	return is_right;
}

static bool is_usable(const struct record *r)
{
	if ((r->usage != USAGE_TA && r->usage != USAGE_EE) || r->selector > SELECT_KEY)
		return false;
	switch (r->matching) {
	case MATCH_SHA256: return r->data.size == 32;
	case MATCH_SHA512: return r->data.size == 64;
	case MATCH_WHOLE:  return r->selector == SELECT_CERTIFICATE ? is_certificate(&r->data) : is_key(&r->data);
	default:           return false;
	}
}

static bool next_usable(const char **at, const char *end, struct record *r)
{
	const char *rdata;
	size_t length;

	while (dns_next_record(at, end, &rdata, &length))
		if (parse(rdata, length, r) && is_usable(r))
			return true;
	return false;
}

size_t dane_count_usable(const char *records, size_t records_length)
{
	const char *at = records, *end = records + records_length;
	struct record r;
	size_t count = 0;

	while (next_usable(&at, end, &r))
		count++;
	return count;
}

bool dane_next_text(const char **at, const char *end, char *text, size_t size)
{
	static const char cut[] = "..", unusable[] = " (not usable)";
	const char *rdata, *remark;
	struct record r;
	size_t length, put, i;

	if (!dns_next_record(at, end, &rdata, &length))
		return false;
	if (!parse(rdata, length, &r)) {
		snprintf(text, size, "broken%s", unusable);
		return true;
	}
	remark = is_usable(&r) ? "" : unusable;
	put = (size_t)snprintf(text, size, "%u %u %u ", r.usage, r.selector, r.matching);
	for (i = 0; i < r.data.size && put + 2 + sizeof cut + strlen(remark) <= size; i++)
		put += (size_t)snprintf(text + put, size - put, "%02x", r.data.data[i]);
	snprintf(text + put, size - put, "%s%s", i < r.data.size ? cut : "", remark);
	return true;
}

/* RFC 7671 9: with a SHA-512 of the same usage and selector the SHA-256 does not count. */
static bool is_outdone(const char *at, const char *end, const struct record *r)
{
	struct record other;

	if (r->matching != MATCH_SHA256)
		return false;
	while (next_usable(&at, end, &other))
		if (other.usage == r->usage && other.selector == r->selector && other.matching == MATCH_SHA512)
			return true;
	return false;
}

/* ---- does a record mean a certificate? ---- */

static bool selected_bytes(gnutls_x509_crt_t crt, unsigned selector, gnutls_datum_t *out)
{
	gnutls_pubkey_t key;
	int error;

	if (selector == SELECT_CERTIFICATE)
		return gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, out) >= 0;
	if (gnutls_pubkey_init(&key) < 0)
		return false;
	error = gnutls_pubkey_import_x509(key, crt, 0);
	if (error >= 0)
		error = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, out);
	gnutls_pubkey_deinit(key);
	return error >= 0;
}

static bool means(const struct record *r, gnutls_x509_crt_t crt)
{
	unsigned char digest[64];
	gnutls_datum_t bytes = { 0 };
	const void *is = digest;
	bool fits;

	if (!selected_bytes(crt, r->selector, &bytes))
		return false;
	if (r->matching == MATCH_WHOLE) {
		is = bytes.data;
		fits = bytes.size == r->data.size;
	} else {
		fits = gnutls_hash_fast(r->matching == MATCH_SHA256 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA512, bytes.data, bytes.size, digest) >= 0;
	}
	fits = fits && !memcmp(is, r->data.data, r->data.size);
	gnutls_free(bytes.data);
	return fits;
}

/* ---- a chain up to an authority ---- */

static unsigned judge_chain(const struct chain *chain, unsigned count, gnutls_x509_crt_t authority, const char *name)
{
	gnutls_typed_vdata_st wanted[] = {
		{ GNUTLS_DT_DNS_HOSTNAME, (unsigned char *)(uintptr_t)name, 0 },
		{ GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER, 0 },
	};
	unsigned status = GNUTLS_CERT_INVALID;
	gnutls_x509_crt_t items[TLS_CHAIN_MAX];
	gnutls_x509_trust_list_t list;

	memcpy(items, chain->items, sizeof items);
	if (gnutls_x509_trust_list_init(&list, 0) < 0)
		return status;
	if (gnutls_x509_trust_list_add_cas(list, &authority, 1, 0) != 1 ||
	    gnutls_x509_trust_list_verify_crt2(list, items, count, wanted, 2, 0, &status, NULL) < 0)
		status = GNUTLS_CERT_INVALID;
	gnutls_x509_trust_list_deinit(list, 0);
	return status;
}

static enum result verify_chain(const struct chain *chain, unsigned count, gnutls_x509_crt_t authority,
                                const char *const *names, size_t name_count, struct why *why)
{
	unsigned status = GNUTLS_CERT_INVALID;
	gnutls_datum_t words = { 0 };
	size_t i;

	for (i = 0; i < name_count && status; i++)
		status = judge_chain(chain, count, authority, names[i]);
	if (!status)
		return RESULT_OK;
	gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0);
	why_set(why, RESULT_NEVER, "the authority of the TLSA record does not vouch for it: %s",
	        words.data ? (const char *)words.data : "not trusted");
	gnutls_free(words.data);
	return RESULT_NEVER;
}

/* The authority is one of the chain behind the host's own certificate, or whole in the record (RFC 7672 3.1.2). */
static enum result try_authority(const struct record *r, const struct chain *chain, const char *const *names, size_t name_count, struct why *why)
{
	gnutls_x509_crt_t authority;
	enum result result;
	unsigned i;

	for (i = 1; i < chain->count; i++)
		if (means(r, chain->items[i]))
			return verify_chain(chain, i + 1, chain->items[i], names, name_count, why);
	if (r->matching != MATCH_WHOLE || r->selector != SELECT_CERTIFICATE || !certificate_of(&r->data, &authority))
		return RESULT_NEVER;
	result = verify_chain(chain, chain->count, authority, names, name_count, why);
	gnutls_x509_crt_deinit(authority);
	return result;
}

/* ---- all of it ---- */

static enum result read_chain(struct chain *out, const struct dane_bytes *chain, size_t count, struct why *why)
{
	for (out->count = 0; out->count < count && out->count < TLS_CHAIN_MAX; out->count++) {
		gnutls_datum_t der = { (unsigned char *)(uintptr_t)chain[out->count].bytes, (unsigned)chain[out->count].length };
		if (!certificate_of(&der, &out->items[out->count]))
			break;
	}
	return out->count ? RESULT_OK : why_set(why, RESULT_NEVER, "it showed no certificate");
}

enum result dane_verify(const char *records, size_t records_length, const struct dane_bytes *chain, size_t chain_count,
                        const char *const *names, size_t name_count, char matched[DANE_MATCHED_MAX], struct why *why)
{
	const char *at = records, *end = records + records_length;
	struct chain certificates;
	enum result result = read_chain(&certificates, chain, chain_count, why);
	struct record r;

	if (result != RESULT_OK)
		return result;
	result = why_set(why, RESULT_NEVER, "no TLSA record fits its certificate");
	while (result != RESULT_OK && next_usable(&at, end, &r)) {
		if (is_outdone(records, end, &r))
			continue;
		if (r.usage == USAGE_EE)
			result = means(&r, certificates.items[0]) ? RESULT_OK : RESULT_NEVER;
		else
			result = try_authority(&r, &certificates, names, name_count, why);
		snprintf(matched, DANE_MATCHED_MAX, "%u %u %u", r.usage, r.selector, r.matching);
	}
	if (result == RESULT_OK && why)
		*why = (struct why){ 0 };
	while (certificates.count)
		gnutls_x509_crt_deinit(certificates.items[--certificates.count]);
	return result;
}
