/* link: common/tls_dane.o */
/* TLSA records and certificates: RFC 7672 3, RFC 7671 9. A chain of three is made here: authority, intermediate, host. */
#include "common/tls_dane.h"
#include "common/tls_private.h"
#include "unit.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <time.h>

enum { HOST, MIDDLE, ROOT, OTHER, OLD, CERTIFICATES };

static struct made {
	const char *name;
	int issuer;			/* index; its own: signed by itself */
	int age_seconds;		/* 0: valid now */
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t der, spki;
} made[CERTIFICATES] = {
	[HOST] = { "mx.example", MIDDLE, 0, NULL, NULL, { NULL, 0 }, { NULL, 0 } },
	[MIDDLE] = { "middle", ROOT, 0, NULL, NULL, { NULL, 0 }, { NULL, 0 } },
	[ROOT] = { "root", ROOT, 0, NULL, NULL, { NULL, 0 }, { NULL, 0 } },
	[OTHER] = { "other.example", OTHER, 0, NULL, NULL, { NULL, 0 }, { NULL, 0 } },
	[OLD] = { "mx.example", MIDDLE, 7200, NULL, NULL, { NULL, 0 }, { NULL, 0 } },
};

static void make_one(struct made *m, int number)
{
	bool is_authority = m == &made[MIDDLE] || m == &made[ROOT];
	unsigned char serial[] = { 1, (unsigned char)number };
	time_t start = time(NULL) - 60 - m->age_seconds;

	gnutls_x509_privkey_init(&m->key);
	gnutls_x509_crt_init(&m->crt);
	CHECK(gnutls_x509_privkey_generate(m->key, GNUTLS_PK_ECDSA, 256, 0) >= 0);
	gnutls_x509_crt_set_version(m->crt, 3);
	gnutls_x509_crt_set_serial(m->crt, serial, sizeof serial);
	gnutls_x509_crt_set_activation_time(m->crt, start);
	gnutls_x509_crt_set_expiration_time(m->crt, start + 3600);
	gnutls_x509_crt_set_key(m->crt, m->key);
	gnutls_x509_crt_set_dn_by_oid(m->crt, GNUTLS_OID_X520_COMMON_NAME, 0, m->name, (unsigned)strlen(m->name));
	if (!is_authority)
		gnutls_x509_crt_set_subject_alt_name(m->crt, GNUTLS_SAN_DNSNAME, m->name, (unsigned)strlen(m->name), GNUTLS_FSAN_SET);
	gnutls_x509_crt_set_basic_constraints(m->crt, is_authority, -1);
}

static void sign_one(struct made *m)
{
	struct made *issuer = &made[m->issuer];
	gnutls_pubkey_t key;

	CHECK(gnutls_x509_crt_sign2(m->crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0) >= 0);
	CHECK(gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_DER, &m->der) >= 0);
	gnutls_pubkey_init(&key);
	CHECK(gnutls_pubkey_import_x509(key, m->crt, 0) >= 0 && gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &m->spki) >= 0);
	gnutls_pubkey_deinit(key);
}

/* ---- records ---- */

static char records[16384];
static size_t records_length;

static void add_bytes(int usage, int selector, int matching, const void *data, size_t length)
{
	uint16_t size = (uint16_t)(length + 3);
	char head[3] = { (char)usage, (char)selector, (char)matching };

	memcpy(records + records_length, &size, sizeof size);
	memcpy(records + records_length + 2, head, 3);
	memcpy(records + records_length + 5, data, length);
	records_length += 2 + size;
}

static void add(int usage, int selector, int matching, const struct made *m)
{
	const gnutls_datum_t *what = selector ? &m->spki : &m->der;
	unsigned char digest[64];

	if (!matching) {
		add_bytes(usage, selector, matching, what->data, what->size);
		return;
	}
	gnutls_hash_fast(matching == 1 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA512, what->data, what->size, digest);
	add_bytes(usage, selector, matching, digest, matching == 1 ? 32 : 64);
}

static void fresh(void)
{
	records_length = 0;
}

static char matched[DANE_MATCHED_MAX];
static struct why why;

static enum result judge(const int *chain, size_t count, const char *name)
{
	struct dane_bytes bytes[8];
	const char *names[] = { "nobody.example", name };
	size_t i;

	for (i = 0; i < count; i++)
		bytes[i] = (struct dane_bytes){ made[chain[i]].der.data, made[chain[i]].der.size };
	why = (struct why){ 0 };
	return dane_verify(records, records_length, bytes, count, names, 2, matched, &why);
}

static const int whole[] = { HOST, MIDDLE, ROOT }, alone[] = { HOST }, other[] = { OTHER }, old[] = { OLD, MIDDLE, ROOT };

/* ---- cases ---- */

static void every_selector_and_matching_type_means_a_certificate(void)
{
	int usage, selector, matching;

	for (usage = 2; usage <= 3; usage++)
		for (selector = 0; selector <= 1; selector++)
			for (matching = 0; matching <= 2; matching++) {
				char wanted[40];
				fresh();
				add(usage, selector, matching, &made[usage == 3 ? HOST : MIDDLE]);
				snprintf(wanted, sizeof wanted, "%d %d %d", usage, selector, matching);
				CHECK(dane_count_usable(records, records_length) == 1);
				CHECK(judge(whole, 3, "mx.example") == RESULT_OK);
				CHECK_STRING(matched, wanted);
				CHECK(judge(other, 1, "other.example") == RESULT_NEVER && why.text[0]);
			}
}

