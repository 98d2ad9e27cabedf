/* Enters the walls of a role as its process would, then tries what a process that was taken over would
 * try: captive ROLE ACCOUNT MAILBOX HOME [PATH..]; prints the kernel's version of Landlock, then a line
 * per attempt: NAME allowed, or NAME refused. ACCOUNT is for the roles of a mailbox, PATHs are what the
 * role may read and, where it may at all, write. */
#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATHS_MAX = 8 };

static const char *mailbox, *home;
static int folder, file, tcp_socket, unix_socket;
static pid_t outsider;
static int outsider_fd;
static struct sockaddr_in tcp = { .sin_family = AF_INET };

/* Each: 0 or more: it worked. */
static int try_shadow(void)  { return open("/etc/shadow", O_RDONLY | O_CLOEXEC); }
static int try_mailbox(void) { return open(mailbox, O_RDONLY | O_CLOEXEC); }
static int try_passwd(void)  { return open("/etc/passwd", O_RDONLY | O_CLOEXEC); }
static int try_write(void)   { return open(mailbox, O_WRONLY | O_CLOEXEC); }

static int try_make(void)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/captive-was-here", home);
	return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int try_exec(void)
{
	static char *const words[] = { NULL };

	execve("/no/such/program", words, words);
	return errno == ENOENT ? 0 : -1;
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid(pid, NULL, 0);
}

static void *nothing(void *context)
{
	return context;
}

static int try_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) ? -1 : pthread_join(thread, NULL);
}

static int try_inet(void)       { return socket(AF_INET, SOCK_DGRAM, 0); }
static int try_inet6(void)      { return socket(AF_INET6, SOCK_STREAM, 0); }
static int try_netlink(void)    { return socket(AF_NETLINK, SOCK_RAW, 0); }
static int try_unix(void)       { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int try_pair(void)       { int ends[2]; return socketpair(AF_UNIX, SOCK_STREAM, 0, ends); }
static int try_connect(void)    { return connect(tcp_socket, (struct sockaddr *)&tcp, sizeof tcp); }
static int try_setuid(void)     { return setresuid(0, 0, 0); }
static int try_setgid(void)     { return setresgid(0, 0, 0); }
static int try_ptrace(void)     { return (int)ptrace(PTRACE_ATTACH, outsider, NULL, NULL); }
static int try_kill(void)       { return kill(outsider, 0); }
static int try_chmod(void)      { return fchmod(file, 0600); }
static int try_chown(void)      { return fchown(file, geteuid(), getegid()); }
static int try_utime(void)      { return futimens(file, NULL); }
static int try_unshare(void)    { return unshare(CLONE_NEWUSER); }
static int try_mount(void)      { return (int)syscall(SYS_mount, "none", "/", "none", 0x44000, NULL); }
static int try_io_uring(void)   { char parameters[120] = { 0 }; return (int)syscall(SYS_io_uring_setup, 1, parameters); }
static int try_keys(void)       { return (int)syscall(SYS_keyctl, 0, -3, 0); }
static int try_handle(void)     { return (int)syscall(SYS_open_by_handle_at, -1, NULL, 0) < 0 && errno != EPERM ? 0 : -1; }

/* Another process's memory and descriptors, by all ways there are: the outsider has the same uid. */
static int try_memory(void)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/mem", (int)outsider);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int try_peek(void)
{
	char byte;
	struct iovec ours = { &byte, 1 }, theirs = { &mailbox, 1 };

	return (int)process_vm_readv(outsider, &ours, 1, &theirs, 1, 0);
}

static int try_take_descriptor(void)
{
	return (int)syscall(SYS_pidfd_getfd, outsider_fd, 0, 0);
}

static int try_signal_descriptor(void)
{
	return (int)syscall(SYS_pidfd_send_signal, outsider_fd, 0, NULL, 0);
}

static int try_queue_signal(void)
{
	siginfo_t information = { .si_code = SI_QUEUE };

	return (int)syscall(SYS_rt_sigqueueinfo, outsider, 0, &information);
}

/* The queue, the secrets, the keys and the control socket of the instance beside HOME. */
static int try_beside(const char *name, int flags)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/../%s", home, name);
	return open(path, flags | O_CLOEXEC, 0600);
}
static int try_queue_read(void)  { return try_beside("queue/cur/message", O_RDONLY); }
static int try_queue_write(void) { return try_beside("queue/new/message", O_WRONLY | O_CREAT); }
static int try_secrets(void)     { return try_beside("etc/secret/users.cdb", O_RDONLY); }
static int try_keys_file(void)   { return try_beside("etc/keys/key.pem", O_RDONLY); }

