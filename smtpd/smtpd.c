/* smtpd: takes mail by SMTP and adds it to the queue. This is the opener: listeners, queue, tables, then
 * workers, which have no rights but these. smtpd(8). */
#include "common/held.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "common/tls_opener.h"
#include "usage.h"
#include "worker.h"
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { DESCRIPTORS_WANTED = 65536 };

static void worker_died(unsigned index)
{
	limits_forget(opening.limits, index);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	struct rlimit wanted = { .rlim_cur = DESCRIPTORS_WANTED, .rlim_max = limit.rlim_max };
	if (limit.rlim_max < DESCRIPTORS_WANTED)
		wanted.rlim_max = DESCRIPTORS_WANTED;
	if (!setrlimit(RLIMIT_NOFILE, &wanted))
		return;
	wanted.rlim_cur = wanted.rlim_max = limit.rlim_max;	/* not ours to raise: what there is */
	setrlimit(RLIMIT_NOFILE, &wanted);
}

static enum result opening_add(int fd, enum listener_kind kind, struct why *why)
{
	if (opening.listener_count == OPENING_LISTENERS_MAX)
		return why_set(why, RESULT_NEVER, "more than %d listeners are configured", OPENING_LISTENERS_MAX);
	opening.listeners[opening.listener_count++] = (struct opening_listener){ fd, kind };
	return RESULT_OK;
}

static enum result open_listeners(const struct listener_list *list, enum listener_kind kind, struct why *why)
{
	int fd;

	for (size_t i = 0; i < list->count; i++) {
		enum result result = listener_open(&list->items[i].address, list->items[i].size, &fd, why);
		if (result != RESULT_OK)
			return result;
		result = opening_add(fd, kind, why);
		if (result != RESULT_OK)
			return result;
	}
	return RESULT_OK;
}

static enum result open_local(const struct configuration *conf, struct why *why)
{
	int fd;

	if (!conf->listen_local)
		return RESULT_OK;
	enum result result = listener_open_local(conf->listen_local, 0666, &fd, why);
	return result == RESULT_OK ? opening_add(fd, LISTENER_LOCAL, why) : result;
}

/* Workers may add to it; the opener, which may do more, never looks. */
static enum result open_held(const struct configuration *conf, struct why *why)
{
	struct identity worker;
	enum result result = sandbox_identity(ROLE_SMTPD_WORKER, &worker, why);

	return result == RESULT_OK ? held_make(conf, geteuid() == 0 ? worker.uid : (uid_t)-1, worker.gid, &opening.held, why) : result;
}

static enum result open_all(const struct configuration *conf, struct why *why)
{
	char tables[4096];
	enum result result = RESULT_NEVER;

	if (!configuration_path(conf, "tables", tables, sizeof tables))
		return why_set(why, RESULT_NEVER, "the path of the tables is too long");
	if ((result = limits_make(conf->smtpd_workers, &opening.limits, why)) != RESULT_OK)
		return result;
	if ((result = usage_make(&opening.usage, why)) != RESULT_OK)
		return result;
	if ((result = queue_open(conf->queue, 1U << QUEUE_TMP | 1U << QUEUE_NEW, &opening.queue, why)) != RESULT_OK)
		return result;
	if ((result = queue_open_trigger(conf->queue, false, &opening.queue, why)) != RESULT_OK || (result = open_held(conf, why)) != RESULT_OK)
		return result;
	if ((result = table_directory_open(tables, &opening.tables, why)) != RESULT_OK)
		return result;
	if ((result = tls_opener_find(conf, why)) != RESULT_OK)
		return result;
	opening.has_certificates = tls_opener_has_files();
	if ((result = open_listeners(&conf->listen_smtp, LISTENER_SMTP, why)) != RESULT_OK)
		return result;
	if ((result = open_listeners(&conf->listen_submission, LISTENER_SUBMISSION, why)) != RESULT_OK)
		return result;
	if (tls_opener_can_serve("listen-submissions", &conf->listen_submissions) &&
	    (result = open_listeners(&conf->listen_submissions, LISTENER_SUBMISSIONS, why)) != RESULT_OK)
		return result;
	return open_local(conf, why);
}

/* Hosts of relay domains, which remoted asks whether they take a recipient. */
static bool has_inner_hosts(const struct configuration *conf)
{
	return conf->relay_check == RELAY_CHECK_ASK && conf->relay_domains.count > 0;
}

int main(int argc, char **argv)
{
	struct configuration *conf;
	int exit_code;
	char date[TIME_RFC5322_MAX];
	struct why why = { .errno_value = 0 };

	if (service_start(argc, argv, "smtpd", "usage: smtpd [-c FILE]\n", &conf, &exit_code) != RESULT_OK)
		return exit_code;
	umask(027);
	raise_descriptor_limit();
	time_format_rfc5322(date, time_real_us());	/* the time zone is read now; workers can't */
	enum result result = open_all(conf, &why);
	if (result != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return result == RESULT_NEVER ? EX_CONFIG : EX_TEMPFAIL;
	}
	const struct service_part parts[] = {
		{ .name = "worker", .run = worker_run, .instances = conf->smtpd_workers, .died = worker_died,
		  .started = tls_opener_worker },
		{ .name = "authd", .program = "authd", .instances = 1, .is_essential = true },
		{ .name = "dnsd", .program = "dnsd", .instances = worker_wants_names(conf, NULL) || has_inner_hosts(conf) ? 1 : 0 },
		{ .name = "remoted", .program = "remoted", .instances = has_inner_hosts(conf) ? 1 : 0 },
		{ .name = "keyd", .program = "keyd", .instances = opening.has_certificates, .is_essential = true,
		  .started = tls_opener_keyd },
	};
	const struct service_link links[] = { { "worker", "authd" }, { "worker", "dnsd" }, { "worker", "remoted" }, { "remoted", "dnsd" }, { "worker", "keyd" } };
	const struct service service = { "smtpd", conf, parts, sizeof parts / sizeof *parts, links, sizeof links / sizeof *links };
	return service_run(&service);
}
