/* pop3d: the opener of the POP3 service. Binds the ports, then runs workers, authd and keyd. */
#include "pop3d/worker.h"
#include "common/log.h"
#include "common/service.h"
#include "common/tls_opener.h"

#include <sysexits.h>

static enum result open_listeners(const struct listener_list *list, bool is_tls, struct why *why)
{
	if (list->count > LISTENERS_MAX - opening.listener_count)
		return why_set(why, RESULT_NEVER, "listen-pop3, listen-pop3s: at most %d addresses", LISTENERS_MAX);
	for (size_t i = 0; i < list->count; i++) {
		struct opening_listener *listener = &opening.listeners[opening.listener_count];
		enum result result = listener_open(&list->items[i].address, list->items[i].size, &listener->fd, why);
		if (result != RESULT_OK)
			return result;
		listener->is_tls = is_tls;
		opening.listener_count++;
	}
	return RESULT_OK;
}

static enum result open_all(const struct configuration *conf, struct why *why)
{
	enum result result = tls_opener_find(conf, why);

	opening.has_certificates = tls_opener_has_files();
	if (result == RESULT_OK)
		result = open_listeners(&conf->listen_pop3, false, why);
	if (result == RESULT_OK && tls_opener_can_serve("listen-pop3s", &conf->listen_pop3s))
		result = open_listeners(&conf->listen_pop3s, true, why);
	return result == RESULT_OK ? limits_make(conf->pop3d_workers, &opening.limits, why) : result;
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
	if (open_all(conf, &why) != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_OSERR;
	}
	const struct service_part parts[] = {
		{ .name = "worker", .run = worker_run, .instances = conf->pop3d_workers, .died = worker_died,
		  .started = tls_opener_worker },
		{ .name = "authd", .program = "authd", .instances = 1, .is_essential = true },
		{ .name = "keyd", .program = "keyd", .instances = opening.has_certificates, .is_essential = true,
		  .started = tls_opener_keyd },
	};
	const struct service_link links[] = { { "worker", "authd" }, { "worker", "keyd" } };
	const struct service service = { "pop3d", conf, parts, sizeof parts / sizeof *parts, links, sizeof links / sizeof *links };

	return service_run(&service);
}
