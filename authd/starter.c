#include "authd/starter.h"
#include "authd/room.h"
#include "authd/session.h"
#include "common/channel.h"
#include "common/log.h"
#include "common/lookup.h"
#include "common/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { REAP_MS = 1000, LOW_FD = 3, SLOW_MS = 10 * 1000 };

static struct {
	const struct configuration *conf;
	char ours[PATH_MAX];	/* authd itself */
	uid_t uid;		/* of dawkx; 0: there is none */
	gid_t gid;
	struct child {
		pid_t pid;
		bool is_killed;
		uint64_t mailbox;	/* of a session; 0: of none, then the rest counts for nothing */
		bool *is_open;		/* its mailbox, as it says itself: in memory that it shares with the starter alone */
		uint64_t began_ms;
		char session[33];
	} children[SESSIONS_MAX];
	unsigned count;
} starter;

static void child_forget(struct child *child)
{
	if (child->mailbox)
		munmap(child->is_open, sizeof(bool));
	*child = starter.children[--starter.count];
}

static void reap(void)
{
	pid_t pid;

	while (starter.count && (pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (unsigned i = 0; i < starter.count; i++)
			if (starter.children[i].pid == pid)
				child_forget(&starter.children[i]);
}

static void end_session(struct child *child, uint64_t milliseconds)
{
	struct log_line line;

	child->is_killed = true;
	kill(child->pid, SIGKILL);
	log_start(&line, "session-gave-way");
	log_text(&line, "session", child->session);
	log_seconds(&line, "seconds", milliseconds);
	log_end(&line);
	log_flush();
}

/* The session that has waited longest for its mailbox to open gives way, where few places are left: a file server that is away
 * would take them all. */
static void make_room(void)
{
	uint64_t now = time_monotonic_ms();
	struct child *oldest = NULL;

	if (starter.count < SESSIONS_MAX - SESSIONS_SPARE)
		return;
	for (struct child *child = starter.children; child < starter.children + starter.count; child++)
		if (child->mailbox && !child->is_killed && !*child->is_open && (!oldest || child->began_ms < oldest->began_ms))
			oldest = child;
	if (oldest && now - oldest->began_ms >= SLOW_MS)
		end_session(oldest, now - oldest->began_ms);
}

/* Whose session of which maildir it is, since one of another uid's ends soon; 0: it is none. */
static uint64_t mailbox_of(const struct frame *f)
{
	const struct wire_value *maildir = &f->value[SESSION_START_MAILDIR];
	uint64_t hash = 14695981039346656037u;

	if (f->type != FRAME_SESSION_START)
		return 0;
	hash ^= f->value[SESSION_START_UID].number;
	for (size_t i = 0; i < maildir->length; i++)
		hash = (hash ^ (unsigned char)maildir->bytes[i]) * 1099511628211u;
	return hash | 1;
}

static unsigned sessions_of(uint64_t mailbox)
{
	unsigned count = 0;

	for (unsigned i = 0; i < starter.count; i++)
		count += starter.children[i].mailbox == mailbox;
	return count;
}

/* In a child: standard error and FD (as descriptor 3) are all that is left. */
static int keep_only(int fd)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd != LOW_FD && dup2(fd, LOW_FD) < 0)
		_exit(EX_OSERR);
	close_range(LOW_FD + 1, ~0U, 0);
	return LOW_FD;
}

static int run_session(const struct frame *f, int fd, bool *is_open)
{
	static char maildir[WIRE_PATH_LENGTH_MAX + 1], quota[65], user[WIRE_ADDRESS_MAX + 1], session[33], client[65];
	const struct session_start start = {
		.fd = fd,
		.is_open = is_open,
		.uid = (uid_t)f->value[SESSION_START_UID].number,
		.gid = (gid_t)f->value[SESSION_START_GID].number,
		.maildir = maildir, .quota = quota, .user = user, .session = session, .client = client,
		.timeout_seconds = starter.conf->pop3_timeout_seconds,
		.error_limit = starter.conf->error_limit,
	};

	prctl(PR_SET_NAME, "pop3-session");
	if (!frame_value_copy(f, SESSION_START_MAILDIR, maildir, sizeof maildir) ||
	    !frame_value_copy(f, SESSION_START_QUOTA, quota, sizeof quota) ||
	    !frame_value_copy(f, SESSION_START_USER, user, sizeof user) ||
	    !frame_value_copy(f, SESSION_START_SESSION, session, sizeof session) ||
	    !frame_value_copy(f, SESSION_START_CLIENT, client, sizeof client))
		return EX_DATAERR;
	return session_run(&start);
}

static int run_room(const struct frame *f, int fd)
{
	static char base[WIRE_PATH_LENGTH_MAX + 1];

	if (!frame_value_copy(f, ROOM_START_BASE, base, sizeof base))
		return EX_DATAERR;
	return room_run(fd, (uid_t)f->value[ROOM_START_UID].number, (gid_t)f->value[ROOM_START_GID].number, base);
}

