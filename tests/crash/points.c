/* points [-o ORDER] FOLDER:FOLDER.. COMMAND ARGUMENT..: runs COMMAND with all its descendants under ptrace and stops it at each system call
 * that touches something in the FOLDERs (and, for refusals, at any call of the table below). What is to happen at one of them
 * is told by ORDER and by lines on standard input:
 *
 *   kill N [changes]	when the N-th such call from now on begins, the process that makes it is killed: the call does not happen;
 *			with "changes" only calls count that change the disk
 *   all N [changes]	the same, and every process of COMMAND dies
 *   fail N CALL ERRNO	the N-th CALL from now on, whatever it touches, fails so
 *   count [changes]	nothing is to happen
 *
 * Each answers "seen NUMBER CALL=NUMBER.." first: the calls that counted since the last line, then how often each call of the
 * table was made. When it happens a line says so: "hit CALL WHAT PID".
 * "ended STATUS" when COMMAND has ended; the others are awaited silently. SIGTERM goes on to COMMAND. */
#include <ctype.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#ifndef __x86_64__
#error "points knows the system calls of x86-64 alone"
#endif

/* Where a call has what it touches: a descriptor, a path, a directory's descriptor and a path, two of these; or nothing. */
enum touch { NOTHING, FD, PATH, AT, AT_AT, FD5 };
enum { READS, CHANGES };
static const struct call { int number; const char *name; enum touch touch; int kind; } calls[] = {
	{ SYS_open, "open", PATH, CHANGES }, { SYS_openat, "openat", AT, CHANGES }, { SYS_mkdir, "mkdir", PATH, CHANGES },
	{ SYS_mkdirat, "mkdirat", AT, CHANGES }, { SYS_unlink, "unlink", PATH, CHANGES }, { SYS_unlinkat, "unlinkat", AT, CHANGES },
	{ SYS_rename, "rename", PATH, CHANGES }, { SYS_renameat, "renameat", AT_AT, CHANGES },
	{ SYS_renameat2, "renameat2", AT_AT, CHANGES }, { SYS_linkat, "linkat", AT_AT, CHANGES },
	{ SYS_write, "write", FD, CHANGES }, { SYS_writev, "writev", FD, CHANGES }, { SYS_pwrite64, "pwrite64", FD, CHANGES },
	{ SYS_pwritev, "pwritev", FD, CHANGES }, { SYS_fsync, "fsync", FD, CHANGES }, { SYS_fdatasync, "fdatasync", FD, CHANGES },
	{ SYS_syncfs, "syncfs", FD, CHANGES }, { SYS_sync_file_range, "sync_file_range", FD, CHANGES },
	{ SYS_ftruncate, "ftruncate", FD, CHANGES }, { SYS_fallocate, "fallocate", FD, CHANGES },
	{ SYS_utimensat, "utimensat", AT, CHANGES }, { SYS_fchmod, "fchmod", FD, CHANGES }, { SYS_fchmodat, "fchmodat", AT, CHANGES },
	{ SYS_fchown, "fchown", FD, CHANGES }, { SYS_fchownat, "fchownat", AT, CHANGES }, { SYS_copy_file_range, "copy_file_range", FD, CHANGES },
	{ SYS_read, "read", FD, READS }, { SYS_readv, "readv", FD, READS }, { SYS_pread64, "pread64", FD, READS },
	{ SYS_fstat, "fstat", FD, READS }, { SYS_stat, "stat", PATH, READS }, { SYS_lstat, "lstat", PATH, READS },
	{ SYS_newfstatat, "newfstatat", AT, READS }, { SYS_statx, "statx", AT, READS }, { SYS_access, "access", PATH, READS },
	{ SYS_faccessat, "faccessat", AT, READS }, { SYS_faccessat2, "faccessat2", AT, READS }, { SYS_getdents64, "getdents64", FD, READS },
	{ SYS_lseek, "lseek", FD, READS }, { SYS_flock, "flock", FD, READS }, { SYS_fcntl, "fcntl", FD, READS },
	{ SYS_close, "close", FD, READS }, { SYS_sendfile, "sendfile", FD, READS }, { SYS_statfs, "statfs", PATH, READS },
	{ SYS_fstatfs, "fstatfs", FD, READS }, { SYS_fadvise64, "fadvise64", FD, READS }, { SYS_mmap, "mmap", FD5, READS },
	{ SYS_socket, "socket", NOTHING, READS }, { SYS_socketpair, "socketpair", NOTHING, READS }, { SYS_bind, "bind", NOTHING, READS },
	{ SYS_listen, "listen", NOTHING, READS }, { SYS_accept4, "accept4", NOTHING, READS }, { SYS_connect, "connect", NOTHING, READS },
	{ SYS_sendto, "sendto", NOTHING, READS }, { SYS_recvfrom, "recvfrom", NOTHING, READS }, { SYS_sendmsg, "sendmsg", NOTHING, READS },
	{ SYS_recvmsg, "recvmsg", NOTHING, READS }, { SYS_getsockopt, "getsockopt", NOTHING, READS },
	{ SYS_setsockopt, "setsockopt", NOTHING, READS }, { SYS_getsockname, "getsockname", NOTHING, READS },
	{ SYS_getpeername, "getpeername", NOTHING, READS }, { SYS_shutdown, "shutdown", NOTHING, READS },
	{ SYS_epoll_create1, "epoll_create1", NOTHING, READS }, { SYS_epoll_ctl, "epoll_ctl", NOTHING, READS },
	{ SYS_epoll_wait, "epoll_wait", NOTHING, READS }, { SYS_epoll_pwait, "epoll_pwait", NOTHING, READS },
	{ SYS_poll, "poll", NOTHING, READS }, { SYS_ppoll, "ppoll", NOTHING, READS }, { SYS_pipe2, "pipe2", NOTHING, READS },
	{ SYS_eventfd2, "eventfd2", NOTHING, READS }, { SYS_signalfd4, "signalfd4", NOTHING, READS },
	{ SYS_timerfd_create, "timerfd_create", NOTHING, READS }, { SYS_timerfd_settime, "timerfd_settime", NOTHING, READS },
	{ SYS_clone, "clone", NOTHING, READS }, { SYS_clone3, "clone3", NOTHING, READS }, { SYS_execve, "execve", NOTHING, READS },
	{ SYS_wait4, "wait4", NOTHING, READS }, { SYS_brk, "brk", NOTHING, READS }, { SYS_munmap, "munmap", NOTHING, READS },
	{ SYS_mprotect, "mprotect", NOTHING, READS }, { SYS_getrandom, "getrandom", NOTHING, READS }, { SYS_dup, "dup", NOTHING, READS },
	{ SYS_dup3, "dup3", NOTHING, READS }, { SYS_setsid, "setsid", NOTHING, READS }, { SYS_prctl, "prctl", NOTHING, READS },
	{ SYS_setresuid, "setresuid", NOTHING, READS }, { SYS_setresgid, "setresgid", NOTHING, READS },
	{ SYS_setgroups, "setgroups", NOTHING, READS }, { SYS_prlimit64, "prlimit64", NOTHING, READS },
	{ SYS_chdir, "chdir", PATH, READS }, { SYS_fchdir, "fchdir", FD, READS }, { SYS_umask, "umask", NOTHING, READS },
	{ SYS_kill, "kill", NOTHING, READS }, { SYS_inotify_init1, "inotify_init1", NOTHING, READS },
	{ SYS_inotify_add_watch, "inotify_add_watch", PATH, READS }, { SYS_clock_nanosleep, "clock_nanosleep", NOTHING, READS },
};
enum { CALLS = sizeof calls / sizeof *calls };
static const struct { const char *name; int number; } errors[] = {
	{ "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EDQUOT", EDQUOT }, { "EMFILE", EMFILE }, { "ENFILE", ENFILE }, { "ENOMEM", ENOMEM },
	{ "EINTR", EINTR }, { "EAGAIN", EAGAIN }, { "EROFS", EROFS }, { "ENOBUFS", ENOBUFS }, { "ECONNRESET", ECONNRESET },
	{ "EPIPE", EPIPE }, { "ECONNABORTED", ECONNABORTED }, { "ESTALE", ESTALE },
};

