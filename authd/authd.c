/* authd: judges passwords and recipients for smtpd and pop3d, and has the session of a mailbox
 * started. Root, in walls that let it read but neither write, exec nor touch the network. */
#include "authd/accounts.h"
#include "authd/keys.h"
#include "authd/login.h"
#include "authd/recipient.h"
#include "authd/room.h"
#include "authd/starter.h"
#include "common/log.h"
#include "common/lookup.h"
#include "common/sandbox.h"
#include "common/service.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { WORKERS_MAX = SERVICE_INSTANCES_MAX, OFFER_MS = 10000 };

static struct {
	struct loop *loop;
	struct channel starter;
	struct channel workers[WORKERS_MAX];
	struct timer offer;
	int exit_code;
} authd;

static void worker_asked(struct channel *worker, struct frame *f)
{
	if (f->type == FRAME_LOGIN_ASK)
		login_ask(worker, f);
	else if (f->type == FRAME_LOGIN_NEXT)
		login_next(worker, f);
	else if (f->type == FRAME_RECIPIENT_ASK)
		recipient_ask(worker, f);
	if (f->descriptor >= 0)
		close(f->descriptor);
}

static void worker_lost(struct channel *worker, const struct why *why)
{
	(void)why;	/* the opener logs the death of a worker */
	logins_forget(worker);
	recipients_forget(worker);
}

static void send_offer(struct channel *worker)
{
	const struct wire_value values[LOGIN_OFFER_FIELDS] = { WIRE_NUMBER(keys_offer_apop()), WIRE_STRING(keys_offer()) };

	channel_send(worker, FRAME_LOGIN_OFFER, values, -1, NULL);
}

static void look_for_offers(struct timer *timer)
{
	bool is_other = keys_look();

	for (size_t i = 0; i < WORKERS_MAX && is_other; i++)
		if (authd.workers[i].fd >= 0)
			send_offer(&authd.workers[i]);
	loop_set_timer(authd.loop, timer, OFFER_MS, look_for_offers);
}

/* A worker that was started anew takes the place of the one that died. */
static void greet(const char *peer, unsigned index, int fd)
{
	struct channel *worker = &authd.workers[index % WORKERS_MAX];
	struct why why = { 0 };

	if (strcmp(peer, "worker")) {
		close(fd);
		return;
	}
	if (worker->fd >= 0) {
		channel_close(worker);
		logins_forget(worker);
		recipients_forget(worker);
	}
	if (channel_open(worker, authd.loop, fd, worker_asked, worker_lost, &why) != RESULT_OK) {
		service_link_failed(&why);
		return;
	}
	send_offer(worker);
}

static void ended(void)
{
	loop_stop(authd.loop);
}

/* Without the starter no login can succeed: end, and be started afresh. */
static void starter_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	log_failure("starter-lost", why);
	authd.exit_code = EX_TEMPFAIL;
	loop_stop(authd.loop);
}

static void starter_told(struct channel *channel, struct frame *f)
{
	(void)channel;
	if (f->descriptor >= 0)
		close(f->descriptor);
}

static enum result enter(struct why *why)
{
	static const struct sandbox_path all = { "/", ALLOW_READ | ALLOW_LIST };
	struct identity identity;
	enum result result = sandbox_identity(ROLE_AUTHD, &identity, why);

	return result == RESULT_OK ? sandbox_enter(ROLE_AUTHD, &identity, &all, 1, why) : result;
}

static enum result start_lookup_helper(int fd, struct why *why)
{
	const struct wire_value values[LOOKUP_START_FIELDS] = { WIRE_NUMBER(0) };

	return channel_send(&authd.starter, FRAME_LOOKUP_START, values, fd, why);
}

static enum result start(const struct configuration *conf, struct why *why)
{
	enum result result;
	int fd;

	if ((result = starter_begin(conf, &fd, why)) != RESULT_OK ||
	    (result = accounts_open(conf, why)) != RESULT_OK ||
	    (result = enter(why)) != RESULT_OK ||
	    (result = loop_make(&authd.loop, why)) != RESULT_OK ||
	    (result = channel_open(&authd.starter, authd.loop, fd, starter_told, starter_lost, why)) != RESULT_OK)
		return result;
	lookup_begin(authd.loop, start_lookup_helper);
	rooms_begin(authd.loop, conf, &authd.starter);
	recipients_begin(authd.loop);
	logins_begin(conf, authd.loop, &authd.starter);
	look_for_offers(&authd.offer);
	return service_join(authd.loop, greet, ended, why);
}

int main(int argc, char **argv)
{
	struct configuration *conf;
	struct why why = { 0 };
	int exit_code;

	if (argc == 2 && !strcmp(argv[1], CHECKPASSWORD_REPLY))
		return checkpassword_reply();
	if (service_start(argc, argv, "authd", "usage: authd [-c FILE]\n", &conf, &exit_code) != RESULT_OK)
		return exit_code;
	for (size_t i = 0; i < WORKERS_MAX; i++)
		authd.workers[i].fd = -1;
	if (start(conf, &why) != RESULT_OK || loop_run(authd.loop, &why) != RESULT_OK) {
		log_failure("unable-to-go-on", &why);
		return EX_OSERR;
	}
	return authd.exit_code;
}
