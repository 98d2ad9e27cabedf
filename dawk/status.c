/* dawk status: what runs, what waits, what fails. */
#include "cert.h"
#include "command.h"
#include "probe.h"
#include "queue_command.h"
#include "queue_view.h"
#include "user_hold.h"
#include "common/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	REASONS_MAX = 50,	/* different ones that are counted */
	REASONS_SHOWN = 10,
	LOOK_MAX = 20000,	/* messages whose reasons are read */
	NAME_WAIT_MS = 5000,	/* for a client's host name before the greeting, smtpd/session_start.c */
};

/* ---- what runs ---- */

struct service_row {
	const char *service, *listener;
	struct why why;		/* why it is down; empty: it answers */
	bool is_unknown;	/* the caller may not ask it */
};

/* A wildcard address answers at the loopback one; what is bound to IPv6 alone there, at ::1. */
static struct sockaddr_storage reachable(const struct listener *listener)
{
	struct sockaddr_storage address = listener->address;
	struct sockaddr_in *four = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
	if (address.ss_family == AF_INET && four->sin_addr.s_addr == htonl(INADDR_ANY))
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (address.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr)) {
		in_port_t port = six->sin6_port;
		address = (struct sockaddr_storage){ 0 };
		four->sin_family = AF_INET;
		four->sin_port = port;
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	return address;
}

struct report {
	const struct configuration *conf;
	bool is_json, is_first;
	unsigned down;
};

static void print_service(struct report *report, const struct service_row *row)
{
	bool is_up = !*row->why.text;
	report->down += !is_up && !row->is_unknown;
	if (!report->is_json) {
		printf("%-8s %-4s %s%s%s\n", row->service, is_up ? "up" : row->is_unknown ? "?" : "DOWN", row->listener,
		       is_up ? "" : ": ", row->why.text);
		return;
	}
	printf("%s{\"service\":\"%s\",\"up\":%s,\"listener\":", report->is_first ? "" : ",", row->service,
	       is_up ? "true" : row->is_unknown ? "null" : "false");
	json_string(stdout, row->listener, strlen(row->listener));
	fputs(",\"why\":", stdout);
	json_string(stdout, row->why.text, strlen(row->why.text));
	putchar('}');
	report->is_first = false;
}

static void report_listeners(struct report *report, const char *service, const struct listener_list *list, char expected, bool is_tls)
{
	uint32_t more_ms = expected == '2' ? NAME_WAIT_MS + report->conf->greet_delay_seconds * 1000 : 0;
	struct probe probe = { .expected = expected, .is_tls = is_tls, .more_ms = more_ms };
	for (size_t i = 0; i < list->count; i++) {
		struct service_row row = { .service = service, .listener = list->items[i].text };
		struct sockaddr_storage address = reachable(&list->items[i]);
		socklen_t size = address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
		probe_listener(&probe, (const struct sockaddr *)&address, size, &row.why);
		print_service(report, &row);
	}
}

static void report_local(struct report *report)
{
	struct service_row row = { .service = "smtpd", .listener = report->conf->listen_local };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (!row.listener)
		return;
	if (strlen(row.listener) >= sizeof address.sun_path) {
		why_set(&row.why, RESULT_NEVER, "the path is too long for a socket");
	} else {
		struct probe probe = { .expected = '2', .more_ms = report->conf->greet_delay_seconds * 1000 };
		memcpy(address.sun_path, row.listener, strlen(row.listener));
		probe_listener(&probe, (const struct sockaddr *)&address, sizeof address, &row.why);
	}
	print_service(report, &row);
}

static void report_queued(struct report *report)
{
	char path[4200];
	char *none[] = { "" };
	int code;
	struct service_row row = { .service = "queued", .listener = path };
	snprintf(path, sizeof path, "%s/queued", report->conf->run_directory);
	enum result result = queue_control(report->conf, "status", none, 1, NULL, &code, &row.why);
	if (result == RESULT_END)
		why_set(&row.why, RESULT_RETRY, "does not run");
	row.is_unknown = row.why.errno_value == EACCES;
	if (row.is_unknown)
		why_set(&row.why, RESULT_RETRY, "only root may ask it");
	print_service(report, &row);
	struct queue_teller teller = { .is_json = report->is_json };
	if (report->is_json)
		fputs("],\"figures\":[", stdout);
	if (result == RESULT_OK)
		queue_control(report->conf, "status", none, 1, &teller, &code, &row.why);
}

static void report_services(struct report *report)
{
	const struct configuration *conf = report->conf;
	report_local(report);
	report_listeners(report, "smtpd", &conf->listen_smtp, '2', false);
	report_listeners(report, "smtpd", &conf->listen_submission, '2', false);
	report_listeners(report, "smtpd", &conf->listen_submissions, '2', true);
	report_listeners(report, "pop3d", &conf->listen_pop3, '+', false);
	report_listeners(report, "pop3d", &conf->listen_pop3s, '+', true);
	report_queued(report);
}

/* ---- certificates ---- */

static void print_certificate_json(struct report *report, const struct cert_row *row)
{
	printf("%s{\"file\":", report->is_first ? "" : ",");
	json_string(stdout, row->file, strlen(row->file));
	if (row->facts) {
		fputs(",\"names\":", stdout);
		json_string(stdout, row->facts->names, strlen(row->facts->names));
		printf(",\"days\":%lld,\"not_after\":%lld", (long long)row->days_left, (long long)row->facts->not_after);
	}
	fputs(",\"fault\":", stdout);
	json_string(stdout, row->fault ? row->fault : "", row->fault ? strlen(row->fault) : 0);
	putchar('}');
	report->is_first = false;
}

