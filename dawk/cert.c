/* dawk cert: the certificates in use, and one of our own to begin with. */
#include "cert.h"
#include "command.h"
#include "layout.h"
#include "common/text.h"
#include "common/tls_files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
	/* As long as clients take it: Apple's refuse server certificates that are valid for more than
	 * 825 days, and who accepted this one by hand would have to do so again at each renewal. */
	SELF_SIGNED_DAYS = 825,
	DAY_SECONDS = 86400,
	SOON_DAYS = 14,
};

/* ---- make ---- */

/* Do the files hold a key and its certificate? */
static enum result pair_fits(const struct tls_pair *pair, struct tls_certificate *facts, struct why *why)
{
	unsigned char id[WIRE_KEY_ID_MAX];
	struct why inner = { 0 };
	char *bytes;
	size_t length;
	enum result result = tls_file_certificate(pair->certificate, &bytes, &length, facts, why);

	if (result != RESULT_OK)
		return result;
	free(bytes);
	result = tls_file_read(pair->key, &bytes, &length, why);
	if (result != RESULT_OK)
		return result;
	result = tls_private_key_id(bytes, length, id, &inner);
	explicit_bzero(bytes, length);
	free(bytes);
	if (result != RESULT_OK)
		return why_set(why, result, "%s: %s", pair->key, inner.text);
	if (memcmp(id, facts->key_id, sizeof id))
		return why_set(why, RESULT_NEVER, "%s is the key of another certificate", pair->key);
	return RESULT_OK;
}

static enum result write_pair(const struct configuration *conf, const struct tls_pair *pair, struct why *why)
{
	char *certificate, *key;
	enum result result = tls_certificate_make(conf->hostname, SELF_SIGNED_DAYS, &certificate, &key, why);

	if (result != RESULT_OK)
		return result;
	result = layout_write_file(pair->key, key, strlen(key), 0600, false, why);
	if (result == RESULT_OK)
		result = layout_write_file(pair->certificate, certificate, strlen(certificate), 0644, false, why);
	explicit_bzero(key, strlen(key));
	free(key);
	free(certificate);
	return result;
}

enum result cert_make_self_signed(const struct configuration *conf, bool renew, bool *is_new, struct why *why)
{
	struct tls_certificate facts;
	struct tls_pair pair = { .key = "" };
	char keys[PATH_MAX];
	enum result result = tls_pair_self_signed(conf, &pair, why);

	*is_new = false;
	if (result != RESULT_OK || !configuration_path(conf, "keys", keys, sizeof keys))
		return result;
	if (!renew && pair_fits(&pair, &facts, why) == RESULT_OK)
		return RESULT_OK;
	*why = (struct why){ 0 };
	result = layout_make_directory(keys, 0700, why);
	if (result == RESULT_OK)
		result = write_pair(conf, &pair, why);
	*is_new = result == RESULT_OK;
	return result;
}

static int make(const struct configuration *conf, bool renew)
{
	struct tls_pair pair = { .key = "" };
	struct why why = { 0 };
	bool is_new;
	enum result result = cert_make_self_signed(conf, renew, &is_new, &why);

	if (result != RESULT_OK)
		return command_fail_why("cert", result, &why);
	tls_pair_self_signed(conf, &pair, &why);
	if (is_new)
		printf("made %s for %s, valid for %d days\n", pair.certificate, conf->hostname, SELF_SIGNED_DAYS);
	else
		printf("%s is there already; --renew makes a new one\n", pair.certificate);
	if (is_new && conf->tls_certificate.count)
		printf("not in use: tls-certificate in %s names others\n", conf->file);
	return EX_OK;
}

/* ---- judging ---- */

static const char *fault_of(const struct tls_certificate *facts, int64_t now, bool *is_fault)
{
	*is_fault = facts->not_after <= now || facts->not_before > now;
	if (facts->not_after <= now)
		return "it has expired";
	if (facts->not_before > now)
		return "it is not valid yet";
	return (facts->not_after - now) / DAY_SECONDS < SOON_DAYS ? "it expires soon" : NULL;
}

static void judge_pair(const struct tls_pair *pair, struct cert_row *row, struct tls_certificate *facts, struct why *why)
{
	enum result result = pair_fits(pair, facts, why);
	int64_t now = (int64_t)time(NULL);

	row->file = pair->certificate;
	if (facts->not_after) {
		row->facts = facts;
		row->days_left = (facts->not_after - now) / DAY_SECONDS;
		row->fault = fault_of(facts, now, &row->is_fault);
	}
	row->is_unknown = result != RESULT_OK && why->errno_value == EACCES;
	if (result == RESULT_OK || row->is_unknown || row->is_fault)
		return;
	row->fault = why->text;
	row->is_fault = true;
}

