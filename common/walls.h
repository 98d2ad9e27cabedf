/* The kernel's walls: Landlock by its raw calls, seccomp as a deny list by classes. Used by
 * sandbox.c alone. */
#ifndef COMMON_WALLS_H
#define COMMON_WALLS_H

#include "sandbox.h"

#include <linux/filter.h>

/* Classes of system calls that a role has no use for; denied ones fail with EPERM. */
enum {
	DENY_ADMIN = 1,		/* ptrace, mounts, modules, bpf, keys, io_uring, namespaces, clock, devices */
	DENY_IDENTITY = 2,	/* setuid and its kin, capset */
	DENY_EXEC = 4,
	DENY_FORK = 8,		/* new processes; threads are let through */
	DENY_SOCKETS = 16,	/* socket, socketpair, connect, bind, listen */
	DENY_OWNERS = 32,	/* chmod, chown, extended attributes */
	DENY_TIMES = 64,	/* utimensat and its kin */
	DENY_LIST = 128,	/* getdents */
	DENY_NETWORK = 256,	/* socket of any family but Unix */
	DENY_SIGNALS = 512,	/* kill and its kin; tgkill, which abort(3) needs, is let through */
	DENY_SERVERS = 1024,	/* bind, listen */
};

/* RESULT_OK, also when the kernel has no Landlock 2 (*IS_ON tells); RESULT_STOP with WHY.
 * MAY_CONNECT: TCP stays allowed. Paths that do not exist are skipped. */
enum result landlock_enter(const struct sandbox_path *paths, size_t path_count, bool may_connect,
                           bool *is_on, struct why *why);

/* What seccomp_enter enters, until the next call: see seccomp(2). */
struct sock_fprog seccomp_program(unsigned classes);

/* CLASSES: DENY_ bits. no_new_privs must be set. */
enum result seccomp_enter(unsigned classes, struct why *why);

#endif
