/* Passwords of mailboxes: asking for one, hashing it, judging hashes. Used by user.c, update_users.c, check_hashes.c. */
#ifndef DAWK_PASSWORD_H
#define DAWK_PASSWORD_H

#include "common/result.h"
#include <stddef.h>

enum { PASSWORD_MAX = 1000, PASSWORD_HASH_MAX = 384, PASSWORD_MADE_MAX = 32 };

/* From a terminal: asked for twice, without echo, which is on again however this ends; else one line of standard input. OUT holds
 * PASSWORD_MAX + 1 bytes and is NUL-ended. RESULT_NEVER: empty, too long, a NUL, or two that differ. */
enum result password_read(const char *address, char *out, struct why *why);
/* yescrypt. OUT holds PASSWORD_HASH_MAX bytes. */
enum result password_hash(const char *password, char *out, struct why *why);
/* A new password that nobody guesses, to be typed into a program once, and its hash, which is a fast one: 100 random
 * bits need no slow one, and each is tried at every login. OUT: PASSWORD_MADE_MAX, HASH: PASSWORD_HASH_MAX bytes. */
enum result password_make(char *out, char *hash, struct why *why);

/* NONE: empty, or '*' or '!' in front, so that nobody logs in by it. WEAK: of a method that authd refuses (DES, $1$).
 * WRONG: no hash of crypt(3). */
enum hash_worth { HASH_GOOD, HASH_NONE, HASH_WEAK, HASH_WRONG };
enum hash_worth password_judge_hash(const char *hash, size_t length);

#endif
