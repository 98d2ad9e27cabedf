/* dawk.conf: syntax, types, defaults, errors. */
#include "common/configuration.h"
#include "unit.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], file[PATH_MAX];

static enum result load(const char *text, struct configuration **conf, struct why *why)
{
	FILE *out = fopen(file, "w");

	*why = (struct why){ 0 };
	fputs(text, out);
	fclose(out);
	return configuration_load(file, conf, why);
}

static struct configuration *load_right(const char *text)
{
	struct configuration *conf;
	struct why why;

	CHECK(load(text, &conf, &why) == RESULT_OK);
	if (*why.text)
		printf("# %s\n", why.text);
	return conf;
}

static void defaults_suit(void)
{
	struct configuration *conf = load_right("hostname = mail.example\n");

	CHECK_STRING(conf->hostname, "mail.example");
	CHECK(conf->domains.count == 1);
	CHECK_STRING(conf->domains.items[0], "mail.example");
	CHECK(conf->relay_domains.count == 0 && conf->resolver.count == 0 && conf->tls_certificate.count == 0);
	CHECK(conf->listen_smtp.count == 1 && conf->relay_networks.count == 2 && conf->expn_networks.count == 0);
	CHECK(conf->message_size_limit_bytes == 50 << 20 && conf->recipient_limit == 1000 && conf->received_limit == 50);
	CHECK(conf->smtp_timeout_seconds == 300 && conf->message_timeout_seconds == 3600 && conf->greet_delay_seconds == 0);
	CHECK(conf->retry.count == 7 && conf->retry.items[0] == 300 && conf->retry.items[6] == 4 * 3600);
	CHECK(conf->queue_lifetime_seconds == 5 * 86400 && conf->delay_warning_seconds == 4 * 3600);
	CHECK(conf->bare_newline == BARE_NEWLINE_REJECT && conf->quota_policy == QUOTA_DEFER && !conf->vrfy && !conf->system_users);
	CHECK(conf->checkpassword == NULL && conf->tls_report_contact == NULL && conf->smtpd_workers > 0 && conf->pop3d_workers > 0 && conf->local_concurrency == 200);
	CHECK_STRING(conf->run_directory, "/run/dawk");
	CHECK_STRING(conf->listen_local, "/run/dawk/submit");
	CHECK_STRING(conf->subaddress, "+");
	CHECK_STRING(conf->directory, folder);
	configuration_free(conf);
}

static void settings_are_read(void)
{
	struct configuration *conf = load_right(
		"# a comment\n"
		"hostname = Mail.Example  # its name\n"
		"domains = One.example\n"
		"  # a comment between\n"
		"\n"
		"\ttwo.example   m\xc3\xbcnchen.example\n"
		"relay-domains = relay.example .sub.example\n"
		"listen-smtp = 127.0.0.1:2525 [::1]:2526\n"
		"listen-pop3 = none\n"
		"listen-local = none\n"
		"relay-networks = any\n"
		"clear-login = none\n"
		"message-size-limit = 64k\n"
		"message-size-limit = 2M\n"
		"retry = 1s 2m\n"
		"resolver = 127.0.0.1@5300 ::1\n"
		"run-directory = ../run\n"
		"queue = /var/q/\n"
		"users = lists/users\n"
		"vrfy=yes\n"
		"bare-newline = normalize\n"
		"subaddress = +#\n"
		"tls-report-contact = TLS-reports@Mail.Example\n"
		"smtpd-workers = 3\r\n");
	char path[PATH_MAX];

	CHECK_STRING(conf->hostname, "mail.example");
	CHECK(conf->domains.count == 3);
	CHECK_STRING(conf->domains.items[0], "one.example");
	CHECK_STRING(conf->domains.items[2], "xn--mnchen-3ya.example");
	CHECK(conf->listen_smtp.count == 2 && conf->listen_pop3.count == 0 && conf->listen_local == NULL);
	CHECK_STRING(conf->listen_smtp.items[1].text, "[::1]:2526");
	CHECK(conf->relay_networks.is_any && conf->clear_login.count == 0 && !conf->clear_login.is_any);
	CHECK(conf->message_size_limit_bytes == 2 << 20);
	CHECK(conf->retry.count == 2 && conf->retry.items[1] == 120);
	CHECK(conf->resolver.count == 2);
	CHECK_STRING(conf->run_directory, "/tmp/run");
	CHECK_STRING(conf->queue, "/var/q");
	snprintf(path, sizeof path, "%s/lists/users", folder);
	CHECK_STRING(conf->users, path);
	CHECK(conf->vrfy && conf->bare_newline == BARE_NEWLINE_NORMALIZE && conf->smtpd_workers == 3);
	CHECK_STRING(conf->subaddress, "+#");
	CHECK_STRING(conf->tls_report_contact, "TLS-reports@mail.example");
	configuration_free(conf);
}