enum act { ACT_NONE, ACT_KILL, ACT_ALL, ACT_FAIL };
static struct plan {
	enum act act;
	long at, seen;
	bool only_changes;
	const struct call *call;	/* of ACT_FAIL */
	int error;
	long made[sizeof calls / sizeof *calls];
} plan = { .at = -1 };
static char *folders[16];
static size_t folder_count;
static pid_t command;
static pid_t tracees[4096];
static size_t tracee_count;

static void die(const char *what)
{
	fprintf(stderr, "points: unable to %s: %s\n", what, strerror(errno));
	exit(EX_OSERR);
}

/* ---- the tracees ---- */

static void add_tracee(pid_t pid)
{
	for (size_t i = 0; i < tracee_count; i++)
		if (tracees[i] == pid)
			return;
	if (tracee_count < sizeof tracees / sizeof *tracees)
		tracees[tracee_count++] = pid;
}

static void drop_tracee(pid_t pid)
{
	for (size_t i = 0; i < tracee_count; i++)
		if (tracees[i] == pid)
			tracees[i] = tracees[--tracee_count];
}

static pid_t process_of(pid_t thread)
{
	char path[64], line[256];
	pid_t process = thread;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", thread);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "Tgid: %d", &process) == 1)
			break;
	if (file)
		fclose(file);
	return process;
}