static void print_certificate(void *context, const struct cert_row *row)
{
	struct report *report = context;

	if (row->is_unknown && !row->facts)
		return;		/* root's business */
	if (report->is_json)
		print_certificate_json(report, row);
	else if (!row->facts)
		printf("tls      BAD  %s: %s\n", row->file, row->fault);
	else
		printf("tls      %-4s %s, %lld days%s%s%s\n", row->is_fault ? "BAD" : row->fault ? "SOON" : "ok", row->file, (long long)row->days_left,
		       row->facts->is_self_signed ? ", signs itself" : "", row->fault ? ": " : "", row->fault ? row->fault : "");
}

/* ---- what waits, what fails ---- */

struct reason { uint64_t count; char text[200]; };
struct census {
	const struct queue_directories *queue;
	uint64_t count[QUEUE_PLACES], oldest_us[QUEUE_PLACES];
	uint64_t looked_at;
	struct view view;
	stralloc text;
	struct reason reasons[REASONS_MAX];
	size_t reason_count;
};

static void count_reason(struct census *census)
{
	char text[sizeof census->reasons[0].text];
	size_t i = 0;
	census->text.len = 0;
	if (!view_append_reason(&census->text, &census->view.last) || !text_append_nul(&census->text))
		return;
	snprintf(text, sizeof text, "%s", census->text.s);
	while (i < census->reason_count && strcmp(census->reasons[i].text, text))
		i++;
	if (i == REASONS_MAX)
		return;
	if (i == census->reason_count)
		memcpy(census->reasons[census->reason_count++].text, text, sizeof text);
	census->reasons[i].count++;
}

static bool take(void *context, enum queue_place place, const char *id)
{
	struct census *census = context;
	uint64_t arrived = queue_id_time_us(id);
	if (!census->count[place]++ || arrived < census->oldest_us[place])
		census->oldest_us[place] = arrived;
	if ((place == QUEUE_CUR || place == QUEUE_HOLD) && census->looked_at < LOOK_MAX) {
		census->looked_at++;
		if (view_read_trouble(&census->view, census->queue, id, NULL) == RESULT_OK && census->view.has_last)
			count_reason(census);
	}
	return true;
}

static int more_often(const void *a, const void *b)
{
	const struct reason *one = a, *two = b;
	return one->count < two->count ? 1 : one->count > two->count ? -1 : 0;
}

static void print_census(const struct census *census, bool is_json)
{
	static const enum queue_place places[] = { QUEUE_NEW, QUEUE_CUR, QUEUE_HOLD, QUEUE_CORRUPT };
	uint64_t now = time_real_us();
	char age[VIEW_WORD_MAX];
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		uint64_t count = census->count[places[i]], oldest = census->oldest_us[places[i]];
		uint64_t old = count && now > oldest ? now - oldest : 0;
		if (is_json)
			printf("%s\"%s\":{\"messages\":%llu,\"oldest_seconds\":%llu}", i ? "," : "", view_place_word(places[i]),
			       (unsigned long long)count, (unsigned long long)(old / 1000000));
		else if (count)
			printf("%-8s %llu, the oldest %s\n", view_place_word(places[i]), (unsigned long long)count, view_age(old, age));
		else
			printf("%-8s 0\n", view_place_word(places[i]));
	}
}

static void print_reasons(const struct census *census, bool is_json)
{
	for (size_t i = 0; i < census->reason_count && i < REASONS_SHOWN; i++) {
		const struct reason *reason = &census->reasons[i];
		if (!is_json) {
			print_shown(stdout, "fails    %llu: %s\n", (unsigned long long)reason->count, reason->text);
			continue;
		}
		printf("%s{\"messages\":%llu,\"reason\":", i ? "," : "", (unsigned long long)reason->count);
		json_string(stdout, reason->text, strlen(reason->text));
		putchar('}');
	}
}

static int report_queue(const struct report *report)
{
	struct queue_directories queue;
	static struct census census;
	struct why why = { 0 };
	if (view_open_queue(report->conf, &queue, &why) != RESULT_OK) {
		if (report->is_json)
			fputs("],\"queue\":null}\n", stdout);
		return command_fail("status", why.errno_value == EACCES ? EX_NOPERM : EX_OSFILE, "%s", why.text);
	}
	census = (struct census){ .queue = &queue };
	enum result result = view_walk(&queue, take, &census, &why);
	qsort(census.reasons, census.reason_count, sizeof *census.reasons, more_often);
	if (report->is_json)
		fputs("],\"queue\":{", stdout);
	print_census(&census, report->is_json);
	if (report->is_json)
		fputs("},\"fails\":[", stdout);
	print_reasons(&census, report->is_json);
	if (report->is_json)
		fputs("]}\n", stdout);
	view_free(&census.view);
	stralloc_free(&census.text);
	view_close_queue(&queue);
	return result == RESULT_OK ? EX_OK : command_fail_why("status", result, &why);
}

int command_status(struct configuration *conf, int argc, char **argv)
{
	struct report report = { .conf = conf, .is_first = true };
	report.is_json = argc == 2 && !strcmp(argv[1], "--json");
	if (argc > 1 && !report.is_json)
		return command_usage("status", "it takes --json alone");
	if (report.is_json)
		fputs("{\"services\":[", stdout);
	report_services(&report);
	report.is_first = true;
	if (report.is_json)
		fputs("],\"certificates\":[", stdout);
	cert_each(conf, print_certificate, &report);
	if (report.is_json)
		fputs("],\"held\":[", stdout);
	user_hold_report(conf, report.is_json);
	int code = report_queue(&report);
	return code ? code : report.down ? EX_UNAVAILABLE : EX_OK;
}
