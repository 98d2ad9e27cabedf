/* SCRAM-SHA-256 as a client: RFC 5802, RFC 7677. Pure functions of bytes; all texts as they go over the wire before
 * base64. */
#ifndef REMOTED_SCRAM_H
#define REMOTED_SCRAM_H

#include "common/result.h"
#include <stdbool.h>
#include <stddef.h>

enum {
	SCRAM_NONCE_MAX = 64, SCRAM_MESSAGE_MAX = 1024,
	SCRAM_ROUNDS_MAX = 100000,	/* more would keep other connections waiting */
};

struct scram {
	char nonce[SCRAM_NONCE_MAX + 1];
	char first_bare[SCRAM_MESSAGE_MAX];
	unsigned char server_signature[32];
	bool has_signature;
};

/* The client's first message for USER, NUL-ended, into OUT. false: it does not fit. */
bool scram_first(struct scram *scram, const char *user, const char *nonce, char out[SCRAM_MESSAGE_MAX]);
/* The final one, from the SERVER_FIRST of LENGTH bytes. RESULT_PEER: what it says is no answer to ours, WHY. */
enum result scram_final(struct scram *scram, const char *server_first, size_t length, const char *password,
                        char out[SCRAM_MESSAGE_MAX], struct why *why);
/* Does the server know the password too? RESULT_OK; RESULT_PEER, WHY. */
enum result scram_judge(const struct scram *scram, const char *server_final, size_t length, struct why *why);

#endif
