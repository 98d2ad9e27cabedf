/* Keepers of programs: see keeper.h. */
#include "keeper.h"
#include "common/content.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
	OUTPUT_MAX = 1024,		/* kept; more is read and dropped */
	PIECE = 32 << 10,
	ENVIRONMENT_MAX = 32,
	USUAL_FILES = 1024,
	AFTER_END_MS = 200,		/* for output that is still in the pipe */
};

struct keeper {
	const struct program_task *task;
	struct content content;
	pid_t pid;
	int input, output, ended;	/* -1: closed; ENDED: a pidfd */
	char piece[PIECE];
	size_t piece_length, piece_sent;
	char said[OUTPUT_MAX + 1];
	size_t said_length;
	bool is_late;
};

/* ---- the program's side ---- */

struct environment { char *entries[ENVIRONMENT_MAX + 1]; size_t count; };

static void put(struct environment *environment, const char *name, const char *value)
{
	char *entry = NULL;

	if (environment->count < ENVIRONMENT_MAX && asprintf(&entry, "%s=%s", name, value) >= 0)
		environment->entries[environment->count++] = entry;
}

/* UFLINE, RPLINE and DTLINE are whole header lines, as MDAs take them. */
static void put_lines(struct environment *environment, const struct program_task *task)
{
	char line[TRACE_PREFIX_MAX], date[32];
	time_t now = time(NULL);

	snprintf(line, sizeof(line), "From %s %s", task->sender[0] != '\0' ? task->sender : "MAILER-DAEMON", ctime_r(&now, date));
	put(environment, "UFLINE", line);
	snprintf(line, sizeof(line), "Return-Path: <%s>\n", task->sender);
	put(environment, "RPLINE", line);
	snprintf(line, sizeof(line), "Delivered-To: %s\n", task->recipient);
	put(environment, "DTLINE", line);
}

static void make_environment(struct environment *environment, const struct program_task *task)
{
	size_t local = strcspn(task->recipient, "@");
	const char *domain = task->recipient[local] == '@' ? task->recipient + local + 1 : "", *zone = getenv("TZ");
	char name[WIRE_ADDRESS_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", (int)local, task->recipient);
	put(environment, "PATH", "/usr/local/bin:/usr/bin:/bin");
	put(environment, "SHELL", "/bin/sh");
	put(environment, "HOME", task->home);
	put(environment, "USER", task->name);
	put(environment, "LOGNAME", task->name);
	put(environment, "SENDER", task->sender);
	put(environment, "RECIPIENT", task->recipient);
	put(environment, "ORIGINAL_RECIPIENT", task->original_recipient);
	put(environment, "LOCAL", name);
	put(environment, "DOMAIN", domain);
	put(environment, "HOST", domain);
	put(environment, "EXTENSION", task->extension);
	put(environment, "EXT", task->extension);
	put(environment, "QUEUE_ID", task->id);
	put_lines(environment, task);
	if (zone != NULL)
		put(environment, "TZ", zone);
}

/* This suite takes all the descriptors it may; programs that use select(2) must not get such numbers. */
static void usual_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur <= USUAL_FILES)
		return;
	files.rlim_cur = USUAL_FILES;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* Never returns. The process group lets the keeper end all of it. */
static void become_program(const struct program_task *task, int input, int output)
{
	static struct environment environment;
	char *const arguments[] = { "sh", "-c", (char *)(uintptr_t)task->command, NULL };
	uid_t uid = geteuid();

	setpgid(0, 0);
	if (setresuid(uid, uid, uid) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)	/* the keeper's other uid is not for it */
		_exit(EX_OSERR);
	usual_limits();
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);	/* whatever the caller of the service ignored */
	if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || close_range(3, ~0u, 0) != 0)
		_exit(EX_OSERR);
	if (chdir(task->home) != 0 && chdir("/") != 0)
		_exit(EX_OSERR);
	make_environment(&environment, task);
	execve("/bin/sh", arguments, environment.entries);
	_exit(127);
}

static enum result start(struct keeper *keeper, struct why *why)
{
	int input[2] = { -1, -1 }, output[2] = { -1, -1 };

	if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
		return why_errno(why, RESULT_RETRY, "make pipes");
	keeper->pid = fork();
	if (keeper->pid == 0)
		become_program(keeper->task, input[0], output[1]);
	if (keeper->pid < 0)
		return why_errno(why, RESULT_RETRY, "fork");
	setpgid(keeper->pid, keeper->pid);	/* whichever of the two comes first */
	close(input[0]);
	close(output[1]);
	keeper->input = input[1];
	keeper->output = output[0];
	keeper->ended = (int)syscall(SYS_pidfd_open, keeper->pid, 0);
	if (keeper->ended < 0 || fcntl(input[1], F_SETFL, O_NONBLOCK) != 0 || fcntl(output[0], F_SETFL, O_NONBLOCK) != 0)
		return why_errno(why, RESULT_RETRY, "watch the program");
	return RESULT_OK;
}

/* ---- the keeper's side ---- */

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Sends what it takes. A program that does not read all of its input is no failure. */
static enum result feed(struct keeper *keeper, struct why *why)
{
	ssize_t put;
	enum result result;

	if (keeper->piece_sent == keeper->piece_length) {
		keeper->piece_sent = keeper->piece_length = 0;
		result = content_read(&keeper->content, keeper->piece, sizeof(keeper->piece), &keeper->piece_length, why);
		if (result != RESULT_OK)
			close_one(&keeper->input);
		if (result != RESULT_OK)
			return result == RESULT_END ? RESULT_OK : result;
	}
	put = write(keeper->input, keeper->piece + keeper->piece_sent, keeper->piece_length - keeper->piece_sent);
	if (put > 0)
		keeper->piece_sent += (size_t)put;
	else if (put < 0 && errno != EAGAIN && errno != EINTR)
		close_one(&keeper->input);
	return RESULT_OK;
}

