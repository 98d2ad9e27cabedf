/* SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677): keys, messages, proofs. Pure functions of bytes.
 * Used by login_sasl.c (exchanges) and `dawk user` (keys). */
#ifndef AUTHD_SCRAM_H
#define AUTHD_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SCRAM_KEY_SIZE = 32,
	SCRAM_SALT_SIZE = 16,		/* of a key that is made */
	SCRAM_SALT_MAX = 64,		/* of a key that is read */
	SCRAM_ITERATIONS = 15000,	/* of a key that is made */
	SCRAM_ITERATIONS_LEAST = 4096,	/* RFC 7677 4 */
	SCRAM_ITERATIONS_MOST = 10000000,
	SCRAM_CHECK_LENGTH = 16,
	SCRAM_TEXT_MAX = 320,		/* of a key as text, with its NUL */
	SCRAM_NAME_MAX = 320,
	SCRAM_NONCE_MAX = 512,
	SCRAM_MESSAGE_MAX = 2048,	/* of either side */
	SCRAM_BINDING_MAX = 64,
};

/* What is stored of a password. CHECK: what it was made beside, the start of a digest in hex, "" for nothing. */
struct scram_key {
	uint32_t iterations;
	size_t salt_length;
	uint8_t salt[SCRAM_SALT_MAX], stored[SCRAM_KEY_SIZE], server[SCRAM_KEY_SIZE];
	char check[SCRAM_CHECK_LENGTH + 1];
};

/* "ITERATIONS,SALT,STOREDKEY,SERVERKEY[,CHECK]", the three in base64. false: not in this form, or fewer
 * iterations than SCRAM_ITERATIONS_LEAST. */
bool scram_key_parse(const char *text, size_t length, struct scram_key *key);
/* The same as text, NUL-ended. OUT: SCRAM_TEXT_MAX bytes. */
void scram_key_format(const struct scram_key *key, char *out);
/* From a password, prepared by the caller (RFC 5802 2.2), with KEY's iterations and salt. */
void scram_key_make(const char *password, size_t length, struct scram_key *key);

/* One exchange. */
struct scram {
	char flag;			/* of the channel binding: 'n', 'y' or 'p' */
	char name[SCRAM_NAME_MAX + 1], authzid[SCRAM_NAME_MAX + 1];
	char nonce[SCRAM_NONCE_MAX + 1];	/* the client's, then both */
	size_t header_length, message_length;
	char header[2 * SCRAM_NAME_MAX];	/* the client's gs2-header, as it came */
	char message[3 * SCRAM_MESSAGE_MAX];	/* AuthMessage, as far as it is known */
	uint8_t proof[SCRAM_KEY_SIZE];
};

/* client-first-message. false: malformed, a channel binding that is not tls-exporter, or a mandatory extension. */
bool scram_take_first(struct scram *scram, const char *bytes, size_t length);
/* server-first-message with NONCE (NUL-ended, printable, no comma) behind the client's and KEY's salt. OUT:
 * SCRAM_MESSAGE_MAX bytes, NUL-ended. false: too long. */
bool scram_put_first(struct scram *scram, const char *nonce, const struct scram_key *key, char *out);
/* client-final-message. BINDING: what the connection is bound by; it must be repeated after flag 'p'. false:
 * malformed, or another nonce, header or binding. */
bool scram_take_final(struct scram *scram, const char *bytes, size_t length, const void *binding, size_t binding_length);
/* Does the client know the password of KEY? In a time that does not depend on it. */
bool scram_is_proven(const struct scram *scram, const struct scram_key *key);
/* server-final-message, after scram_is_proven. OUT: SCRAM_MESSAGE_MAX bytes, NUL-ended. */
void scram_put_final(const struct scram *scram, const struct scram_key *key, char *out);

#endif
