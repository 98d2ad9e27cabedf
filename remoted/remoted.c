/* remoted: next-hop choice and outbound SMTP and LMTP, many sessions in one loop. A helper: queued
 * starts it, hands it each message as an open descriptor, and hears of each recipient. smtpd starts one too, which asks
 * the hosts of relay domains whether they take a recipient (call.h). */
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "common/tls_files.h"
#include "remoted/call.h"
#include "remoted/login.h"
#include "remoted/session.h"
#include "remoted/site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	SWEEP_MS = 60000,
	END_TICK_MS = 50, END_TICKS = 80,	/* for answers at the end: four seconds, of the five that queued waits for results */
};

struct remoted remoted;

static struct channel queued, opener;
static struct job *incomplete;		/* its recipients' frames follow at once */
static struct timer sweep, end_timer;
static unsigned end_ticks;

/* ---- where does it go? ---- */

struct site_question {
	struct site_ask ask;
	uint64_t serial;	/* of queued's question */
	struct job *job;	/* or a job whose site this process does not know (it was started anew) */
};

static void tell_site(uint64_t serial, const struct site *site, int verdict, const char *status, const char *words)
{
	struct wire_value values[SITE_TELL_FIELDS] = {
		[SITE_TELL_SERIAL] = WIRE_NUMBER(serial),
		[SITE_TELL_VERDICT] = WIRE_NUMBER(verdict),
		[SITE_TELL_SITE] = WIRE_STRING(site ? site->key : ""),
		[SITE_TELL_TTL_SECONDS] = WIRE_NUMBER(site ? site_ttl_seconds(site) : 0),
		[SITE_TELL_STATUS] = WIRE_STRING(status),
		[SITE_TELL_WORDS] = WIRE_BYTES(words, strnlen(words, WIRE_WORDS_MAX)),
	};
	struct why why = { 0 };

	if (channel_send(&queued, FRAME_SITE_TELL, values, -1, &why) != RESULT_OK)
		log_failure("result-dropped", &why);
}

static void site_found(struct site_ask *ask, struct site *site, int verdict, const char *status, const char *words)
{
	struct site_question *question = container_of(ask, struct site_question, ask);

	if (!question->job) {
		tell_site(question->serial, site, verdict, status, words);
	} else if (site) {
		site_start_job(site, question->job);
	} else {
		job_tell_rest(question->job, (enum delivery_verdict)verdict, status, "", words);
		job_free(question->job);
	}
	free(question);
}

static void ask_site(const char *next_hop, uint64_t serial, struct job *job)
{
	struct site_question *question = calloc(1, sizeof *question);

	if (question) {
		question->serial = serial;
		question->job = job;
		site_find(&question->ask, next_hop, site_found);
		return;
	}
	if (!job) {
		tell_site(serial, NULL, DELIVERY_DEFERRED, "4.3.0", "no memory for a look-up");
		return;
	}
	job_tell_rest(job, DELIVERY_DEFERRED, "4.3.0", "", "no memory for a look-up");
	job_free(job);
}

/* ---- frames ---- */

static void start_job(struct job *job)
{
	struct site *site = site_of_key(job->site);

	if (site)
		site_start_job(site, job);
	else
		ask_site(job->next_hop, 0, job);
}

static enum result take_job(struct frame *f, struct why *why)
{
	if (incomplete) {
		close(f->descriptor);
		return why_set(why, RESULT_PEER, "a job before the recipients of the last one");
	}
	incomplete = job_make(&queued, f, why);
	return incomplete ? RESULT_OK : RESULT_PEER;
}

static enum result take_recipient(const struct frame *f, struct why *why)
{
	struct job *job = incomplete;
	enum result result;

	if (!job || job->number != f->value[REMOTE_RECIPIENT_JOB].number)
		return why_set(why, RESULT_PEER, "a recipient without a job");
	result = job_add_recipient(job, f, why);
	if (result == RESULT_OK && job_is_complete(job)) {
		incomplete = NULL;
		start_job(job);
	}
	return result;
}

static void queued_frame(struct channel *channel, struct frame *f)
{
	char next_hop[WIRE_ADDRESS_MAX + 1];
	struct why why = { 0 };
	enum result result = RESULT_PEER;

	if (f->type == FRAME_REMOTE_JOB) {
		result = take_job(f, &why);
	} else if (f->type == FRAME_REMOTE_RECIPIENT) {
		result = take_recipient(f, &why);
	} else if (f->type == FRAME_SITE_ASK && frame_value_copy(f, SITE_ASK_NEXT_HOP, next_hop, sizeof next_hop)) {
		ask_site(next_hop, f->value[SITE_ASK_SERIAL].number, NULL);
		result = RESULT_OK;
	} else if (f->descriptor >= 0) {
		close(f->descriptor);
	}
	if (result == RESULT_OK)
		return;
	log_failure("bad-frame", &why);
	channel_close(channel);
	loop_stop(remoted.loop);	/* the opener starts this process anew, queued defers what was here */
}

static void queued_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	if (why->text[0])
		log_failure("link-failed", why);
	loop_stop(remoted.loop);
}

static void opener_frame(struct channel *channel, struct frame *f)
{
	(void)channel;
	if (f->type == FRAME_ROUTE_LOGINS)
		login_take_table(f->descriptor);
	else if (f->descriptor >= 0)
		close(f->descriptor);
}

