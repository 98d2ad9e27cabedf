/* Who may log in: hashes and secrets from secret/, mailboxes from tables/, accounts of the system.
 * Used by login.c and recipient.c.
 *
 * secret/users.cdb    key: folded address; value: the hash, as crypt(3) writes it
 * secret/secrets.cdb  key: folded address; value: lines NAME:SCHEME:VALUE, SCHEME crypt, apop or scram-sha-256 */
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

/* Appends the hashes for KEY to HASHES, NAME NUL HASH NUL each, and tells where the account comes from;
 * ACCOUNT_NONE: there is none, HASHES gets one that costs as much time; ACCOUNT_SYSTEM: the tables have none, the
 * system may: look accounts_system_name up with its hash, then call accounts_take_system. RESULT_RETRY: a table
 * can't be read. */
enum result accounts_hashes(const char *key, stralloc *hashes, enum account_source *source, struct why *why);
/* The part of KEY before the first domain, where accounts of the system live. NAME: ADDRESS_LOCAL_MAX + 1 bytes.
 * false: it can't be one. */
bool accounts_system_name(const char *key, char *name);
/* The APOP secret for KEY, into SECRET (replaced). RESULT_END: none. */
enum result accounts_apop(const char *key, stralloc *secret, struct why *why);
/* The lines NAME:SCHEME:VALUE of KEY's further secrets, valid until the next look-up. RESULT_END: none. */
enum result accounts_secrets(const char *key, size_t key_length, const char **lines, size_t *length, struct why *why);
struct secret_line { const char *name, *value; size_t name_length, value_length; };
/* The next one of SCHEME in [*at, end). false: no more. */
bool accounts_next_secret(const char **at, const char *end, const char *scheme, struct secret_line *found);
/* The hash of KEY in the users table. RESULT_END: none. */
enum result accounts_hash(const char *key, const char **hash, size_t *length, struct why *why);
/* Every address with its hash, with its lines of secrets, until EACH says false. */
void accounts_each_hash(bool (*each)(void *, const char *key, size_t key_length, const char *hash, size_t length), void *context);
void accounts_each_secret(bool (*each)(void *, const char *key, size_t key_length, const char *lines, size_t length), void *context);

struct place {
	uid_t uid;
	gid_t gid;
	char maildir[PLACE_PATH_SIZE];
	char quota[64];
	bool is_mbox;		/* by its name */
};
/* What the look-up of an account of the system came to; ACCOUNT is NULL where there is none. Goes on as accounts_hashes;
 * with ACCOUNT_SYSTEM, PLACE is filled. */
struct lookup_account;
enum result accounts_take_system(const struct lookup_account *account, stralloc *hashes, enum account_source *source,
                                 struct place *place, struct why *why);
/* The mailbox of KEY in the tables. RESULT_END: none; RESULT_RETRY. */
enum result accounts_place(const char *key, struct place *place, struct why *why);

struct resolver *accounts_resolver(void);

#endif
