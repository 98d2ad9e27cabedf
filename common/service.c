#include "service.h"

#include "log.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	RESTART_FIRST_MS = 200, RESTART_LONGEST_MS = 30000,
	RESTART_FORGET_MS = 60000,	/* a part that lived this long starts with the short wait again */
	END_PATIENCE_MS = 10000,
};

struct instance {
	const struct service_part *part;
	unsigned index;
	pid_t pid;			/* 0: not running */
	struct channel control;
	struct timer restart;
	uint64_t started_ms, restart_ms;
};

static struct opener {
	const struct service *service;
	struct loop *loop;
	struct instance instances[SERVICE_PARTS_MAX * SERVICE_INSTANCES_MAX];
	size_t instance_count;
	struct timer patience;
	bool is_ending;
	int exit_code;
} opener;

static void log_part(const char *event, const struct instance *instance, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_text(&line, "part", instance->part->name);
	log_number(&line, "index", instance->index);
	if (instance->pid)
		log_number(&line, "pid", (uint64_t)instance->pid);
	log_why(&line, why);
	log_end(&line);
}

/* ---- starting ---- */

static void start_instance(struct instance *instance);

static void restart_fired(struct timer *timer)
{
	start_instance(container_of(timer, struct instance, restart));
}

static void start_later(struct instance *instance)
{
	uint64_t wait = instance->restart_ms;

	if (loop_now_ms(opener.loop) - instance->started_ms > RESTART_FORGET_MS || !wait)
		wait = RESTART_FIRST_MS;
	instance->restart_ms = wait * 2 < RESTART_LONGEST_MS ? wait * 2 : RESTART_LONGEST_MS;
	loop_set_timer(opener.loop, &instance->restart, wait, restart_fired);
}

static void exec_helper(const struct service_part *part)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash;

	if (length <= 0)
		return;
	path[length] = 0;
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash + 1 - path) + strlen(part->program) + 1 > sizeof path)
		return;
	memcpy(slash + 1, part->program, strlen(part->program) + 1);
	execl(path, part->program, "-c", opener.service->conf->file, (char *)NULL);
}

/* The child of the fork: nothing of the opener's but what the part is meant to have. */
static void run_part(const struct instance *instance, int control)
{
	const struct service_part *part = instance->part;
	struct why why = { 0 };
	sigset_t none;
	char name[16];
	size_t i;

	for (i = 0; i < opener.instance_count; i++)
		if (opener.instances[i].control.fd >= 0)
			close(opener.instances[i].control.fd);
	loop_abandon(opener.loop);
	if (dup2(control, SERVICE_CONTROL) < 0)	/* clears close-on-exec */
		_exit(EX_OSERR);
	if (control != SERVICE_CONTROL)
		close(control);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_IGN);
	if (part->program) {
		exec_helper(part);
		why_errno(&why, RESULT_STOP, "unable to run %s beside this program", part->program);
		log_failure("start-failed", &why);
		_exit(EX_UNAVAILABLE);
	}
	snprintf(name, sizeof name, "%s:%s", opener.service->name, part->name);
	prctl(PR_SET_NAME, name);
	i = (size_t)part->run(opener.service->conf, instance->index);
	log_flush();
	_exit((int)i);
}

static void control_frame(struct channel *channel, struct frame *f)
{
	(void)f;
	channel_close(channel);	/* parts have nothing to say here */
}

static void control_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	(void)why;	/* its death says more */
}

/* Without one of its links a part would run on and never do its work: its next life may get them all. */
static void give_up_link(const struct instance *instance, const struct why *why)
{
	log_part("link-failed", instance, why);
	if (instance->pid)
		kill(instance->pid, SIGTERM);
}

static void send_end(struct instance *to, const char *peer, unsigned index, int fd)
{
	struct wire_value values[CHANNEL_FIELDS] = {
		[CHANNEL_PEER] = WIRE_STRING(peer),
		[CHANNEL_INDEX] = WIRE_NUMBER(index),
	};
	struct why why = { 0 };

	/* at once: what still waited here would be inherited by the next fork */
	if (channel_send(&to->control, FRAME_CHANNEL, values, fd, &why) != RESULT_OK ||
	    channel_flush(&to->control, &why) != RESULT_OK)
		give_up_link(to, &why);
}

static void join(struct instance *a, struct instance *b)
{
	struct why why = { 0 };
	int ends[2];

	if (channel_pair(ends, &why) != RESULT_OK) {
		give_up_link(a, &why);
		return;
	}
	send_end(a, b->part->name, b->index, ends[0]);
	send_end(b, a->part->name, a->index, ends[1]);
}

/* The opener's own link, for parts that it has something to say to. */
static void join_opener(struct instance *instance)
{
	struct why why = { 0 };
	int ends[2];

	if (!instance->part->started)
		return;
	if (channel_pair(ends, &why) != RESULT_OK) {
		give_up_link(instance, &why);
		return;
	}
	send_end(instance, "opener", 0, ends[0]);
	instance->part->started(instance->index, opener.loop, ends[1]);
}

