/* Who may log in: hashes and secrets from secret/, mailboxes from tables/, accounts of the system.
 * Used by login.c and recipient.c.
 *
 * secret/users.cdb    key: folded address; value: the hash, as crypt(3) writes it
 * secret/secrets.cdb  key: folded address; value: lines NAME:SCHEME:VALUE, SCHEME crypt or apop */
#ifndef AUTHD_ACCOUNTS_H
#define AUTHD_ACCOUNTS_H

#include "common/resolve.h"
#include "common/text.h"

enum { ACCOUNT_HASHES_MAX = 16, ACCOUNT_HASH_MAX = 512, PLACE_PATH_SIZE = 4096 };

enum result accounts_open(const struct configuration *conf, struct why *why);

/* The key of what a client gave as its name: folded, with the first domain when it has none.
 * KEY: ADDRESS_MAX + 1 bytes. false: it can't be a name here. */
bool accounts_key(const char *user, char *key);

enum account_source { ACCOUNT_NONE, ACCOUNT_TABLE, ACCOUNT_SYSTEM };

/* Appends the hashes for KEY to HASHES, each with its NUL, and tells where the account comes from;
 * ACCOUNT_NONE: there is none, HASHES gets one that costs as much time. RESULT_RETRY: a table
 * can't be read. */
enum result accounts_hashes(const char *key, stralloc *hashes, enum account_source *source, struct why *why);
/* The APOP secret for KEY, into SECRET (replaced). RESULT_END: none. */
enum result accounts_apop(const char *key, stralloc *secret, struct why *why);
/* Is any APOP secret stored? Looks only when the table's file changed. */
bool accounts_have_apop(void);

struct place {
	uid_t uid;
	gid_t gid;
	char maildir[PLACE_PATH_SIZE];
	char quota[64];
	bool is_mbox;
};
/* The mailbox of KEY. RESULT_END: none; RESULT_RETRY. */
enum result accounts_place(const char *key, enum account_source source, struct place *place, struct why *why);

struct resolver *accounts_resolver(void);

#endif
