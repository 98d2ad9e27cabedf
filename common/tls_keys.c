#include "tls_private.h"

#include "channel.h"
#include "hung.h"
#include "sign.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYD "keyd"	/* among what hangs */

/* One pipe a process. It blocks, so that a handshake's signature is one call for GnuTLS. */
static struct channel keyd = { .fd = -1 };
static uint64_t last_serial;

struct bound {
	unsigned char id[WIRE_KEY_ID_MAX];
	gnutls_pk_algorithm_t type;
	unsigned bits;
	gnutls_ecc_curve_t curve;
};

enum result tls_keys_join(int fd, struct why *why)
{
	channel_close(&keyd);
	hung_clear(KEYD);
	return channel_open(&keyd, NULL, fd, NULL, NULL, why);
}

/* ---- asking ---- */

static void log_trouble(const char *words, const struct why *why)
{
	struct why full = { 0 };

	why_set(&full, RESULT_RETRY, "%s%s%s", words, why && why->text[0] ? ": " : "", why ? why->text : "");
	log_failure("signature-failed", &full);
}

static enum result ask(const struct bound *bound, enum sign_algorithm algorithm, const gnutls_datum_t *data, struct why *why)
{
	const struct wire_value values[SIGN_ASK_FIELDS] = {
		[SIGN_ASK_SERIAL] = WIRE_NUMBER(++last_serial),
		[SIGN_ASK_PURPOSE] = WIRE_NUMBER(KEY_TLS),
		[SIGN_ASK_ALGORITHM] = WIRE_NUMBER(algorithm),
		[SIGN_ASK_KEY] = WIRE_BYTES((const char *)bound->id, sizeof bound->id),
		[SIGN_ASK_DATA] = WIRE_BYTES((const char *)data->data, data->size),
	};

	return channel_send(&keyd, FRAME_SIGN_ASK, values, -1, why);
}

static enum result next_answer(struct frame *f, int timeout_ms, struct why *why)
{
	enum result result = channel_wait(&keyd, f, timeout_ms, why);

	if (result != RESULT_OK || f->descriptor < 0)
		return result;
	close(f->descriptor);
	return why_set(why, RESULT_PEER, "keyd sends a descriptor");
}

/* The question that was given up is the probe: its answer says that keyd is back. That one may be lost as well, so another
 * question follows once the time of hung.h is over. */
bool tls_keys_answer(void)
{
	struct why why = { 0 };
	struct frame f;

	if (!hung_is(KEYD, time_monotonic_ms()))
		return true;
	if (next_answer(&f, 0, &why) == RESULT_RETRY)
		return false;
	hung_clear(KEYD);	/* a pipe that broke is told of by who asks next */
	return true;
}

/* Answers to questions that were given up are passed over. */
static enum result wait_answer(struct frame *f, struct why *why)
{
	uint64_t until = time_monotonic_ms() + TLS_SIGN_MS, now;

	while ((now = time_monotonic_ms()) < until) {
		enum result result = next_answer(f, (int)(until - now), why);
		if (result == RESULT_RETRY)
			break;
		if (result != RESULT_OK)
			return result;
		if (f->type == FRAME_SIGN_TELL && f->value[SIGN_TELL_SERIAL].number == last_serial)
			return RESULT_OK;
	}
	hung_note_apart(KEYD, time_monotonic_ms());
	return why_set(why, RESULT_RETRY, "keyd did not answer within %d ms", TLS_SIGN_MS);
}

static int take_signature(const struct frame *f, gnutls_datum_t *signature)
{
	static const char *const words[] = {
		[SIGN_UNKNOWN] = "keyd does not have the key of this certificate",
		[SIGN_REFUSED] = "keyd does not make such a signature", [SIGN_FAILED] = "keyd failed",
	};
	const struct wire_value *made = &f->value[SIGN_TELL_SIGNATURE];
	uint64_t verdict = f->value[SIGN_TELL_VERDICT].number;

	if (verdict != SIGN_OK || !made->length) {
		log_trouble(verdict > SIGN_OK && verdict <= SIGN_FAILED ? words[verdict] : "keyd said nothing of use", NULL);
		return GNUTLS_E_PK_SIGN_FAILED;
	}
	signature->data = gnutls_malloc(made->length);
	if (!signature->data)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(signature->data, made->bytes, made->length);
	signature->size = (unsigned)made->length;
	return 0;
}