static void kill_all(void)
{
	for (size_t i = 0; i < tracee_count; i++)
		kill(tracees[i], SIGKILL);
}

/* ---- what a call touches ---- */

static bool is_inside(const char *path)
{
	for (size_t i = 0; i < folder_count; i++) {
		size_t length = strlen(folders[i]);
		if (strncmp(path, folders[i], length) == 0 && (path[length] == '/' || !path[length]))
			return true;
	}
	return false;
}

static bool link_of_fd(pid_t pid, int fd, char *path, size_t size)
{
	char link[64];
	ssize_t length;

	if (fd >= 0)
		snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
	else
		snprintf(link, sizeof link, "/proc/%d/cwd", pid);
	length = readlink(link, path, size - 1);
	if (length < 0)
		return false;
	path[length] = '\0';
	return true;
}

static bool read_path(pid_t pid, uint64_t address, char *path, size_t size)
{
	struct iovec here = { path, size - 1 }, there = { (void *)address, size - 1 };	/* NOLINT: an address of another process */
	ssize_t got;

	if (!address)
		return false;
	there.iov_len = 4096 - address % 4096 < size - 1 ? 4096 - address % 4096 : size - 1;
	got = process_vm_readv(pid, &here, 1, &there, 1, 0);
	if (got > 0 && !memchr(path, '\0', (size_t)got) && (size_t)got < size - 1) {
		here = (struct iovec){ path + got, size - 1 - (size_t)got };
		there = (struct iovec){ (void *)(address + (size_t)got), here.iov_len };	/* NOLINT */
		ssize_t more = process_vm_readv(pid, &here, 1, &there, 1, 0);
		got += more > 0 ? more : 0;
	}
	if (got <= 0)
		return false;
	path[got] = '\0';
	return true;
}

static bool touches_at(pid_t pid, int fd, uint64_t address, char *what, size_t size)
{
	char path[1024], folder[1024];

	if (!read_path(pid, address, path, sizeof path))	/* as futimens has it */
		return link_of_fd(pid, fd, what, size) && is_inside(what);
	if (path[0] == '/')
		snprintf(what, size, "%s", path);
	else if (link_of_fd(pid, fd, folder, sizeof folder))
		snprintf(what, size, "%s%s%s", folder, *path ? "/" : "", path);
	return is_inside(what);
}