static void listen_to(struct keeper *keeper)
{
	char bytes[4096];
	ssize_t got = read(keeper->output, bytes, sizeof(bytes));
	size_t room = OUTPUT_MAX - keeper->said_length;

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		close_one(&keeper->output);
	if (got <= 0)
		return;
	if ((size_t)got < room)
		room = (size_t)got;
	memcpy(keeper->said + keeper->said_length, bytes, room);
	keeper->said_length += room;
}

static uint64_t now_ms(void)
{
	return time_monotonic_ms();
}

/* A program may have left the group that it began with. */
static void kill_program(const struct keeper *keeper)
{
	kill(-keeper->pid, SIGKILL);
	kill(keeper->pid, SIGKILL);
}

static void end_program(struct keeper *keeper)
{
	kill_program(keeper);
	keeper->is_late = true;
}

/* Until the program has ended; then a moment longer for what it said last. */
static enum result attend(struct keeper *keeper, struct why *why)
{
	uint64_t deadline = now_ms() + (uint64_t)keeper->task->timeout_seconds * 1000;
	enum result result = RESULT_OK;
	bool has_ended = false;

	while (result == RESULT_OK && !(has_ended && keeper->output < 0)) {
		struct pollfd fds[] = {
			{ .fd = has_ended ? -1 : keeper->ended, .events = POLLIN },
			{ .fd = keeper->output, .events = POLLIN },
			{ .fd = keeper->input, .events = POLLOUT },
			{ .fd = keeper->is_late ? -1 : keeper->task->spawner, .events = POLLIN },
		};
		uint64_t now = now_ms();

		if (now >= deadline) {
			if (has_ended)
				break;
			end_program(keeper);
			deadline = now + 10 * 1000;
			continue;
		}
		if (poll(fds, 4, (int)(deadline - now)) < 0 && errno != EINTR)
			return why_errno(why, RESULT_RETRY, "wait for the program");
		if (fds[1].revents != 0)
			listen_to(keeper);
		if (fds[2].revents != 0 && !has_ended)
			result = feed(keeper, why);
		if (fds[3].revents != 0)
			end_program(keeper);
		if (fds[0].revents != 0) {
			has_ended = true;
			deadline = now_ms() + AFTER_END_MS;
			close_one(&keeper->input);
		}
	}
	return result;
}

void keeper_judge(int status, const char *output, struct outcome *outcome)
{
	static const struct { int code; enum delivery_verdict verdict; const char *status; } codes[] = {
		{ 0, DELIVERY_DELIVERED, "2.0.0" },
		{ 99, DELIVERY_DELIVERED, "2.0.0" },
		{ EX_TEMPFAIL, DELIVERY_DEFERRED, "4.3.0" },
		{ 111, DELIVERY_DEFERRED, "4.3.0" },
		{ 100, DELIVERY_FAILED, "5.3.0" },
		{ EX_DATAERR, DELIVERY_FAILED, "5.6.0" },
		{ EX_NOUSER, DELIVERY_FAILED, "5.1.1" },
		{ EX_NOHOST, DELIVERY_FAILED, "5.1.2" },
		{ EX_NOPERM, DELIVERY_FAILED, "5.7.1" },
	};
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (code < 0) {
		outcome_set(outcome, DELIVERY_DEFERRED, "4.3.0", "the program was ended by signal %d: %s", WTERMSIG(status), output);
		return;
	}
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].code != code)
			continue;
		outcome_set(outcome, codes[i].verdict, codes[i].status, "program, exit code %d%s%s", code, output[0] != '\0' ? ": " : "", output);
		return;
	}
	if (code >= EX__BASE && code <= EX__MAX)
		outcome_set(outcome, DELIVERY_FAILED, "5.3.0", "program, exit code %d%s%s", code, output[0] != '\0' ? ": " : "", output);
	else
		outcome_set(outcome, DELIVERY_DEFERRED, "4.3.0", "program, exit code %d%s%s", code, output[0] != '\0' ? ": " : "", output);
}

static void trim(struct keeper *keeper)
{
	while (keeper->said_length > 0 && strchr(" \t\r\n", keeper->said[keeper->said_length - 1]) != NULL)
		keeper->said_length--;
	keeper->said[keeper->said_length] = '\0';
}

void keeper_run(const struct program_task *task, struct outcome *outcome)
{
	static struct keeper keeper;
	struct why why = { 0 };
	enum result result;
	int status = 0;

	keeper = (struct keeper){ .task = task, .pid = -1, .input = -1, .output = -1, .ended = -1 };
	content_start(&keeper.content, task->message, task->offset, task->length);
	keeper.piece_length = trace_prefix(keeper.piece, task->sender, task->recipient);
	result = start(&keeper, &why);
	if (result == RESULT_OK)
		result = attend(&keeper, &why);
	if (keeper.pid > 0 && result != RESULT_OK)
		kill_program(&keeper);
	if (keeper.pid > 0 && waitpid(keeper.pid, &status, 0) < 0 && result == RESULT_OK)
		result = why_errno(&why, RESULT_RETRY, "wait for the program");
	trim(&keeper);
	if (result != RESULT_OK)
		outcome_set(outcome, DELIVERY_DEFERRED, "4.3.0", "unable to %s", why.text);
	else if (keeper.is_late)
		outcome_set(outcome, DELIVERY_DEFERRED, "4.3.0", "the program did not end within %u seconds", (unsigned)task->timeout_seconds);
	else
		keeper_judge(status, keeper.said, outcome);
}