static int sign(const struct bound *bound, enum sign_algorithm algorithm, const gnutls_datum_t *data, gnutls_datum_t *signature)
{
	struct why why = { 0 };
	struct frame f;
	enum result result;

	if (!algorithm)
		return GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
	if (keyd.fd < 0) {
		log_trouble("there is no pipe to keyd", NULL);
		return GNUTLS_E_PK_SIGN_FAILED;
	}
	if (!tls_keys_answer()) {
		log_trouble("keyd has not answered the last question yet", NULL);
		return GNUTLS_E_PK_SIGN_FAILED;
	}
	result = ask(bound, algorithm, data, &why);
	if (result == RESULT_OK)
		result = wait_answer(&f, &why);
	if (result == RESULT_OK)
		return take_signature(&f, signature);
	if (result != RESULT_RETRY && result != RESULT_NEVER)
		channel_close(&keyd);
	log_trouble("no signature", &why);
	return GNUTLS_E_PK_SIGN_FAILED;
}

/* ---- what GnuTLS calls ---- */

static int sign_data(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *user, unsigned flags,
                     const gnutls_datum_t *data, gnutls_datum_t *signature)
{
	(void)key;
	(void)flags;
	return sign(user, sign_algorithm_of(algorithm), data, signature);
}

/* PKCS #1 1.5 comes as "raw RSA" with the hash wrapped in a DigestInfo (RFC 8017 9.2): it is taken out
 * again, since keyd makes no signature over bytes that it can't tell to be a hash. */
static int sign_hash(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *user, unsigned flags,
                     const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	unsigned char bytes[64];
	unsigned size = sizeof bytes;
	gnutls_digest_algorithm_t digest;
	gnutls_datum_t bare = { .data = bytes };

	(void)key;
	(void)flags;
	if (algorithm != GNUTLS_SIGN_RSA_RAW)
		return sign(user, sign_algorithm_of(algorithm), hash, signature);
	if (gnutls_decode_ber_digest_info(hash, &digest, bytes, &size) < 0)
		return GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
	bare.size = size;
	return sign(user, sign_algorithm_rsa(digest), &bare, signature);
}

static bool can_sign(const struct bound *bound, gnutls_sign_algorithm_t algorithm)
{
	const struct sign_row *row = sign_row_of(sign_algorithm_of(algorithm));

	if (!row || row->key != bound->type)
		return false;
	switch (algorithm) {	/* TLS 1.3 ties the hash to the curve, RFC 8446 4.2.3 */
	case GNUTLS_SIGN_ECDSA_SECP256R1_SHA256: return bound->curve == GNUTLS_ECC_CURVE_SECP256R1;
	case GNUTLS_SIGN_ECDSA_SECP384R1_SHA384: return bound->curve == GNUTLS_ECC_CURVE_SECP384R1;
	case GNUTLS_SIGN_ECDSA_SECP521R1_SHA512: return bound->curve == GNUTLS_ECC_CURVE_SECP521R1;
	default: return true;
	}
}

static int tell(gnutls_privkey_t key, unsigned flags, void *user)
{
	const struct bound *bound = user;

	(void)key;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return (int)bound->type;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)bound->bits;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return can_sign(bound, GNUTLS_FLAGS_TO_SIGN_ALGO(flags));
	return -1;
}

static void unbind(gnutls_privkey_t key, void *user)
{
	(void)key;
	free(user);
}

enum result tls_keys_bind(gnutls_privkey_t private, gnutls_pcert_st *certificate, struct why *why)
{
	struct bound *bound = calloc(1, sizeof *bound);
	size_t size = sizeof bound->id;
	int error;

	if (!bound)
		return why_errno(why, RESULT_RETRY, "no memory for a key");
	bound->type = (gnutls_pk_algorithm_t)gnutls_pubkey_get_pk_algorithm(certificate->pubkey, &bound->bits);
	if (bound->type == GNUTLS_PK_ECDSA)
		gnutls_pubkey_export_ecc_raw2(certificate->pubkey, &bound->curve, NULL, NULL, 0);
	error = gnutls_pubkey_get_key_id(certificate->pubkey, GNUTLS_KEYID_USE_SHA256, bound->id, &size);
	if (error >= 0)
		error = gnutls_privkey_import_ext4(private, bound, sign_data, sign_hash, NULL, unbind, tell, 0);
	if (error >= 0)
		return RESULT_OK;
	free(bound);
	return tls_why(why, RESULT_NEVER, "unable to use the key", error);
}
