/* The SCRAM keys of an address, and what logins are on offer. Used by login_sasl.c, authd.c. */
#ifndef AUTHD_KEYS_H
#define AUTHD_KEYS_H

#include "authd/accounts.h"
#include "authd/scram.h"

enum { KEYS_MAX = ACCOUNT_HASHES_MAX, KEYS_OFFER_MAX = 200 };

/* CONF: for its folder. Reads secret/salt, which salts of names without keys are made of. */
void keys_begin(const struct configuration *conf);

struct keys {
	size_t count;
	struct scram_key items[KEYS_MAX];		/* all with the salt and iterations of the first */
	char names[KEYS_MAX][65];
};
/* The keys of KEY; where it has none, one that nobody can know, with the same salt each time. RESULT_RETRY: a table
 * can't be read. */
enum result keys_find(const char *key, struct keys *keys, struct why *why);

/* What is on offer, for LOGIN_OFFER: the names of mechanisms, separated by blanks (KEYS_OFFER_MAX bytes), and
 * whether APOP is. Looks anew when the tables changed; true when something is other than at the last call. */
bool keys_look(void);
const char *keys_offer(void);
bool keys_offer_apop(void);
/* enum mechanism_bit, as configured or found. */
uint32_t keys_mechanisms(void);

#endif