static bool touches(const struct call *call, pid_t pid, const uint64_t *arguments, char *what, size_t size)
{
	*what = '\0';
	switch (call->touch) {
	case FD:    return link_of_fd(pid, (int)arguments[0], what, size) && is_inside(what);
	case FD5:   return (int)arguments[4] >= 0 && link_of_fd(pid, (int)arguments[4], what, size) && is_inside(what);
	case PATH:  return read_path(pid, arguments[0], what, size) && is_inside(what);
	case AT:    return touches_at(pid, (int)arguments[0], arguments[1], what, size);
	case AT_AT: return touches_at(pid, (int)arguments[0], arguments[1], what, size) ||
	                   touches_at(pid, (int)arguments[2], arguments[3], what, size);
	default:    return false;
	}
}

/* ---- what happens at a call ---- */

static void fail_call(pid_t pid, int error)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &registers))
		return;
	registers.orig_rax = (unsigned long long)-1;	/* no call */
	registers.rax = (unsigned long long)-error;
	ptrace(PTRACE_SETREGS, pid, NULL, &registers);
}

static bool counts(const struct call *call, pid_t pid, const uint64_t *arguments, char *what, size_t size)
{
	if (plan.act == ACT_FAIL)
		return call == plan.call;
	return !(plan.only_changes && call->kind != CHANGES) && touches(call, pid, arguments, what, size);
}

static void at_call(const struct call *call, pid_t pid, const uint64_t *arguments)
{
	char what[2100] = "";

	plan.made[call - calls]++;
	if (!counts(call, pid, arguments, what, sizeof what) || ++plan.seen != plan.at)
		return;
	if (plan.act == ACT_FAIL)
		touches(call, pid, arguments, what, sizeof what);
	printf("hit %s %s %d\n", call->name, *what ? what : "-", process_of(pid));
	fflush(stdout);
	if (plan.act == ACT_FAIL)
		fail_call(pid, plan.error);
	else if (plan.act == ACT_KILL)
		kill(process_of(pid), SIGKILL);
	else
		kill_all();
	plan.act = ACT_NONE;
	plan.at = -1;
}

static void at_seccomp(pid_t pid)
{
	struct __ptrace_syscall_info info;
	unsigned long index;

	if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &index) || index >= CALLS)
		return;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0)
		at_call(&calls[index], pid, (const uint64_t *)info.seccomp.args);
}

/* ---- orders ---- */

static int error_number(const char *name)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].number;
	return 0;
}

static const struct call *call_named(const char *name)
{
	for (size_t i = 0; i < CALLS; i++)
		if (strcmp(calls[i].name, name) == 0)
			return &calls[i];
	return NULL;
}

static void say_seen(void)
{
	printf("seen %ld", plan.seen);
	for (size_t i = 0; i < CALLS; i++)
		if (plan.made[i])
			printf(" %s=%ld", calls[i].name, plan.made[i]);
	printf("\n");
	memset(plan.made, 0, sizeof plan.made);
}

static void take_order(const char *line)
{
	char verb[16] = "", first[32] = "", second[32] = "";
	long at = -1;

	if (sscanf(line, "count %31s", first) == 1 || strncmp(line, "count", 5) == 0)
		memcpy(verb, "count", sizeof "count");
	else
		sscanf(line, "%15s %ld %31s %31s", verb, &at, first, second);
	say_seen();
	plan.act = ACT_NONE;
	plan.seen = 0;
	plan.at = at;
	plan.only_changes = strcmp(first, "changes") == 0;
	plan.call = call_named(first);
	plan.error = error_number(second);
	if (strcmp(verb, "kill") == 0)
		plan.act = ACT_KILL;
	else if (strcmp(verb, "all") == 0)
		plan.act = ACT_ALL;
	else if (strcmp(verb, "fail") == 0 && plan.call && plan.error)
		plan.act = ACT_FAIL;
	else if (strcmp(verb, "count") != 0)
		printf("unknown %s", line);
	fflush(stdout);
}