static int try_bind(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0captive" };

	return bind(unix_socket, (struct sockaddr *)&name, sizeof name);
}

static int try_list(void)
{
	char entries[4096];

	return (int)syscall(SYS_getdents64, folder, entries, sizeof entries);
}

static int try_setxattrat(void)
{
	/* without arguments it fails in any case; EPERM is the filter's */
	return (int)syscall(463, -1, NULL, 0, NULL, NULL, 0) < 0 && errno != EPERM ? 0 : -1;
}

static int try_core(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_CORE, &limit) || !limit.rlim_cur ? -1 : 0;
}

/* Is there any? */
static int try_capability(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, sets))
		return 0;
	return sets[0].permitted | sets[1].permitted | sets[0].inheritable | sets[1].inheritable ? 0 : -1;
}

static const struct { const char *name; int (*run)(void); } attempts[] = {
	{ "read-shadow", try_shadow }, { "read-passwd", try_passwd }, { "read-mailbox", try_mailbox },
	{ "write-mailbox", try_write }, { "make-file", try_make }, { "list", try_list },
	{ "chmod", try_chmod }, { "chown", try_chown }, { "xattr", try_setxattrat }, { "utime", try_utime },
	{ "exec", try_exec }, { "fork", try_fork }, { "thread", try_thread }, { "kill", try_kill }, { "ptrace", try_ptrace },
	{ "socket-inet", try_inet }, { "socket-inet6", try_inet6 }, { "socket-netlink", try_netlink },
	{ "socket-unix", try_unix }, { "socketpair", try_pair }, { "connect", try_connect }, { "bind", try_bind },
	{ "setuid", try_setuid }, { "setgid", try_setgid }, { "unshare", try_unshare }, { "mount", try_mount },
	{ "io_uring", try_io_uring }, { "keys", try_keys }, { "handle", try_handle }, { "core", try_core },
	{ "capability", try_capability },
	{ "memory", try_memory }, { "peek", try_peek }, { "take-descriptor", try_take_descriptor },
	{ "signal-descriptor", try_signal_descriptor }, { "queue-signal", try_queue_signal },
	{ "read-queue", try_queue_read }, { "write-queue", try_queue_write }, { "read-secrets", try_secrets }, { "read-keys", try_keys_file },
};

/* What a process may hold from before: a folder, a file of the mailbox, sockets, somebody else's pid. */
static void prepare(void)
{
	socklen_t length = sizeof tcp;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(listener, (struct sockaddr *)&tcp, sizeof tcp);
	listen(listener, 1);
	getsockname(listener, (struct sockaddr *)&tcp, &length);
	tcp_socket = socket(AF_INET, SOCK_STREAM, 0);
	unix_socket = socket(AF_UNIX, SOCK_STREAM, 0);
	folder = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file = open(mailbox, O_RDWR | O_CLOEXEC);
	if (folder < 0 || file < 0 || listener < 0) {
		perror("captive");
		exit(2);
	}
}

