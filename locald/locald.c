/* locald: the spawner, which runs as root, reads nothing from outside but queued's frames, and
 * starts deliverers under the mailboxes' accounts. See locald(8). */
#include "common/log.h"
#include "common/lookup.h"
#include "common/loop.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "deliverer_start.h"
#include "deliverers.h"
#include "folders.h"
#include "job.h"
#include "lane.h"
#include "program.h"
#include "route.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	FINISH_MS = 8000, FINISH_LOOK_MS = 20,	/* the opener waits ten seconds */
	ALONE_MS = 3000,			/* for a scheduler that was started anew */
};

static struct loop *loop;
static const struct configuration *conf;
static bool is_ending;
static struct timer finish, alone;
static uint64_t finish_at_ms;

static void look_whether_finished(struct timer *timer)
{
	(void)timer;
	if (jobs_count() == 0 || loop_now_ms(loop) >= finish_at_ms || !loop_set_timer(loop, &finish, FINISH_LOOK_MS, look_whether_finished))
		loop_stop(loop);
}

/* The work on its way is answered first. */
static void ended(void)
{
	is_ending = true;
	finish_at_ms = loop_now_ms(loop) + FINISH_MS;
	look_whether_finished(&finish);
}

/* Nobody came: the channel went, not the process behind it. Only a fresh start of this one gets another. */
static void still_alone(struct timer *timer)
{
	(void)timer;
	if (!jobs_are_open() && !is_ending)
		ended();
}

/* A fresh one is on its way, or ended() is; or neither. */
static void queued_lost(void)
{
	loop_set_timer(loop, &alone, ALONE_MS, still_alone);
}

static void greet(const char *peer, unsigned index, int fd)
{
	struct why why = { 0 };

	(void)index;
	if (strcmp(peer, "scheduler") != 0 || is_ending) {
		close(fd);
		return;
	}
	if (jobs_open(loop, fd, route_recipient, queued_lost, &why) != RESULT_OK)
		service_link_failed(&why);
}

static void child_ended(struct loop *its_loop, int signal_number)
{
	pid_t pid;
	int status;

	(void)its_loop;
	(void)signal_number;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!deliverers_reap(pid, status))
			programs_reap(pid);
}

static void run_forward_program(struct part *part, const char *command)
{
	const struct account *account = lane_account(part->lane);
	struct program_user user = {
		.account = *account,
		.name = account->login != NULL ? account->login : "",
		.home = part->home,
	};

	uint64_t key = done_key(command, strlen(command)) ^ 2;	/* no path's */
	struct outcome outcome = { 0 };

	if (!done_has(&part->recipient->done, key)) {
		program_add(part->recipient, &user, key, command);
		return;
	}
	outcome_set(&outcome, DELIVERY_DELIVERED, "2.0.0", "run at an earlier attempt");
	recipient_report(part->recipient, &outcome);
}

static void forget_mailbox(const struct part *part)
{
	folder_forget(part->path);
}

static int run_lookups(int fd)
{
	return lookup_run(fd, ROLE_NAMES);
}

static int run_folders(int fd)
{
	return folders_run(fd, conf);
}

/* RUN is the helper's main, on FD. */
static enum result start_helper(int (*run)(int fd), int fd, struct why *why)
{
	pid_t pid;

	log_flush();
	pid = fork();
	if (pid == 0) {
		route_close();
		_exit(child_begin(&fd, 1, why) == RESULT_OK ? run(3) : EX_OSERR);
	}
	close(fd);
	return pid > 0 ? RESULT_OK : why_errno(why, RESULT_RETRY, "fork a helper");
}

static enum result start_lookup_helper(int fd, struct why *why)
{
	return start_helper(run_lookups, fd, why);
}

static enum result start_folder_helper(int fd, struct why *why)
{
	return start_helper(run_folders, fd, why);
}

static const struct lane_hooks hooks = { run_forward_program, forget_mailbox, folder_suspect, route_close };

static enum result prepare(struct why *why)
{
	static const int signals[] = { SIGCHLD, 0 };
	struct identity identity;
	enum result result = sandbox_identity(ROLE_SPAWNER, &identity, why);

	if (result == RESULT_OK)
		result = sandbox_enter(ROLE_SPAWNER, &identity, NULL, 0, why);
	if (result == RESULT_OK)
		result = loop_make(&loop, why);
	if (result != RESULT_OK)
		return result;
	lanes_open(loop, conf, &hooks);
	lookup_begin(loop, start_lookup_helper);
	folders_open(loop, start_folder_helper);
	programs_open(loop, conf, route_close);
	result = route_open(conf, why);
	if (result == RESULT_OK)
		result = loop_catch_signals(loop, signals, child_ended, why);
	return result == RESULT_OK ? service_join(loop, greet, ended, why) : result;
}

int main(int argc, char **argv)
{
	static const char usage[] = "usage: locald [-c FILE]\nDelivers into mailboxes; started by queued.\n";
	struct configuration *loaded;
	struct why why = { 0 };
	int exit_code;

	if (service_start(argc, argv, "locald", usage, &loaded, &exit_code) != RESULT_OK)
		return exit_code;
	conf = loaded;
	if (prepare(&why) != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_OSERR;
	}
	if (loop_run(loop, &why) != RESULT_OK) {
		log_failure("unable-to-go-on", &why);
		return EX_OSERR;
	}
	deliverers_close();
	log_flush();
	return EX_OK;
}
