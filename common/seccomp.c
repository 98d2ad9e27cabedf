#include "walls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
enum { NATIVE = (int)AUDIT_ARCH_X86_64 };
#elif defined(__aarch64__)
enum { NATIVE = (int)AUDIT_ARCH_AARCH64 };
#else
#error "seccomp.c: give the audit architecture of this machine"
#endif

struct denied { unsigned class; int number; };

/* Each name exists on some machines only. */
static const struct denied denied[] = {
#define DENIED(class, name) { DENY_##class, SYS_##name },
	DENIED(ADMIN, ptrace) DENIED(ADMIN, process_vm_readv) DENIED(ADMIN, process_vm_writev)
	DENIED(ADMIN, mount) DENIED(ADMIN, umount2) DENIED(ADMIN, pivot_root) DENIED(ADMIN, chroot)
	DENIED(ADMIN, swapon) DENIED(ADMIN, swapoff) DENIED(ADMIN, reboot) DENIED(ADMIN, sethostname)
	DENIED(ADMIN, setdomainname) DENIED(ADMIN, init_module) DENIED(ADMIN, finit_module)
	DENIED(ADMIN, delete_module) DENIED(ADMIN, kexec_load) DENIED(ADMIN, bpf)
	DENIED(ADMIN, perf_event_open) DENIED(ADMIN, userfaultfd) DENIED(ADMIN, keyctl) DENIED(ADMIN, add_key)
	DENIED(ADMIN, request_key) DENIED(ADMIN, unshare) DENIED(ADMIN, setns) DENIED(ADMIN, open_by_handle_at)
	DENIED(ADMIN, io_uring_setup) DENIED(ADMIN, io_uring_enter) DENIED(ADMIN, io_uring_register)
	DENIED(ADMIN, pidfd_getfd) DENIED(ADMIN, settimeofday) DENIED(ADMIN, clock_settime)
	DENIED(ADMIN, clock_adjtime) DENIED(ADMIN, adjtimex) DENIED(ADMIN, acct) DENIED(ADMIN, quotactl)
	DENIED(ADMIN, mknodat) DENIED(ADMIN, personality) DENIED(ADMIN, syslog) DENIED(ADMIN, fanotify_init)
	DENIED(ADMIN, move_mount) DENIED(ADMIN, fsopen) DENIED(ADMIN, fsconfig) DENIED(ADMIN, fsmount)
	DENIED(ADMIN, fspick) DENIED(ADMIN, open_tree) DENIED(ADMIN, kcmp) DENIED(ADMIN, vhangup)
	DENIED(ADMIN, migrate_pages) DENIED(ADMIN, move_pages) DENIED(ADMIN, process_madvise)
#ifdef SYS_kexec_file_load
	DENIED(ADMIN, kexec_file_load)
#endif
#ifdef __x86_64__
	DENIED(ADMIN, iopl) DENIED(ADMIN, ioperm) DENIED(ADMIN, mknod) DENIED(ADMIN, modify_ldt)
#endif
	DENIED(IDENTITY, setuid) DENIED(IDENTITY, setgid) DENIED(IDENTITY, setreuid) DENIED(IDENTITY, setregid)
	DENIED(IDENTITY, setresuid) DENIED(IDENTITY, setresgid) DENIED(IDENTITY, setgroups)
	DENIED(IDENTITY, setfsuid) DENIED(IDENTITY, setfsgid) DENIED(IDENTITY, capset)
	DENIED(EXEC, execve) DENIED(EXEC, execveat)
	DENIED(SOCKETS, socket) DENIED(SOCKETS, socketpair) DENIED(SOCKETS, connect) DENIED(SOCKETS, bind)
	DENIED(SOCKETS, listen)
	DENIED(SERVERS, bind) DENIED(SERVERS, listen)
	DENIED(OWNERS, fchmod) DENIED(OWNERS, fchmodat) DENIED(OWNERS, fchown) DENIED(OWNERS, fchownat)
	DENIED(OWNERS, setxattr) DENIED(OWNERS, lsetxattr) DENIED(OWNERS, fsetxattr) DENIED(OWNERS, removexattr)
	DENIED(OWNERS, lremovexattr) DENIED(OWNERS, fremovexattr)
	DENIED(TIMES, utimensat) DENIED(LIST, getdents64)
	DENIED(SIGNALS, kill) DENIED(SIGNALS, tkill) DENIED(SIGNALS, rt_sigqueueinfo)
	DENIED(SIGNALS, rt_tgsigqueueinfo) DENIED(SIGNALS, pidfd_send_signal)
#ifdef __x86_64__
	DENIED(OWNERS, chmod) DENIED(OWNERS, chown) DENIED(OWNERS, lchown)
	DENIED(TIMES, utime) DENIED(TIMES, utimes) DENIED(TIMES, futimesat)
	DENIED(LIST, getdents) DENIED(FORK, fork) DENIED(FORK, vfork)
#endif
	/* newer than the headers of Debian 12, and the same on all machines */
	{ DENY_ADMIN, 442 },	/* mount_setattr */
	{ DENY_ADMIN, 443 },	/* quotactl_fd */
	{ DENY_ADMIN, 467 },	/* open_tree_attr */
	{ DENY_OWNERS, 452 },	/* fchmodat2 */
	{ DENY_OWNERS, 463 },	/* setxattrat */
	{ DENY_OWNERS, 466 },	/* removexattrat */
	{ DENY_OWNERS, 469 },	/* file_setattr */
#undef DENIED
};