/* Joins INSTANCE to every running peer that a link names. */
static void join_all(struct instance *instance)
{
	const char *name = instance->part->name;
	size_t i, j;

	for (i = 0; i < opener.service->link_count; i++) {
		const struct service_link *link = &opener.service->links[i];
		const char *wanted = !strcmp(link->from, name) ? link->to : !strcmp(link->to, name) ? link->from : NULL;
		for (j = 0; wanted && j < opener.instance_count; j++) {
			struct instance *peer = &opener.instances[j];
			if (peer->pid && peer != instance && !strcmp(peer->part->name, wanted))
				join(instance, peer);
		}
	}
}

static void start_instance(struct instance *instance)
{
	struct why why = { 0 };
	int ends[2];

	if (opener.is_ending)
		return;
	instance->started_ms = loop_now_ms(opener.loop);
	if (channel_pair(ends, &why) != RESULT_OK) {
		log_part("start-failed", instance, &why);
		start_later(instance);
		return;
	}
	log_flush();
	instance->pid = fork();
	if (instance->pid == 0) {
		close(ends[0]);
		run_part(instance, ends[1]);
	}
	close(ends[1]);
	if (instance->pid < 0) {
		instance->pid = 0;
		close(ends[0]);
		why_errno(&why, RESULT_RETRY, "unable to fork");
		log_part("start-failed", instance, &why);
		start_later(instance);
		return;
	}
	if (channel_open(&instance->control, opener.loop, ends[0], control_frame, control_lost, &why) != RESULT_OK)
		give_up_link(instance, &why);
	log_part("started", instance, NULL);
	join_opener(instance);
	join_all(instance);
}

/* ---- ending ---- */

static void patience_over(struct timer *timer)
{
	size_t i;

	(void)timer;
	for (i = 0; i < opener.instance_count; i++)
		if (opener.instances[i].pid) {
			log_part("killed", &opener.instances[i], NULL);
			kill(opener.instances[i].pid, SIGKILL);
		}
}

static void end_service(int exit_code)
{
	bool is_running = false;
	size_t i;

	if (!opener.is_ending)
		opener.exit_code = exit_code;
	for (i = 0; i < opener.instance_count; i++) {
		struct instance *instance = &opener.instances[i];
		is_running |= instance->pid != 0;
		if (instance->pid && !opener.is_ending)
			kill(instance->pid, SIGTERM);
		loop_unset_timer(opener.loop, &instance->restart);
	}
	if (!opener.is_ending)
		loop_set_timer(opener.loop, &opener.patience, END_PATIENCE_MS, patience_over);
	opener.is_ending = true;
	if (!is_running)
		loop_stop(opener.loop);
}

static void died(struct instance *instance, int status)
{
	struct why why = { 0 };

	if (WIFSIGNALED(status))
		why_set(&why, RESULT_STOP, "killed by signal %d", WTERMSIG(status));
	else
		why_set(&why, RESULT_STOP, "exit code %d", WEXITSTATUS(status));
	log_part("ended", instance, &why);
	instance->pid = 0;
	channel_close(&instance->control);
	if (instance->part->died)
		instance->part->died(instance->index);
	if (opener.is_ending || instance->part->is_essential)
		end_service(EX_TEMPFAIL);
	else
		start_later(instance);
}

static void reap(void)
{
	int status;
	pid_t pid;
	size_t i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < opener.instance_count; i++)
			if (opener.instances[i].pid == pid)
				died(&opener.instances[i], status);
}

static void caught(struct loop *loop, int signal_number)
{
	(void)loop;
	if (signal_number == SIGCHLD)
		reap();
	else if (signal_number != SIGHUP)
		end_service(EX_OK);
}

static void make_instances(const struct service *service)
{
	size_t i;
	unsigned n;

	for (i = 0; i < service->part_count; i++)
		for (n = 0; n < service->parts[i].instances && n < SERVICE_INSTANCES_MAX; n++) {
			struct instance *instance = &opener.instances[opener.instance_count++];
			instance->part = &service->parts[i];
			instance->index = n;
			instance->control.fd = -1;
		}
}

int service_run(const struct service *service)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, 0 };
	struct why why = { 0 };
	enum result result;
	size_t i;

	opener.service = service;
	make_instances(service);
	result = loop_make(&opener.loop, &why);
	if (result == RESULT_OK)
		result = loop_catch_signals(opener.loop, signals, caught, &why);
	for (i = 0; i < opener.instance_count && result == RESULT_OK; i++)
		start_instance(&opener.instances[i]);
	if (result == RESULT_OK)
		result = loop_run(opener.loop, &why);
	if (result != RESULT_OK) {
		log_failure("unable-to-run", &why);
		return EX_OSERR;
	}
	return opener.exit_code;
}