/* A judge of tokens asks on the network and has no right to anything here. */
static int run_program(const struct frame *f, int fd)
{
	bool is_oauth = f->value[PROGRAM_ASK_KIND].number == PROGRAM_OAUTH;
	const struct program checkpassword = { .command = starter.conf->checkpassword, .ours = starter.ours };
	const struct program oauth = { .command = starter.conf->oauth_checker, .uid = starter.uid, .gid = starter.gid };

	if (is_oauth && geteuid() == 0 && !starter.uid)
		return EX_NOUSER;
	return program_keep(is_oauth ? &oauth : &checkpassword, f, fd);
}

static int run_child(const struct frame *f, bool *is_open)
{
	int fd = keep_only(f->descriptor);

	switch (f->type) {
	case FRAME_SESSION_START:
		return run_session(f, fd, is_open);
	case FRAME_CHECKER_START:
		prctl(PR_SET_NAME, "authd:checker");
		return checker_run(fd);
	case FRAME_LOOKUP_START:
		return lookup_run(fd, ROLE_SHADOW_NAMES);
	case FRAME_ROOM_START:
		return run_room(f, fd);
	case FRAME_PROGRAM_ASK:
		return run_program(f, fd);
	default:
		return EX_DATAERR;
	}
}

static void log_refused(const struct frame *f, const char *words)
{
	struct why why = { 0 };
	struct log_line line;

	why_set(&why, RESULT_RETRY, "%s", words);
	log_start(&line, "no-session");
	if (f->type == FRAME_SESSION_START) {
		log_bytes(&line, "session", f->value[SESSION_START_SESSION].bytes, f->value[SESSION_START_SESSION].length);
		log_bytes(&line, "user", f->value[SESSION_START_USER].bytes, f->value[SESSION_START_USER].length);
	}
	log_why(&line, &why);
	log_end(&line);
	log_flush();
}

/* false: it can't be. Later children do not inherit what this one shares. */
static bool fork_child(const struct frame *f, struct child *child)
{
	if (child->mailbox) {
		child->is_open = mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (child->is_open == MAP_FAILED)
			return false;
		(void)frame_value_copy(f, SESSION_START_SESSION, child->session, sizeof child->session);
	}
	child->pid = fork();
	if (!child->pid)
		_exit(run_child(f, child->is_open));
	if (child->mailbox && child->pid > 0)
		madvise(child->is_open, sizeof(bool), MADV_DONTFORK);
	else if (child->mailbox)
		munmap(child->is_open, sizeof(bool));
	return child->pid > 0;
}

/* Without a child the descriptor is closed, and whoever waits at its other end says "later". */
static void start_child(const struct frame *f)
{
	uint64_t mailbox = mailbox_of(f);
	struct child *child;

	reap();
	make_room();
	if (starter.count == SESSIONS_MAX) {
		log_refused(f, "as many sessions run as may");
		return;
	}
	if (mailbox && sessions_of(mailbox) >= SESSIONS_OF_MAILBOX) {
		log_refused(f, "as many sessions of this mailbox run as may");
		return;
	}
	child = &starter.children[starter.count];
	*child = (struct child){ .mailbox = mailbox, .began_ms = time_monotonic_ms() };
	if (fork_child(f, child))
		starter.count++;
	else
		log_refused(f, "unable to fork");
}

static int starter_run(int fd)
{
	struct identity identity = { .uid = geteuid(), .gid = getegid() };
	struct channel channel;
	struct why why = { 0 };
	enum result result;
	struct frame f;

	prctl(PR_SET_NAME, "authd:starter");
	signal(SIGINT, SIG_IGN);
	if (sandbox_enter(ROLE_SPAWNER, &identity, NULL, 0, &why) != RESULT_OK ||
	    channel_open(&channel, NULL, fd, NULL, NULL, &why) != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_OSERR;
	}
	for (;;) {
		result = channel_wait(&channel, &f, starter.count ? REAP_MS : -1, &why);
		reap();
		if (result == RESULT_END || result == RESULT_PEER)
			return EX_OK;
		if (result != RESULT_OK || f.descriptor < 0)
			continue;
		start_child(&f);
		close(f.descriptor);
	}
}

enum result starter_begin(const struct configuration *conf, int *fd, struct why *why)
{
	int ends[2];
	pid_t pid;

	const struct passwd *account = conf->oauth_checker ? getpwnam("dawkx") : NULL;

	starter.conf = conf;
	starter.uid = account ? account->pw_uid : 0;
	starter.gid = account ? account->pw_gid : 0;
	if (readlink("/proc/self/exe", starter.ours, sizeof starter.ours - 1) <= 0)
		return why_errno(why, RESULT_STOP, "unable to find authd's own program");
	if (channel_pair(ends, why) != RESULT_OK)
		return RESULT_STOP;
	pid = fork();
	if (pid < 0)
		return why_errno(why, RESULT_STOP, "unable to fork");
	if (!pid) {
		/* the opener's pipe is authd's alone */
		if (dup2(ends[1], LOW_FD) < 0)
			_exit(EX_OSERR);
		close_range(LOW_FD + 1, ~0U, 0);
		_exit(starter_run(LOW_FD));
	}
	close(ends[1]);
	*fd = ends[0];
	return RESULT_OK;
}