static void an_end_certificate_counts_whatever_its_names_and_times_say(void)	/* RFC 7672 3.1.1 */
{
	fresh();
	add(3, 1, 1, &made[OLD]);
	CHECK(judge(old, 3, "somebody.else.example") == RESULT_OK);
	CHECK(judge(whole, 3, "mx.example") == RESULT_NEVER);
	fresh();
	add(3, 1, 1, &made[MIDDLE]);	/* in the chain, but not the host's own */
	CHECK(judge(whole, 3, "mx.example") == RESULT_NEVER);
}

static void an_authority_wants_names_times_and_a_chain(void)	/* RFC 7672 3.1.2, 3.2.2 */
{
	fresh();
	add(2, 0, 1, &made[ROOT]);
	CHECK(judge(whole, 3, "mx.example") == RESULT_OK);
	CHECK(judge(whole, 3, "else.example") == RESULT_NEVER);
	CHECK(judge(old, 3, "mx.example") == RESULT_NEVER);
	CHECK(judge(alone, 1, "mx.example") == RESULT_NEVER);	/* a digest of what was not sent */
	fresh();
	add(2, 0, 0, &made[MIDDLE]);	/* whole in the record: need not be sent */
	CHECK(judge(alone, 1, "mx.example") == RESULT_OK);
	CHECK(judge(alone, 1, "else.example") == RESULT_NEVER);
	CHECK(judge(other, 1, "other.example") == RESULT_NEVER);
}

static void what_can_not_be_used_does_not_count(void)	/* RFC 7672 3.1.3 */
{
	static const struct { int usage, selector, matching; size_t length; } rows[] = {
		{ 0, 0, 1, 32 }, { 1, 1, 1, 32 }, { 4, 1, 1, 32 }, { 255, 0, 0, 10 }, { 3, 2, 1, 32 }, { 3, 1, 3, 32 }, { 3, 1, 1, 31 }, { 3, 1, 1, 64 },
		{ 3, 1, 2, 32 }, { 3, 0, 0, 5 }, { 3, 1, 0, 5 }, { 2, 0, 0, 0 },
	};
	static const char zeros[64];
	const char *at = records;
	char text[80];
	size_t i;

	fresh();
	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		add_bytes(rows[i].usage, rows[i].selector, rows[i].matching, zeros, rows[i].length);
	memcpy(records + records_length, "\2\0\3\1", 4);	/* two bytes of RDATA */
	records_length += 4;
	CHECK(dane_count_usable(records, records_length) == 0);
	CHECK(judge(whole, 3, "mx.example") == RESULT_NEVER);
	for (i = 0; dane_next_text(&at, records + records_length, text, sizeof text); i++)
		CHECK(strstr(text, "not usable") != NULL);
	CHECK(i == sizeof rows / sizeof *rows + 1);
	add(3, 1, 1, &made[HOST]);
	CHECK(dane_count_usable(records, records_length) == 1);
	CHECK(judge(whole, 3, "mx.example") == RESULT_OK);
}

static void the_stronger_digest_counts(void)	/* RFC 7671 9 */
{
	fresh();
	add(3, 1, 1, &made[HOST]);
	add(3, 1, 2, &made[OTHER]);
	CHECK(judge(whole, 3, "mx.example") == RESULT_NEVER);
	add(3, 0, 1, &made[HOST]);	/* of another selector */
	CHECK(judge(whole, 3, "mx.example") == RESULT_OK);
	CHECK_STRING(matched, "3 0 1");
}

static void one_that_fits_is_enough(void)
{
	fresh();
	add(3, 1, 1, &made[OTHER]);
	add(2, 0, 1, &made[OTHER]);
	add(3, 1, 1, &made[HOST]);
	CHECK(judge(whole, 3, "mx.example") == RESULT_OK);
	CHECK(judge(other, 1, "other.example") == RESULT_OK);
	CHECK(judge(whole, 0, "mx.example") == RESULT_NEVER);
}

static void records_as_text(void)
{
	const char *at = records;
	char text[64];

	fresh();
	add_bytes(3, 1, 1, "0123456789abcdef0123456789abcdef", 32);
	CHECK(dane_next_text(&at, records + records_length, text, sizeof text));
	CHECK(!strncmp(text, "3 1 1 30313233", 14) && strstr(text, ".."));
	CHECK(!dane_next_text(&at, records + records_length, text, sizeof text));
}

int main(void)
{
	int i;

	gnutls_global_init();
	for (i = 0; i < CERTIFICATES; i++)
		make_one(&made[i], i);
	for (i = 0; i < CERTIFICATES; i++)
		sign_one(&made[i]);
	UNIT_RUN(every_selector_and_matching_type_means_a_certificate);
	UNIT_RUN(an_end_certificate_counts_whatever_its_names_and_times_say);
	UNIT_RUN(an_authority_wants_names_times_and_a_chain);
	UNIT_RUN(what_can_not_be_used_does_not_count);
	UNIT_RUN(the_stronger_digest_counts);
	UNIT_RUN(one_that_fits_is_enough);
	UNIT_RUN(records_as_text);
	for (i = 0; i < CERTIFICATES; i++) {
		gnutls_x509_crt_deinit(made[i].crt);
		gnutls_x509_privkey_deinit(made[i].key);
		gnutls_free(made[i].der.data);
		gnutls_free(made[i].spki.data);
	}
	return unit_end();
}