static void opener_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	(void)why;	/* the control socket tells of its end */
}

static void greet(const char *peer, unsigned index, int fd)
{
	struct why why = { 0 };
	enum result result;

	if (!strcmp(peer, "worker"))
		result = call_join(index, fd, &why);
	else if (!strcmp(peer, "scheduler"))
		result = channel_open(&queued, remoted.loop, fd, queued_frame, queued_lost, &why);
	else if (!strcmp(peer, "stsd"))
		result = sts_client_join(&remoted.sts, fd, &why);
	else if (!strcmp(peer, "opener"))
		result = channel_open(&opener, remoted.loop, fd, opener_frame, opener_lost, &why);
	else
		result = dns_client_join(&remoted.dns, fd, &why);
	if (result != RESULT_OK)
		service_link_failed(&why);
}

/* What ends between content and answer arrives twice. */
static void end_fired(struct timer *timer)
{
	if (!session_end_all(true) || ++end_ticks == END_TICKS)
		loop_stop(remoted.loop);
	else
		loop_set_timer(remoted.loop, timer, END_TICK_MS, end_fired);
}

static void ended(void)
{
	end_fired(&end_timer);
}

static void sweep_fired(struct timer *timer)
{
	site_sweep();
	loop_set_timer(remoted.loop, timer, SWEEP_MS, sweep_fired);
}

/* ---- start ---- */

static enum result enter_sandbox(const struct configuration *conf, struct why *why)
{
	char tables[4096];
	const struct sandbox_path paths[] = { { tables, ALLOW_READ } };
	struct identity identity;
	enum result result = sandbox_identity(ROLE_REMOTED, &identity, why);

	if (!configuration_path(conf, "tables", tables, sizeof tables))
		return why_set(why, RESULT_STOP, "the path of the tables is too long");
	if (result == RESULT_OK)
		result = sandbox_enter(ROLE_REMOTED, &identity, paths, 1, why);
	return result;
}

static enum result trust_file(const char *path, struct why *why)
{
	struct why cause = { 0 };
	char *pem;
	size_t length;

	if (tls_file_read(path, &pem, &length, &cause) != RESULT_OK || tls_client_trust(remoted.tls, pem, length, &cause) != RESULT_OK)
		return why_set(why, RESULT_STOP, "tls-authorities: %.100s: %.100s", path, cause.text);
	free(pem);
	return RESULT_OK;
}

/* Without a trust store TLS goes on, and whatever wants a certificate that an authority vouches for says why it waits. */
static enum result make_tls(const struct configuration *conf, struct why *why)
{
	struct why trouble = { 0 };
	enum result result = tls_client_make(true, &remoted.tls, &trouble);
	size_t i;

	if (result == RESULT_NEVER) {
		log_failure("no-trust-store", &trouble);
		result = tls_client_make(false, &remoted.tls, &trouble);
	}
	if (result != RESULT_OK)
		return why_set(why, RESULT_STOP, "%s", trouble.text);
	for (i = 0; i < conf->tls_authorities.count && result == RESULT_OK; i++)
		result = trust_file(conf->tls_authorities.items[i], why);
	return result;
}

static enum result open_tables(const struct configuration *conf, struct why *why)
{
	struct table_directory *directory;
	char tables[4096];
	enum result result;

	if (!configuration_path(conf, "tables", tables, sizeof tables))
		return why_set(why, RESULT_STOP, "the path of the tables is too long");
	result = table_directory_open(tables, &directory, why);
	if (result == RESULT_OK)
		result = table_open(directory, "routes", &remoted.routes, why);
	if (result == RESULT_OK)
		result = table_open(directory, "site", &remoted.site_rules, why);
	return result;
}

int main(int argc, char **argv)
{
	static const char usage[] =
		"usage: remoted [-c FILE]\n"
		"Sends mail to other hosts; started by queued, not by hand.\n";
	struct configuration *conf;
	struct why why = { 0 };
	enum result result;
	int exit_code;

	if (service_start(argc, argv, "remoted", usage, &conf, &exit_code) != RESULT_OK)
		return exit_code;
	remoted.conf = conf;
	queued.fd = -1;
	result = loop_make(&remoted.loop, &why);
	if (result == RESULT_OK) {
		dns_client_init(&remoted.dns, remoted.loop);
		sts_client_init(&remoted.sts, remoted.loop);
		result = service_join(remoted.loop, greet, ended, &why);
	}
	if (result == RESULT_OK)
		result = open_tables(conf, &why);
	if (result == RESULT_OK)
		result = hosts_know_self(conf, &why);
	if (result == RESULT_OK)
		result = make_tls(conf, &why);
	if (result == RESULT_OK)
		result = enter_sandbox(conf, &why);
	if (result == RESULT_OK) {
		loop_set_timer(remoted.loop, &sweep, SWEEP_MS, sweep_fired);
		result = loop_run(remoted.loop, &why);
	}
	if (result != RESULT_OK) {
		log_failure("unable-to-run", &why);
		return EX_OSERR;
	}
	session_end_all(false);
	call_end_all();
	if (queued.fd >= 0)
		channel_flush(&queued, &why);
	log_flush();
	return EX_OK;
}
