/* pop3d: the opener of the POP3 service. Binds the ports, then runs workers and authd. */
#include "pop3d/worker.h"
#include "common/log.h"
#include "common/service.h"

#include <sysexits.h>

static enum result open_listeners(const struct configuration *conf, struct why *why)
{
	const struct listener_list *list = &conf->listen_pop3;

	if (list->count > LISTENERS_MAX)
		return why_set(why, RESULT_NEVER, "listen-pop3: at most %d addresses", LISTENERS_MAX);
	for (size_t i = 0; i < list->count; i++) {
		enum result result = listener_open(&list->items[i].address, list->items[i].size, &opening.listeners[i], why);
		if (result != RESULT_OK)
			return result;
		opening.listener_count++;
	}
	return limits_make(conf->pop3d_workers, &opening.limits, why);
}

static void worker_died(unsigned index)
{
	limits_forget(opening.limits, index);
}

int main(int argc, char **argv)
{
	struct configuration *conf;
	struct why why = { 0 };
	int exit_code;

	if (service_start(argc, argv, "pop3d", "usage: pop3d [-c FILE]\n", &conf, &exit_code) != RESULT_OK)
		return exit_code;
	if (open_listeners(conf, &why) != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_OSERR;
	}
	const struct service_part parts[] = {
		{ .name = "worker", .run = worker_run, .instances = conf->pop3d_workers, .died = worker_died },
		{ .name = "authd", .program = "authd", .instances = 1, .is_essential = true },
	};
	const struct service_link links[] = { { "worker", "authd" } };
	const struct service service = {
		.name = "pop3d", .conf = conf, .parts = parts, .part_count = 2, .links = links, .link_count = 1,
	};
	return service_run(&service);
}