/* false: nobody gives orders any more. Who gave them by a pipe and died leaves nothing running. */
static bool take_orders(void)
{
	static char line[256];
	static size_t used;
	ssize_t got = read(STDIN_FILENO, line + used, sizeof line - 1 - used);
	char *end;

	if (got <= 0) {
		struct stat status;
		if (fstat(STDIN_FILENO, &status) == 0 && S_ISFIFO(status.st_mode))
			kill_all();
		return false;
	}
	used += (size_t)got;
	line[used] = '\0';
	while ((end = memchr(line, '\n', used))) {
		*end = '\0';
		take_order(line);
		used -= (size_t)(end + 1 - line);
		memmove(line, end + 1, used + 1);
	}
	return true;
}

/* ---- the run ---- */

/* In the child: each call of the table stops it, its place there is what the tracer is told. */
static void install_filter(void)
{
	static struct sock_filter filter[2 * CALLS + 2];
	struct sock_fprog program = { .filter = filter };
	size_t n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < CALLS; i++) {
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number, 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | (uint32_t)i);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)n;
	if (geteuid() != 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("install the filter");
}

static void start(char **arguments)
{
	enum { OPTIONS = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL };
	int gate[2], null[2];
	char byte;

	if (pipe(gate) || pipe(null))
		die("make a pipe");
	command = fork();
	if (command < 0)
		die("fork");
	if (command == 0) {
		close(gate[1]);
		close(null[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(EX_OSERR);
		close(gate[0]);
		dup2(null[0], STDIN_FILENO);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		close(null[0]);
		install_filter();
		execvp(arguments[0], arguments);
		_exit(EX_UNAVAILABLE);
	}
	if (ptrace(PTRACE_SEIZE, command, NULL, OPTIONS))
		die("trace");
	add_tracee(command);
	if (write(gate[1], "", 1) != 1)
		die("start");
	close(gate[0]);
	close(gate[1]);
	close(null[0]);
	close(null[1]);
}

static void at_stop(pid_t pid, int status)
{
	int signal_number = WSTOPSIG(status), event = status >> 16;

	add_tracee(pid);
	if (event == PTRACE_EVENT_STOP && (signal_number == SIGSTOP || signal_number == SIGTSTP || signal_number == SIGTTIN)) {
		ptrace(PTRACE_LISTEN, pid, NULL, 0);
		return;
	}
	if (event == PTRACE_EVENT_SECCOMP)
		at_seccomp(pid);
	ptrace(PTRACE_CONT, pid, NULL, event ? 0 : signal_number);
}

/* false: all have ended. */
static bool take_stops(int *code)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
		if (WIFSTOPPED(status)) {
			at_stop(pid, status);
			continue;
		}
		drop_tracee(pid);
		if (pid != command)
			continue;
		*code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		printf("ended %d\n", *code);
		fflush(stdout);
	}
	return pid == 0 || errno != ECHILD;
}

static void take_folders(char *list)
{
	char *rest = list, *one;

	while ((one = strsep(&rest, ":")) && folder_count < sizeof folders / sizeof *folders)
		if (*one)
			folders[folder_count++] = one;
}

int main(int argc, char **argv)
{
	struct pollfd waits[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };
	struct signalfd_siginfo signals[16];
	sigset_t set, before;
	int code = 0;

	if (argc > 3 && strcmp(argv[1], "-o") == 0) {
		take_order(argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: points [-o ORDER] FOLDER:FOLDER.. COMMAND ARGUMENT..\n");
		return EX_USAGE;
	}
	take_folders(argv[1]);
	start(argv + 2);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	waits[1].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (waits[1].fd < 0)
		die("wait for signals");
	while (take_stops(&code)) {
		if (poll(waits, 2, 1000) < 0 && errno != EINTR)
			die("wait");
		if (waits[0].revents && !take_orders())
			waits[0].fd = -1;
		if (waits[1].revents) {
			ssize_t got = read(waits[1].fd, signals, sizeof signals);
			for (ssize_t i = 0; i < got / (ssize_t)sizeof *signals; i++)
				if (signals[i].ssi_signo == SIGTERM)
					kill(command, SIGTERM);
		}
	}
	return code;
}
