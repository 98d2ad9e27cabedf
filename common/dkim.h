/* Signing mail: DKIM, RFC 6376, with the algorithms of RFC 8301 and RFC 8463. Canonicalisation is "relaxed", for header
 * and body. Here are the bytes that are hashed and the field that is written; the signature itself is made by keyd.
 * A program that uses it links nettle. Used by tlsrpt.
 *
 * In order: dkim_body_start, dkim_body_add (as often as it takes), dkim_body_end; dkim_field_start with its hash;
 * the signature of what that gives; dkim_field_end. */
#ifndef COMMON_DKIM_H
#define COMMON_DKIM_H

#include "text.h"
#include "wire.h"
#include <nettle/sha2.h>

enum { DKIM_HASH_SIZE = SHA256_DIGEST_SIZE };

/* ---- canonicalisation ---- */

/* RFC 6376 3.4.4: a body with CRLF line ends comes in pieces of any size; PUT gets it canonicalised, in pieces too. */
struct dkim_relaxed {
	void (*put)(struct dkim_relaxed *relaxed, const char *bytes, size_t length);
	uint64_t empty_lines;		/* that count only if something follows */
	bool has_cr, has_blank;		/* came, and are not put yet */
	bool has_text;			/* in this line */
};
/* Zeroed but for PUT at first. */
void dkim_relaxed_add(struct dkim_relaxed *relaxed, const char *bytes, size_t length);
void dkim_relaxed_end(struct dkim_relaxed *relaxed);

/* RFC 6376 3.4.2: appends the header field FIELD (with its name and colon, with or without the CRLF at its end),
 * canonicalised, without a CRLF. false: no memory. */
bool dkim_append_relaxed_field(stralloc *out, const char *field, size_t length);

/* ---- signing ---- */

struct dkim_body {
	struct dkim_relaxed relaxed;
	struct sha256_ctx hash;
};
void dkim_body_start(struct dkim_body *body);
void dkim_body_add(struct dkim_body *body, const char *bytes, size_t length);
void dkim_body_end(struct dkim_body *body, unsigned char hash[DKIM_HASH_SIZE]);

struct dkim_wish {
	const char *domain, *selector;		/* NUL-ended, valid in a DNS name */
	enum sign_algorithm algorithm;		/* SIGN_RSA_SHA256 or SIGN_ED25519 */
	uint64_t now_seconds;			/* since 1970 */
	/* What is signed, in order, NULL at the end. Each field of the name, and that there is no further one (RFC 6376 8.15). */
	const char *const *names;
};
/* Appends the DKIM-Signature field of a message with the header of LENGTH bytes at HEADER (to the CRLF of its last field)
 * to FIELD, folded, up to its signature. HASH is to be signed: RSA takes it as a hash, Ed25519 as bytes. false: no memory. */
bool dkim_field_start(const struct dkim_wish *wish, const char *header, size_t length, const unsigned char body[DKIM_HASH_SIZE],
                      stralloc *field, unsigned char hash[DKIM_HASH_SIZE]);
/* Appends the signature, and the CRLF: FIELD goes in front of the header. */
bool dkim_field_end(stralloc *field, const void *signature, size_t length);

#endif
