/* queued: owns the queue, decides what is tried when. This is the opener; see queued(8). */
#include "common/log.h"
#include "common/network.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "queued/logins.h"
#include "queued/scheduler.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static struct scheduler_gifts gifts;	/* opened here, used in the fork */

static int run_scheduler(const struct configuration *conf, unsigned index)
{
	(void)index;
	logins_leave();
	return scheduler_run(conf, &gifts);
}

static const struct service_part parts[] = {
	{ .name = "scheduler", .run = run_scheduler, .instances = 1 },
	{ .name = "locald", .program = "locald", .instances = 1 },
	{ .name = "remoted", .program = "remoted", .instances = 1, .started = logins_remoted_started },
	{ .name = "dnsd", .program = "dnsd", .instances = 1 },
	{ .name = "stsd", .program = "stsd", .instances = 1 },
};
static const struct service_link links[] = {
	{ "scheduler", "locald" }, { "scheduler", "remoted" }, { "remoted", "dnsd" },
	{ "remoted", "stsd" }, { "stsd", "dnsd" },
};

/* The file that says who works on the queue: the scheduler, or `dawk queue` while there is none. */
static enum result open_lock(const struct configuration *conf, struct why *why)
{
	struct identity identity;
	char path[4096];
	enum result result = sandbox_identity(ROLE_SCHEDULER, &identity, why);

	if (result != RESULT_OK)
		return result;
	if (snprintf(path, sizeof path, "%s/lock", conf->queue) >= (int)sizeof path)
		return why_set(why, RESULT_NEVER, "the path of the queue is too long");
	gifts.lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (gifts.lock < 0 || fchown(gifts.lock, identity.uid, identity.gid) < 0)
		return why_errno(why, RESULT_NEVER, "unable to open %s", path);
	return RESULT_OK;
}

static enum result open_control(const struct configuration *conf, struct why *why)
{
	char path[4096];

	if (snprintf(path, sizeof path, "%s/queued", conf->run_directory) >= (int)sizeof path)
		return why_set(why, RESULT_NEVER, "the path of the control socket is too long");
	return listener_open_local(path, 0600, &gifts.control, why);
}

static enum result open_all(const struct configuration *conf, struct why *why)
{
	enum result result = queue_open(conf->queue, (1u << QUEUE_PLACES) - 1, &gifts.queue, why);

	if (result == RESULT_OK)
		result = queue_open_trigger(conf->queue, true, &gifts.queue, why);
	if (result == RESULT_OK)
		result = open_lock(conf, why);
	if (result == RESULT_OK)
		result = open_control(conf, why);
	return result;
}

int main(int argc, char **argv)
{
	struct configuration *conf;
	struct why why = { 0 };
	int exit_code;
	struct service service = {
		.name = "queued", .parts = parts, .part_count = sizeof parts / sizeof *parts,
		.links = links, .link_count = sizeof links / sizeof *links,
	};

	if (service_start(argc, argv, "queued", "usage: queued [-c FILE]\n", &conf, &exit_code) != RESULT_OK)
		return exit_code;
	umask(077);
	if (open_all(conf, &why) != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_NOINPUT;
	}
	service.conf = conf;
	logins_prepare(conf);
	return service_run(&service);
}