static void errors_name_file_line_and_what_was_expected(void)
{
	static const struct { const char *text, *place, *expected; } rows[] = {
		{ "bogus = 1\n", ":1: bogus: ", "a name of dawk.conf" },
		{ "\n\nvrfy = maybe\n", ":3: vrfy: ", "yes or no, found \"maybe\"" },
		{ "novalue\n", ":1: ", "name = value" },
		{ " vrfy = no\n", ":1: ", "continues a setting" },
		{ "retry =\n", ":1: retry: ", "times like" },
		{ "retry = 1s 2x\n", ":1: retry: ", "found \"2x\"" },
		{ "retry = 0s\n", ":1: retry: ", "1 to " },
		{ "domains = a.example\n  -b.example\n", ":1: domains: ", "found \"-b.example\"" },
		{ "relay-networks = 10.0.0.1/8\n", ":1: relay-networks: ", "found \"10.0.0.1/8\"" },
		{ "listen-smtp = 25\n", ":1: listen-smtp: ", "ADDRESS:PORT" },
		{ "message-size-limit = 99999999999999999999\n", ":1: message-size-limit: ", "a size" },
		{ "message-size-limit = 17179869184G\n", ":1: message-size-limit: ", "a size" },
		{ "recipient-limit = -1\n", ":1: recipient-limit: ", "a number" },
		{ "recipient-limit = 0\n", ":1: recipient-limit: ", "(1 to 1000000)" },
		{ "smtpd-workers = 65\n", ":1: smtpd-workers: ", "(0 to 64)" },
		{ "queue =\n", ":1: queue: ", "a path" },
		{ "hostname = a b\n", ":1: hostname: ", "a host name" },
		{ "resolver = here\n", ":1: resolver: ", "found \"here\"" },
		{ "tls-report-contact = postmaster\n", ":1: tls-report-contact: ", "an address like" },
		{ "tls-key = a.pem\n", ": tls-key: ", "as many files" },
		{ "vrfy = no # x\nvrfy = no x\n", ":2: vrfy: ", "yes or no" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct configuration *conf;
		struct why why;
		CHECK(load(rows[i].text, &conf, &why) == RESULT_NEVER);
		CHECK(conf == NULL);
		CHECK(strncmp(why.text, file, strlen(file)) == 0);
		if (!strstr(why.text, rows[i].place) || !strstr(why.text, rows[i].expected))
			printf("# %s\n", why.text);
		CHECK(strstr(why.text, rows[i].place) && strstr(why.text, rows[i].expected));
	}
}

static void a_missing_file_may_come_later(void)
{
	struct configuration *conf;
	struct why why;

	CHECK(configuration_load("/nonexistent/dawk.conf", &conf, &why) == RESULT_RETRY);
	CHECK(conf == NULL && strstr(why.text, "/nonexistent/dawk.conf"));
}

static void domains_are_looked_up(void)
{
	struct configuration *conf = load_right("hostname = h.example\ndomains = a.example b.example\n"
	                                        "relay-domains = r.example .s.example\n");
	static const struct { const char *domain; bool is_local, is_relay; } rows[] = {
		{ "a.example", true, false }, { "b.example", true, false }, { "c.example", false, false }, { "x.a.example", false, false },
		{ "r.example", false, true }, { "x.r.example", false, false }, { "s.example", false, false }, { "x.s.example", false, true },
		{ "x.y.s.example", false, true }, { "", false, false }, { "example", false, false }, { ".s.example", false, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0] - 1; i++) {
		CHECK(configuration_is_local_domain(conf, rows[i].domain, strlen(rows[i].domain)) == rows[i].is_local);
		CHECK(configuration_is_relay_domain(conf, rows[i].domain, strlen(rows[i].domain)) == rows[i].is_relay);
	}
	configuration_free(conf);
}

struct seen { unsigned rows, defaults; char vrfy[64], origin[PATH_MAX + 16]; };

static void take_row(void *context, const char *name, const char *value, const char *origin, const char *help)
{
	struct seen *seen = context;

	seen->rows++;
	seen->defaults += strcmp(origin, "default") == 0;
	CHECK(value && *help);
	if (strcmp(name, "vrfy") == 0) {
		snprintf(seen->vrfy, sizeof seen->vrfy, "%s", value);
		snprintf(seen->origin, sizeof seen->origin, "%s", origin);
	}
}

static void rows_tell_where_values_come_from(void)
{
	struct configuration *conf = load_right("hostname = h.example\nvrfy = no\nvrfy = yes\n");
	struct seen seen = { 0 };
	char origin[PATH_MAX + 16];

	configuration_rows(conf, take_row, &seen);
	snprintf(origin, sizeof origin, "%s:3", file);
	CHECK(seen.rows > 40 && seen.defaults == seen.rows - 2);
	CHECK_STRING(seen.vrfy, "yes");
	CHECK_STRING(seen.origin, origin);
	configuration_free(conf);
}

int main(void)
{
	snprintf(folder, sizeof folder, "/tmp/unit-configuration-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(file, sizeof file, "%s/dawk.conf", folder);
	UNIT_RUN(defaults_suit);
	UNIT_RUN(settings_are_read);
	UNIT_RUN(errors_name_file_line_and_what_was_expected);
	UNIT_RUN(a_missing_file_may_come_later);
	UNIT_RUN(domains_are_looked_up);
	UNIT_RUN(rows_tell_where_values_come_from);
	unlink(file);
	rmdir(folder);
	return unit_end();
}
