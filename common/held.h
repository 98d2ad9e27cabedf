/* Accounts whose mail is held: a file each in queue/held, whose name is the account's address. Its being there is what
 * counts; what it holds is for people: since when, by whom, why. Made by the workers of smtpd (the circuit
 * breaker) and by `dawk user hold`, removed by `dawk user release`.
 *
 * If everything stops here: a process that stops in between leaves a file or none, an account is held, or not. A power cut before
 * the folder's fsync may leave the account as it was, and nobody was told otherwise yet: the admin's command has not answered,
 * the breaker has logged nothing and written to nobody (smtpd/hold.h). After it, held is held and released is released.
 *
 * The folder belongs to dawks, so that what stands in it is read as a stranger's. */
#ifndef COMMON_HELD_H
#define COMMON_HELD_H

#include "address.h"
#include "configuration.h"

enum { HELD_NAME_MAX = 250, HELD_REASON_MAX = 400 };

struct held {
	char address[ADDRESS_MAX + 1];
	char by[64];			/* "smtpd", or the admin's account */
	char reason[HELD_REASON_MAX + 1];
	uint64_t since_us;		/* 0: not known */
};

/* The folder, made where it is missing, for OWNER (uid -1: leave), and its own name durable. *FD: for the calls below.
 * held_open: for readers that may not make it. RESULT_END: there is none, nobody is held. */
enum result held_make(const struct configuration *conf, uid_t owner, gid_t group, int *fd, struct why *why);
enum result held_open(const struct configuration *conf, int *fd, struct why *why);

/* ADDRESS: folded. RESULT_OK: held; RESULT_END: not; RESULT_RETRY: the folder can't be asked. One system call. */
enum result held_look(int fd, const char *address, struct why *why);
/* Both wait for the disk. RESULT_OK: it is durable. RESULT_END: it was held before, which is durable, and nothing was changed.
 * RESULT_RETRY: what was refused WHY says; held_look says whether it is held for the moment. */
enum result held_add(int fd, const struct held *held, struct why *why);
/* RESULT_END: it was not held, which is durable. */
enum result held_remove(int fd, const char *address, struct why *why);
/* What stands in the file of ADDRESS. RESULT_END: not held. */
enum result held_read(int fd, const char *address, struct held *held, struct why *why);
/* EACH gets every held account, in no order, until it returns false. FD is read from its start. */
enum result held_walk(int fd, bool (*each)(void *context, const struct held *held), void *context, struct why *why);

/* The file's name for ADDRESS: letters, digits and "@.+-=_" as they are, other bytes as %XX; a name that would be longer than
 * HELD_NAME_MAX ends in a hash. NAME: HELD_NAME_MAX + 1 bytes. Pure. */
void held_name(const char *address, char *name);

#endif