/* A process of the same uid, outside the walls. It ends with this one: its pipe is closed then. */
static void start_outsider(const struct identity *identity)
{
	int ends[2];
	char byte;

	if (pipe(ends))
		exit(2);
	outsider = fork();
	if (outsider) {
		outsider_fd = (int)syscall(SYS_pidfd_open, outsider, 0);
		return;
	}
	close(ends[1]);
	if (geteuid() == 0 && (setresgid(identity->gid, identity->gid, identity->gid) ||
	                       setresuid(identity->uid, identity->uid, identity->uid)))
		_exit(2);
	_exit(read(ends[0], &byte, 1) != 0);
}

static enum role role_of(const char *name)
{
	static const char *const names[ROLES_END] = {
		[ROLE_SMTPD_WORKER] = "smtpd", [ROLE_SCHEDULER] = "queued", [ROLE_DELIVERER] = "deliverer",
		[ROLE_POP3_WORKER] = "pop3d", [ROLE_POP3_SESSION] = "pop3-session", [ROLE_AUTHD] = "authd",
		[ROLE_CHECKER] = "checker", [ROLE_REMOTED] = "remoted", [ROLE_DNSD] = "dnsd", [ROLE_KEYD] = "keyd", [ROLE_STSD] = "stsd",
		[ROLE_PROGRAM] = "program", [ROLE_NAMES] = "names", [ROLE_SHADOW_NAMES] = "authd:names",
		[ROLE_QUOTA] = "authd:quota", [ROLE_FOLDERS] = "folders",
	};

	for (int i = 0; i < ROLES_END; i++)
		if (names[i] && !strcmp(names[i], name))
			return (enum role)i;
	fprintf(stderr, "captive: no role %s\n", name);
	exit(2);
}

static void fill_identity(enum role role, const char *account, struct identity *identity)
{
	struct why why = { 0 };
	bool is_mailbox = role == ROLE_DELIVERER || role == ROLE_POP3_SESSION || role == ROLE_PROGRAM || role == ROLE_QUOTA;
	const struct passwd *entry = is_mailbox && geteuid() == 0 ? getpwnam(account) : NULL;

	if (sandbox_identity(role, identity, &why) != RESULT_OK) {
		fprintf(stderr, "captive: %s\n", why.text);
		exit(2);
	}
	if (entry)
		*identity = (struct identity){ .uid = entry->pw_uid, .gid = entry->pw_gid };
}

/* As its process asks for it. */
static int rights_of(enum role role)
{
	switch (role) {
	case ROLE_QUOTA:
		return ALLOW_READ;
	case ROLE_AUTHD:
	case ROLE_NAMES:
	case ROLE_SHADOW_NAMES:
		return ALLOW_READ | ALLOW_LIST;
	case ROLE_FOLDERS:
		return ALLOW_READ | ALLOW_LIST | ALLOW_MAKE | ALLOW_REMOVE;
	default:
		return ALLOW_READ | ALLOW_LIST | ALLOW_WRITE | ALLOW_MAKE | ALLOW_REMOVE;
	}
}

int main(int argc, char **argv)
{
	struct sandbox_path paths[PATHS_MAX];
	struct identity identity;
	struct why why = { 0 };
	size_t count = 0;

	if (argc < 5)
		return 2;
	enum role role = role_of(argv[1]);
	mailbox = argv[3];
	home = argv[4];
	for (int i = 5; i < argc && count < PATHS_MAX; i++)
		paths[count++] = (struct sandbox_path){ argv[i], rights_of(role) };
	fill_identity(role, argv[2], &identity);
	prepare();
	start_outsider(&identity);
	if (sandbox_enter(role, &identity, paths, count, &why) != RESULT_OK) {
		fprintf(stderr, "captive: %s\n", why.text);
		return 2;
	}
	printf("landlock %ld\n", syscall(SYS_landlock_create_ruleset, NULL, 0, 1));
	for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
		printf("%s %s\n", attempts[i].name, attempts[i].run() < 0 ? "refused" : "allowed");
	return fflush(stdout) != 0;
}