void cert_each(const struct configuration *conf, void (*each)(void *context, const struct cert_row *row), void *context)
{
	struct tls_pairs pairs;
	struct why why = { 0 };
	enum result result = tls_pairs_find(conf, &pairs, &why);

	if (result != RESULT_OK) {
		struct cert_row none = { .file = "tls-certificate", .is_fault = true, .fault = "there is no certificate" };
		none.fault = result == RESULT_END ? none.fault : why.text;
		each(context, &none);
		return;
	}
	for (size_t i = 0; i < pairs.count; i++) {
		struct tls_certificate facts = { .not_after = 0 };
		struct cert_row row = { .file = NULL };
		struct why inner = { 0 };
		judge_pair(&pairs.items[i], &row, &facts, &inner);
		each(context, &row);
	}
	tls_pairs_free(&pairs);
}

/* ---- show ---- */

static void print_hex(const unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		printf("%02x", bytes[i]);
}

static void print_day(const char *label, int64_t seconds)
{
	time_t at = (time_t)seconds;
	struct tm tm;
	char text[40];

	gmtime_r(&at, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	printf("%s%s", label, text);
}

/* Returns what is wrong with the times, or NULL. */
static const char *print_times(const struct tls_certificate *facts)
{
	int64_t now = (int64_t)time(NULL), left = (facts->not_after - now) / DAY_SECONDS;

	print_day("  valid        from ", facts->not_before);
	print_day(" until ", facts->not_after);
	if (facts->not_after <= now) {
		puts(", EXPIRED");
		return "it has expired";
	}
	printf(", %lld days left%s\n", (long long)left, left < SOON_DAYS ? ": renew it" : "");
	return facts->not_before > now ? "it is not valid yet" : NULL;
}

static const char *print_facts(const struct tls_pair *pair, const struct tls_certificate *facts)
{
	const char *fault;

	printf("%s\n  names        %s\n", pair->certificate, facts->names[0] ? facts->names : "(none)");
	fault = print_times(facts);
	printf("  key          %s, %s\n", facts->key_type, pair->key);
	printf("  issuer       %s\n  fingerprint  sha256:", facts->is_self_signed ? "itself (self-signed)" : facts->issuer);
	print_hex(facts->fingerprint, sizeof facts->fingerprint);
	printf("\n  TLSA         3 1 1 ");	/* RFC 7672 3.1.1: what a DNS record of it says */
	print_hex(facts->key_id, sizeof facts->key_id);
	putchar('\n');
	return fault;
}

/* Returns the exit code for this one. */
static int show_pair(const struct tls_pair *pair)
{
	struct tls_certificate facts = { .not_after = 0 };
	struct why why = { 0 };
	const char *fault = NULL;
	enum result result = pair_fits(pair, &facts, &why);

	if (facts.not_after)
		fault = print_facts(pair, &facts);
	if (result != RESULT_OK)
		return command_fail_why("cert", result, &why) == EX_NOPERM ? EX_NOPERM : EX_CONFIG;
	return fault ? command_fail("cert", EX_CONFIG, "%s: %s", pair->certificate, fault) : EX_OK;
}

static int show(const struct configuration *conf)
{
	struct tls_pairs pairs;
	struct why why = { 0 };
	int code = EX_OK;
	enum result result = tls_pairs_find(conf, &pairs, &why);

	if (result == RESULT_END)
		return command_fail("cert", EX_CONFIG, "there is no certificate, so there is no TLS; `dawk cert make` makes one, "
		                    "or name yours in %s (tls-certificate, tls-key)", conf->file);
	if (result != RESULT_OK)
		return command_fail_why("cert", result, &why);
	for (size_t i = 0; i < pairs.count; i++) {
		int one = show_pair(&pairs.items[i]);
		code = code ? code : one;
	}
	tls_pairs_free(&pairs);
	return code;
}

int command_cert(struct configuration *conf, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "show";
	bool renew = argc == 3 && !strcmp(argv[2], "--renew");

	if (!strcmp(verb, "show") && argc <= 2)
		return show(conf);
	if (!strcmp(verb, "make") && (argc == 2 || renew))
		return make(conf, renew);
	return command_usage("cert", "'show', or 'make' with at most --renew");
}
