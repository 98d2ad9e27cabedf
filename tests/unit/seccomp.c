/* The program of a filter, run by hand as seccomp(2) has it, over all numbers of calls. */
#include "common/walls.h"
#include "unit.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { CLASSES = 11, CALLS = 600, STEPS_MAX = 24 };

static unsigned native;		/* the architecture that the program asks for */
static size_t most_steps;

static unsigned value_at(const struct seccomp_data *data, unsigned offset)
{
	unsigned value;

	memcpy(&value, (const char *)data + offset, sizeof value);
	return value;
}

static bool is_true(unsigned code, unsigned a, unsigned k)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == k;
	case BPF_JGE:
		return a >= k;
	case BPF_JSET:
		return a & k;
	default:
		abort();
	}
}

/* What the kernel does with the call: SECCOMP_RET_. */
static unsigned judge(const struct sock_fprog *p, const struct seccomp_data *data)
{
	unsigned a = 0;
	size_t at, steps = 1;

	for (at = 0; at < p->len; at++, steps++) {
		const struct sock_filter *in = &p->filter[at];

		if (steps > most_steps)
			most_steps = steps;
		if (BPF_CLASS(in->code) == BPF_RET)
			return in->k;
		if (BPF_CLASS(in->code) == BPF_LD)
			a = value_at(data, in->k);
		else
			at += is_true(in->code, a, in->k) ? in->jt : in->jf;
	}
	abort();	/* it runs out of the program */
}

static unsigned judge_call(unsigned classes, unsigned number, unsigned long argument)
{
	const struct sock_fprog p = seccomp_program(classes);
	const struct seccomp_data data = { .nr = (int)number, .arch = native, .args = { argument } };

	return judge(&p, &data);
}

static bool is_refused(unsigned classes, int number)
{
	return judge_call(classes, (unsigned)number, 0) == (SECCOMP_RET_ERRNO | EPERM);
}

static void each_class_refuses_its_calls(void)
{
	static const struct { unsigned class; int first, last; } rows[] = {
		{ DENY_ADMIN, SYS_ptrace, 467 }, { DENY_ADMIN, SYS_io_uring_setup, SYS_unshare }, { DENY_IDENTITY, SYS_setuid, SYS_capset },
		{ DENY_EXEC, SYS_execve, SYS_execveat }, { DENY_SOCKETS, SYS_socket, SYS_listen }, { DENY_SERVERS, SYS_bind, SYS_listen },
		{ DENY_OWNERS, SYS_fchmod, 452 }, { DENY_OWNERS, SYS_setxattr, SYS_fremovexattr }, { DENY_TIMES, SYS_utimensat, SYS_utimensat },
		{ DENY_LIST, SYS_getdents64, SYS_getdents64 }, { DENY_SIGNALS, SYS_kill, SYS_pidfd_send_signal },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CHECK(is_refused(rows[i].class, rows[i].first));
		CHECK(is_refused(rows[i].class, rows[i].last));
		CHECK(!is_refused(0, rows[i].first) && !is_refused(0, rows[i].last));
	}
	for (int number = 0; number < 3; number++)	/* on x86-64 read, write, open */
		CHECK(judge_call(~0U, (unsigned)SYS_read + (unsigned)number, 0) == SECCOMP_RET_ALLOW);
	CHECK(judge_call(~0U, SYS_exit_group, 0) == SECCOMP_RET_ALLOW && judge_call(~0U, CALLS, 0) == SECCOMP_RET_ALLOW);
}

/* Whatever the search makes of them: what some classes refuse together is what each of them refuses. */
static void classes_add_up(void)
{
	static bool refused[CLASSES][CALLS];
	size_t wrong = 0;

	for (unsigned i = 0; i < CLASSES; i++)
		for (unsigned number = 0; number < CALLS; number++)
			refused[i][number] = judge_call(1U << i, number, 0) != SECCOMP_RET_ALLOW;
	for (unsigned classes = 0; classes < 1U << CLASSES; classes++) {
		const struct sock_fprog p = seccomp_program(classes);

		for (unsigned number = 0; number < CALLS; number++) {
			const struct seccomp_data data = { .nr = (int)number, .arch = native };
			bool is_wanted = false;

			for (unsigned i = 0; i < CLASSES; i++)
				is_wanted |= (classes & 1U << i) && refused[i][number];
			wrong += (judge(&p, &data) != SECCOMP_RET_ALLOW) != is_wanted;
		}
	}
	CHECK(wrong == 0);
	printf("# %zu steps at most\n", most_steps);
	CHECK(most_steps <= STEPS_MAX);
}

static void arguments_decide_where_they_must(void)
{
	CHECK(judge_call(DENY_NETWORK, SYS_socket, AF_UNIX) == SECCOMP_RET_ALLOW);
	CHECK(judge_call(DENY_NETWORK, SYS_socket, AF_INET) == (SECCOMP_RET_ERRNO | EPERM));
	CHECK(judge_call(DENY_NETWORK | DENY_SERVERS, SYS_bind, 0) == (SECCOMP_RET_ERRNO | EPERM));
	CHECK(judge_call(DENY_NETWORK | DENY_FORK, SYS_socket, AF_INET) == (SECCOMP_RET_ERRNO | EPERM));
	CHECK(judge_call(DENY_FORK, SYS_clone, CLONE_THREAD | CLONE_VM) == SECCOMP_RET_ALLOW);
	CHECK(judge_call(DENY_FORK, SYS_clone, 0) == (SECCOMP_RET_ERRNO | EPERM));
	CHECK(judge_call(DENY_FORK, SYS_clone3, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
	CHECK(judge_call(DENY_FORK | DENY_EXEC, SYS_execve, 0) == (SECCOMP_RET_ERRNO | EPERM));
}

static void foreign_calls_end_or_fail(void)
{
	const struct sock_fprog p = seccomp_program(DENY_EXEC);
	const struct seccomp_data foreign = { .nr = SYS_read, .arch = native ^ 1 };

	CHECK(judge(&p, &foreign) == SECCOMP_RET_KILL_PROCESS);
#ifdef __x86_64__
	CHECK(judge_call(DENY_EXEC, 0x40000000U | SYS_execve, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
	CHECK(judge_call(DENY_EXEC, 0x40000000U | SYS_read, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
	CHECK(judge_call(DENY_EXEC, ~0U, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
#endif
}

int main(void)
{
	native = seccomp_program(0).filter[1].k;
	UNIT_RUN(each_class_refuses_its_calls);
	UNIT_RUN(classes_add_up);
	UNIT_RUN(arguments_decide_where_they_must);
	UNIT_RUN(foreign_calls_end_or_fail);
	return unit_end();
}
