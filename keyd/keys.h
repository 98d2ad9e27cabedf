/* The private keys that keyd holds, and their one use. No function gives a key away. Used by keyd.c. */
#ifndef KEYD_KEYS_H
#define KEYD_KEYS_H

#include "common/result.h"
#include "common/wire.h"
#include <stdint.h>

enum {
	KEYS_FILE_MAX = 65536,		/* bytes of a PEM file */
	KEYS_MAX = 10000,
	KEYS_SIGNATURE_MAX = 2048,	/* RSA of 16384 bits */
	KEYS_RSA_BITS_LEAST = 2048,	/* TLS */
	KEYS_RSA_BITS_LEAST_DKIM = 1024,	/* RFC 8301 3.2 */
};

struct key_facts {
	unsigned char id[WIRE_KEY_ID_MAX];	/* SHA-256 of the public key (SPKI) */
	enum key_type type;
	const char *type_name;
	unsigned bits;
};

/* Reads one key, PEM, from the file FD (any offset; FD stays open) and keeps it for PURPOSE in the
 * set GENERATION. One that is there already just joins the set. RESULT_OK: FACTS is set.
 * RESULT_NEVER: not a key that is used here, or one with another purpose. RESULT_RETRY: memory, I/O. */
enum result keys_load(int fd, enum key_purpose purpose, uint64_t generation, struct key_facts *facts, struct why *why);

/* Before the keys of the set GENERATION are loaded: forgets every key that belongs neither to it nor to the set IN_FORCE, whatever
 * sets were tried since that one. */
void keys_keep(uint64_t generation, uint64_t in_force);

struct key_signature { size_t length; unsigned char bytes[KEYS_SIGNATURE_MAX]; };

/* Signs LENGTH bytes at DATA (a hash, see enum sign_algorithm) with the key of the ID_LENGTH bytes at ID.
 * WHY is set unless SIGN_OK. */
enum sign_verdict keys_sign(const void *id, size_t id_length, enum key_purpose purpose, uint64_t algorithm,
                            const void *data, size_t length, struct key_signature *signature, struct why *why);

#endif
