/* Forking: see deliverer_start.h. */
#include "deliverer_start.h"
#include "common/helper.h"
#include "common/log.h"
#include "common/lookup.h"
#include "common/sandbox.h"
#include "deliverer.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { FIRST_KEPT = 3, KEPT_MAX = 4 };

static void reset_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGCHLD, SIGHUP };
	sigset_t none;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

enum result child_begin(const int *keep, size_t count, struct why *why)
{
	int high[KEPT_MAX];

	reset_signals();
	/* first out of the way of each other */
	for (size_t i = 0; i < count; i++) {
		high[i] = fcntl(keep[i], F_DUPFD_CLOEXEC, FIRST_KEPT + KEPT_MAX);
		if (high[i] < 0)
			return why_errno(why, RESULT_STOP, "unable to keep a descriptor");
	}
	for (size_t i = 0; i < count; i++)
		if (dup3(high[i], FIRST_KEPT + (int)i, O_CLOEXEC) < 0)
			return why_errno(why, RESULT_STOP, "unable to move a descriptor");
	if (close_range(FIRST_KEPT + (unsigned)count, ~0u, 0) != 0)
		return why_errno(why, RESULT_STOP, "unable to close what is not ours");
	return RESULT_OK;
}

/* A Landlock rule needs a directory that is there: BASE, or the nearest one above it, which *ST tells. */
static void existing_base(const char *base, char *out, size_t size, struct stat *st)
{
	snprintf(out, size, "%s", base);
	while ((stat(out, st) != 0 || !S_ISDIR(st->st_mode)) && strlen(out) > 1) {
		char *slash = strrchr(out, '/');

		slash[slash == out ? 1 : 0] = '\0';
	}
}

static int child(const struct configuration *conf, const struct account *account, const char *base, int fd)
{
	char existing[4096];
	struct identity identity = { .uid = account->uid, .gid = account->gid, .groups_of = account->login };
	struct sandbox_path path = {
		.path = existing,
		.allow = ALLOW_READ | ALLOW_LIST | ALLOW_WRITE | ALLOW_MAKE | ALLOW_REMOVE | ALLOW_REFER,
	};
	struct stat walls = { 0 };
	struct why why = { 0 };
	enum result result = child_begin(&fd, 1, &why);

	existing_base(base, existing, sizeof(existing), &walls);
	umask(077);
	helper_limit(LOOKUP_SECONDS);	/* its groups are looked up */
	if (result == RESULT_OK)
		result = sandbox_enter(ROLE_DELIVERER, &identity, &path, 1, &why);
	helper_limit(0);
	if (result == RESULT_OK)
		return deliverer_run(conf, existing, &walls, FIRST_KEPT);
	log_failure("deliverer-unable-to-start", &why);
	return EX_OSERR;
}

enum result deliverer_fork(const struct configuration *conf, const struct account *account, const char *base,
                           void (*forked)(void), pid_t *pid, int *fd, struct why *why)
{
	int ends[2];

	if (account->uid == 0)
		return why_set(why, RESULT_NEVER, "nothing is ever delivered as uid 0");
	if (channel_pair(ends, why) != RESULT_OK)
		return RESULT_RETRY;
	log_flush();	/* or the child would say it again */
	*pid = fork();
	if (*pid == 0) {
		forked();
		_exit(child(conf, account, base, ends[1]));
	}
	close(ends[1]);
	*fd = ends[0];
	if (*pid > 0)
		return RESULT_OK;
	why_errno(why, RESULT_RETRY, "fork a deliverer");
	close(ends[0]);
	return RESULT_RETRY;
}
