/* The secrets table as a file that `dawk user` edits: app passwords, SCRAM keys. Lines of others are kept as they are.
 * Used by user.c, app_password.c. dawk-secrets(5). */
#ifndef DAWK_SECRETFILE_H
#define DAWK_SECRETFILE_H

#include "common/address.h"
#include "common/configuration.h"

#define SECRET_OF_PASSWORD "password"	/* the name of the SCRAM key of the password in `users` */

/* A secret called NAME for ADDRESS, in place of all that are called so. HASH: for a line of scheme crypt; NULL:
 * none. PASSWORD (NUL-ended): for a SCRAM key with the salt of the address's others. CHECK: the hash in `users`
 * that the key stands beside; NULL: none. *HAS_KEY: false where the password has characters that SCRAM's clients
 * can't agree on; the rest is written all the same. With MUST_BE_NEW, RESULT_END and nothing changed where the
 * name is taken. */
struct secret_wish {
	const struct address *address;
	const char *name, *password, *hash, *check;
	bool must_be_new;
};
enum result secretfile_put(const struct configuration *conf, const struct secret_wish *wish, bool *has_key, struct why *why);

/* Removes the secrets of ADDRESS that are called NAME, of whatever scheme (NULL: all). *COUNT: lines that went. */
enum result secretfile_drop(const struct configuration *conf, const struct address *address, const char *name,
                            unsigned *count, struct why *why);
/* Calls EACH for every secret of ADDRESS, in order; NAME and SCHEME are NUL-ended. */
enum result secretfile_each(const struct configuration *conf, const struct address *address,
                            void (*each)(const char *name, const char *scheme), struct why *why);

/* letters, digits, dot, hyphen, underscore; 64 at most */
bool secret_name_is_fit(const char *name);

#endif