enum { DENIED_MAX = sizeof denied / sizeof *denied, SEARCH_RUN = 6, PROGRAM_MAX = 3 * DENIED_MAX + 24 };
_Static_assert(DENIED_MAX <= 200, "a jump over half of the search is a byte");

struct program {
	unsigned short length;
	struct sock_filter code[PROGRAM_MAX];
};

static void add(struct program *p, struct sock_filter instruction)
{
	p->code[p->length++] = instruction;
}

static void add_load(struct program *p, size_t offset)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static void add_return(struct program *p, unsigned action)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void add_refuse(struct program *p, int number, int error)
{
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1));
	add_return(p, SECCOMP_RET_ERRNO | (unsigned)error);
}

/* Unix sockets alone. The family is an argument, over which the call's number is loaded again. */
static void add_network(struct program *p)
{
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4));
	add_load(p, offsetof(struct seccomp_data, args[0]));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0));
	add_return(p, SECCOMP_RET_ERRNO | EPERM);
	add_load(p, offsetof(struct seccomp_data, nr));
}

/* clone3's flags lie in memory that a filter can't see: ENOSYS makes the C library use clone, whose
 * flags are an argument. */
static void add_fork(struct program *p)
{
	add_refuse(p, SYS_clone3, ENOSYS);
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
	add_load(p, offsetof(struct seccomp_data, args[0]));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
	add_return(p, SECCOMP_RET_ERRNO | EPERM);
	add_load(p, offsetof(struct seccomp_data, nr));
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static size_t collect(unsigned classes, int numbers[DENIED_MAX])
{
	size_t i, count = 0;

	for (i = 0; i < DENIED_MAX; i++)
		if (classes & denied[i].class)
			numbers[count++] = denied[i].number;
	qsort(numbers, count, sizeof *numbers, by_number);
	return count;
}

/* Allows what is not among NUMBERS, which ascend. Halves them until few are left: when a filter is entered the kernel
 * tries all numbers of calls, which took half of a session's start while each was compared with all of these. */
static void add_search(struct program *p, const int *numbers, size_t count)
{
	size_t i, half = count / 2;
	unsigned short at;

	if (count <= SEARCH_RUN) {
		for (i = 0; i < count; i++)	/* to the second of the returns */
			add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], (unsigned char)(count - i), 0));
		add_return(p, SECCOMP_RET_ALLOW);
		add_return(p, SECCOMP_RET_ERRNO | EPERM);
		return;
	}
	at = p->length;
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)numbers[half], 0, 0));
	add_search(p, numbers, half);
	p->code[at].jt = (unsigned char)(p->length - at - 1);
	add_search(p, numbers + half, count - half);
}

struct sock_fprog seccomp_program(unsigned classes)
{
	static struct program p;
	int numbers[DENIED_MAX];

	p.length = 0;
	add_load(&p, offsetof(struct seccomp_data, arch));
	add(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)NATIVE, 1, 0));
	add_return(&p, SECCOMP_RET_KILL_PROCESS);
	add_load(&p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	/* the x32 variants of all calls; and -1, which a tracer sets that makes a call fail */
	add(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
	add_return(&p, SECCOMP_RET_ERRNO | ENOSYS);
#endif
	if (classes & DENY_NETWORK)
		add_network(&p);
	if (classes & DENY_FORK)
		add_fork(&p);
	add_search(&p, numbers, collect(classes, numbers));
	return (struct sock_fprog){ p.length, p.code };
}

enum result seccomp_enter(unsigned classes, struct why *why)
{
	struct sock_fprog filter = seccomp_program(classes);

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return why_errno(why, RESULT_STOP, "unable to enter the seccomp filter");
	return RESULT_OK;
}
