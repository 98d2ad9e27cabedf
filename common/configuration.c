/* See configuration.h. The names of dawk.conf are the table below; man/dawk.conf.5 has an entry for each. */
#include "configuration.h"
#include "address.h"
#include "configuration_value.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, DAY = 86400, YEAR = 365 * DAY };
static const uint64_t GIGABYTE = 1024 * 1024 * 1024;

struct name {
	const char *name;
	enum value_type type;
	size_t offset;			/* into struct configuration */
	uint64_t least, most;		/* most 0: no limits */
	const char *text;		/* the default as it would stand in the file; NULL: derive_defaults */
	const char *help;
};

#define AT(field) offsetof(struct configuration, field)
static const struct name names[] = {
	{ "hostname", VALUE_HOSTNAME, AT(hostname), 0, 0, NULL, "name of this host in banner, HELO, Received and Message-ID" },
	{ "domains", VALUE_DOMAINS, AT(domains), 0, 0, NULL, "domains whose mailboxes live here" },
	{ "relay-domains", VALUE_RELAY_DOMAINS, AT(relay_domains), 0, 0, "", "domains accepted for onward relay; .domain: all below it" },
	{ "listen-smtp", VALUE_LISTENERS, AT(listen_smtp), 0, 0, "[::]:25", "where other hosts bring mail" },
	{ "listen-submission", VALUE_LISTENERS, AT(listen_submission), 0, 0, "[::]:587", "submission with STARTTLS" },
	{ "listen-submissions", VALUE_LISTENERS, AT(listen_submissions), 0, 0, "[::]:465", "submission with TLS from the start" },
	{ "listen-pop3", VALUE_LISTENERS, AT(listen_pop3), 0, 0, "[::]:110", "POP3" },
	{ "listen-pop3s", VALUE_LISTENERS, AT(listen_pop3s), 0, 0, "[::]:995", "POP3 with TLS from the start" },
	{ "listen-local", VALUE_PATH_OR_NONE, AT(listen_local), 0, 0, NULL, "socket for local programs (sendmail)" },
	{ "relay-networks", VALUE_NETWORKS, AT(relay_networks), 0, 0, "127.0.0.0/8 ::1/128", "clients that may send anywhere" },
	{ "message-size-limit", VALUE_SIZE, AT(message_size_limit_bytes), 65536, 64 * GIGABYTE, "50M", "largest message" },
	{ "recipient-limit", VALUE_NUMBER, AT(recipient_limit), 1, 1000000, "1000", "recipients of a message" },
	{ "client-limit", VALUE_NUMBER, AT(client_limit), 1, 1000000, "50", "connections per client address" },
	{ "error-limit", VALUE_NUMBER, AT(error_limit), 1, 1000000, "10", "errors per session" },
	{ "received-limit", VALUE_NUMBER, AT(received_limit), 1, 10000, "50", "Received lines before a message counts as looping" },
	{ "smtp-timeout", VALUE_SECONDS, AT(smtp_timeout_seconds), 1, DAY, "5m", "wait for an SMTP client's next command or data" },
	{ "message-timeout", VALUE_SECONDS, AT(message_timeout_seconds), 1, 7 * DAY, "1h", "longest time for the data of one message" },
	{ "pop3-timeout", VALUE_SECONDS, AT(pop3_timeout_seconds), 1, DAY, "10m", "wait for a POP3 client's next command" },
	{ "connect-timeout", VALUE_SECONDS, AT(connect_timeout_seconds), 1, DAY, "30s", "outbound: a connection" },
	{ "greeting-timeout", VALUE_SECONDS, AT(greeting_timeout_seconds), 1, DAY, "5m", "outbound: the banner" },
	{ "command-timeout", VALUE_SECONDS, AT(command_timeout_seconds), 1, DAY, "5m", "outbound: a reply" },
	{ "starttls-timeout", VALUE_SECONDS, AT(starttls_timeout_seconds), 1, DAY, "1m", "outbound: the answer to STARTTLS, and the TLS handshake" },
	{ "data-timeout", VALUE_SECONDS, AT(data_timeout_seconds), 1, DAY, "10m", "outbound: the reply to the final dot" },
	{ "greet-delay", VALUE_SECONDS, AT(greet_delay_seconds), 0, 60, "0s", "wait before the banner, to catch early talkers" },
	{ "clear-login", VALUE_NETWORKS, AT(clear_login), 0, 0, "127.0.0.0/8 ::1/128", "POP3 clients that may send passwords without TLS" },
	{ "bare-newline", VALUE_BARE_NEWLINE, AT(bare_newline), 0, 0, "reject", "what a lone CR or LF in content gets" },
	{ "sender-domain-check", VALUE_YES_NO, AT(sender_domain_check), 0, 0, "yes", "refuse senders of other hosts whose domain does not exist" },
	{ "vrfy", VALUE_YES_NO, AT(vrfy), 0, 0, "no", "VRFY says whether a mailbox exists" },
	{ "expn-networks", VALUE_NETWORKS, AT(expn_networks), 0, 0, "none", "clients that may use EXPN" },
	{ "retry", VALUE_WAITS, AT(retry), 1, 30 * DAY, "5m 15m 15m 30m 1h 2h 4h", "waits between attempts; the last repeats" },
	{ "delay-warning", VALUE_SECONDS, AT(delay_warning_seconds), 0, YEAR, "4h", "tell the sender of a delay after this; 0s: never" },
	{ "queue-lifetime", VALUE_SECONDS, AT(queue_lifetime_seconds), 1, YEAR, "5d", "give up after this" },
	{ "resolver", VALUE_RESOLVER, AT(resolver), 0, 0, "system", "name servers to ask" },
	{ "dnssec", VALUE_YES_NO, AT(dnssec), 0, 0, "yes", "validate DNS answers" },
	{ "trust-anchor", VALUE_PATH_OR_NONE, AT(trust_anchor), 0, 0, "/usr/share/dns/root.key", "DNSSEC keys of the root" },
	{ "dane", VALUE_YES_NO, AT(dane), 0, 0, "yes", "outbound: TLSA records judge certificates (RFC 7672)" },
	{ "tls-authorities", VALUE_PATHS, AT(tls_authorities), 0, 0, "", "outbound: PEM files of authorities that are trusted besides the system's" },
	{ "subaddress", VALUE_CHARACTERS, AT(subaddress), 0, 0, "+", "separators between user and extension" },
	{ "queue", VALUE_PATH, AT(queue), 0, 0, "/var/spool/dawk", "folder of the queue" },
	{ "mailboxes", VALUE_PATH, AT(mailboxes), 0, 0, "/var/mail/dawk", "folder of the virtual mailboxes" },
	{ "run-directory", VALUE_PATH, AT(run_directory), 0, 0, "/run/dawk", "folder of sockets and locks" },
	{ "state-directory", VALUE_PATH, AT(state_directory), 0, 0, "/var/lib/dawk", "folder of what is remembered over a restart" },
	{ "program-timeout", VALUE_SECONDS, AT(program_timeout_seconds), 1, DAY, "5m", "time a |program gets" },
	{ "system-users", VALUE_YES_NO, AT(system_users), 0, 0, "no", "accounts of the system have mailboxes in the first domain" },
	{ "sync", VALUE_SYNC, AT(sync), 0, 0, "auto", "how files are made durable: files, filesystem, or auto" },
	{ "relay-check", VALUE_RELAY_CHECK, AT(relay_check), 0, 0, "ask", "who exists in relay-domains: the table, or the inner host is asked" },
	{ "relay-away", VALUE_RELAY_AWAY, AT(relay_away), 0, 0, "accept", "mail for relay-domains while the inner host can't be asked" },
	{ "quota-policy", VALUE_QUOTA_POLICY, AT(quota_policy), 0, 0, "defer", "what mail for a full mailbox gets at RCPT" },
	{ "checkpassword", VALUE_PATH_OR_NONE, AT(checkpassword), 0, 0, "none", "program that judges logins" },
	{ "oauth-checker", VALUE_PATH_OR_NONE, AT(oauth_checker), 0, 0, "none", "program that judges bearer tokens" },
	{ "auth-listeners", VALUE_LISTENER_NAMES, AT(auth_listeners), 0, 0, "submission submissions", "listeners where SMTP clients may log in, under TLS" },
	{ "auth-mechanisms", VALUE_MECHANISMS, AT(auth_mechanisms), 0, 0, "auto", "how clients may log in" },
	{ "login-failure-limit", VALUE_NUMBER, AT(login_failure_limit), 0, 1000000, "10", "failed logins of a user from one network before he is shut out; 0: never" },
	{ "login-block", VALUE_SECONDS, AT(login_block_seconds), 1, 30 * DAY, "15m", "how long failed logins shut out" },
	{ "login-cache", VALUE_SECONDS, AT(login_cache_seconds), 0, DAY, "15m", "how long a right password is remembered; 0s: not at all" },
	{ "submission-from", VALUE_SUBMISSION_FROM, AT(submission_from), 0, 0, "enforce", "what has to be an address of who logged in: reverse-path and From (enforce), envelope, off" },
	{ "hide-submitter", VALUE_YES_NO, AT(hide_submitter), 0, 0, "yes", "Received does not tell from where a user submitted" },
	{ "user-messages-hour", VALUE_LIMIT, AT(user_limits[USER_MESSAGES_HOUR]), 1, USER_LIMIT_MOST, "200", "messages that a user may submit in an hour" },
	{ "user-messages-day", VALUE_LIMIT, AT(user_limits[USER_MESSAGES_DAY]), 1, USER_LIMIT_MOST, "1000", "in a day" },
	{ "user-recipients-hour", VALUE_LIMIT, AT(user_limits[USER_RECIPIENTS_HOUR]), 1, USER_LIMIT_MOST, "1000", "recipients that a user may have in an hour" },
	{ "user-recipients-day", VALUE_LIMIT, AT(user_limits[USER_RECIPIENTS_DAY]), 1, USER_LIMIT_MOST, "3000", "in a day" },
	{ "user-strangers-hour", VALUE_LIMIT, AT(user_limits[USER_STRANGERS_HOUR]), 1, USER_LIMIT_MOST, "200", "more recipients in an hour that he never wrote to hold his account" },
	{ "user-networks-hour", VALUE_LIMIT, AT(user_limits[USER_NETWORKS_HOUR]), 1, USER_NETWORKS_MOST, "12", "submitting from more networks in an hour holds it" },
	{ "user-refusals-hour", VALUE_LIMIT, AT(user_limits[USER_REFUSALS_HOUR]), 1, USER_LIMIT_MOST, "100", "more refused recipients and messages in an hour hold it" },
	{ "smtpd-workers", VALUE_NUMBER, AT(smtpd_workers), 0, WORKERS_MAX, "0", "worker processes of smtpd; 0: one per core" },
	{ "pop3d-workers", VALUE_NUMBER, AT(pop3d_workers), 0, WORKERS_MAX, "0", "worker processes of pop3d; 0: one per core" },
	{ "local-concurrency", VALUE_NUMBER, AT(local_concurrency), 1, 100000, "200", "local deliveries at the same time" },
	{ "tls-certificate", VALUE_PATHS, AT(tls_certificate), 0, 0, "", "PEM files of certificates" },
	{ "tls-key", VALUE_PATHS, AT(tls_key), 0, 0, "", "PEM files of their keys, in the same order" },
	{ "mta-sts", VALUE_YES_NO, AT(mta_sts), 0, 0, "yes", "outbound: MTA-STS policies are followed (RFC 8461)" },
	{ "mta-sts-authorities", VALUE_PATH, AT(mta_sts_authorities), 0, 0, "/etc/ssl/certs/ca-certificates.crt", "PEM file of who may vouch for the hosts of policies" },
	{ "tls-report-contact", VALUE_ADDRESS, AT(tls_report_contact), 0, 0, "", "sender of reports of TLS; empty: postmaster of the first domain" },
	{ "tls-report-key", VALUE_PATH_OR_NONE, AT(tls_report_key), 0, 0, "none", "PEM file of the key that signs reports of TLS that go by mail" },
	{ "tls-report-selector", VALUE_HOSTNAME, AT(tls_report_selector), 0, 0, "tlsrpt", "its name in the DNS: NAME._domainkey below the domain of tls-report-contact" },
	{ "tls-tickets", VALUE_LISTENER_NAMES, AT(tls_tickets), 0, 0, "smtp submission submissions pop3 pop3s", "listeners whose clients may resume TLS sessions by tickets" },
	{ "tls-handshake-timeout", VALUE_SECONDS, AT(tls_handshake_timeout_seconds), 1, DAY, "30s", "time a client has for its TLS handshake" },
	{ "users", VALUE_PATH, AT(users), 0, 0, "users", "table of mailboxes" },
	{ "secrets", VALUE_PATH, AT(secrets), 0, 0, "secrets", "table of further secrets" },
	{ "aliases", VALUE_PATH, AT(aliases), 0, 0, "aliases", "table of aliases" },
	{ "routes", VALUE_PATH, AT(routes), 0, 0, "routes", "table of next hops" },
	{ "site", VALUE_PATH, AT(site), 0, 0, "site", "table of how destinations are treated" },
	{ "access", VALUE_PATH, AT(access), 0, 0, "access", "table of who may do what" },
	{ "relay-recipients", VALUE_PATH, AT(relay_recipients), 0, 0, "relay-recipients", "table of recipients in relay-domains" },
	{ "senders", VALUE_PATH, AT(senders), 0, 0, "senders", "table of whom users may send as" },
	{ "limits", VALUE_PATH, AT(limits), 0, 0, "limits", "table of what single users may send" },
};
#undef AT
enum { NAMES = sizeof names / sizeof names[0] };

/* What configuration_load really makes: the values, where they come from, and look-up sets. */
struct loaded {
	struct configuration conf;	/* first: the pointer to it is the pointer to this */
	char *text[NAMES];		/* as it would stand in the file */
	unsigned line[NAMES];		/* 0: default */
	critbit0_tree domain_set, relay_set;
};

static const struct loaded *loaded_of(const struct configuration *conf)
{
	return (const struct loaded *)conf;
}

void configuration_free(struct configuration *conf)
{
	struct loaded *loaded = (struct loaded *)conf;

	if (!loaded)
		return;
	for (size_t i = 0; i < NAMES; i++) {
		value_release(names[i].type, (char *)conf + names[i].offset);
		free(loaded->text[i]);
	}
	critbit0_clear(&loaded->domain_set);
	critbit0_clear(&loaded->relay_set);
	free(conf->file);
	free(conf->directory);
	free(loaded);
}

static enum result out_of_memory(const struct loaded *loaded, struct why *why)
{
	return why_set(why, RESULT_RETRY, "read %s: no memory", loaded->conf.file ? loaded->conf.file : "the configuration");
}

/* `dawk config queue` is for scripts too: they know no folder that a path starts at. */
static enum result keep_absolute(struct loaded *loaded, size_t index, const char *path, struct why *why)
{
	char *copy = strdup(path);

	if (!copy)
		return out_of_memory(loaded, why);
	free(loaded->text[index]);
	loaded->text[index] = copy;
	return RESULT_OK;
}

/* LINE 0: TEXT is a default. */
static enum result set(struct loaded *loaded, size_t index, const char *text, unsigned line, struct why *why)
{
	const struct name *name = &names[index];
	char *field = (char *)&loaded->conf + name->offset, *copy = strdup(text);
	struct value value = { .type = name->type, .least = name->least, .most = name->most, .text = text,
	                       .directory = loaded->conf.directory };
	char range[64] = "";

	if (!copy)
		return out_of_memory(loaded, why);
	free(loaded->text[index]);
	loaded->text[index] = copy;
	loaded->line[index] = line;
	value_release(name->type, field);
	if (value_read(&value, field))
		return name->type == VALUE_PATH ? keep_absolute(loaded, index, *(char **)field, why) : RESULT_OK;
	if (value.is_out_of_memory)
		return out_of_memory(loaded, why);
	if (name->most > 0)
		snprintf(range, sizeof range, " (%llu to %llu%s)", (unsigned long long)name->least, (unsigned long long)name->most,
		         name->type == VALUE_SIZE ? " bytes" : name->type == VALUE_NUMBER || name->type == VALUE_LIMIT ? "" : " seconds");
	return why_set(why, RESULT_NEVER, "%s:%u: %s: expected %s%s, found \"%.*s\"", loaded->conf.file, line, name->name,
	               value_expected(name->type), range, (int)(value.found_length > 60 ? 60 : value.found_length), value.found);
}

static enum result set_by_name(struct loaded *loaded, const char *name, size_t length, const char *text, unsigned line, struct why *why)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
			return set(loaded, i, text, line, why);
	return why_set(why, RESULT_NEVER, "%s:%u: %.*s: expected a name of dawk.conf(5), found one that it does not have",
	               loaded->conf.file, line, (int)(length > 60 ? 60 : length), name);
}

static const char *skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* TEXT is "name = value", continuation lines joined, no comment, no blank at its ends. */
static enum result set_from_text(struct loaded *loaded, const char *text, unsigned line, struct why *why)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : strlen(text);

	while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	if (!equals || length == 0)
		return why_set(why, RESULT_NEVER, "%s:%u: expected name = value, found \"%.60s\"", loaded->conf.file, line, text);
	return set_by_name(loaded, text, length, skip_blanks(equals + 1), line, why);
}

/* Cuts a comment (a '#' that starts the line or follows a blank) and blanks at the end. */
static size_t content_length(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) {
			length = i;
			break;
		}
	while (length > 0 && strchr(" \t\r\n", line[length - 1]))
		length--;
	return length;
}

/* The setting that is being read, over its continuation lines. */
struct pending { stralloc text; unsigned line; };

static enum result finish_pending(struct loaded *loaded, struct pending *pending, struct why *why)
{
	enum result result = RESULT_OK;

	if (pending->line == 0)
		return RESULT_OK;
	if (!text_append_nul(&pending->text))
		return out_of_memory(loaded, why);
	result = set_from_text(loaded, pending->text.s, pending->line, why);
	pending->text.len = 0;
	pending->line = 0;
	return result;
}

static enum result take_line(struct loaded *loaded, struct pending *pending, const char *line, size_t length, unsigned number, struct why *why)
{
	bool continues = *line == ' ' || *line == '\t';
	enum result result;

	if (memchr(line, '\0', length))
		return why_set(why, RESULT_NEVER, "%s:%u: expected text, found a NUL", loaded->conf.file, number);
	length = content_length(line, length);
	if (length == 0)
		return RESULT_OK;
	if (continues && pending->line == 0)
		return why_set(why, RESULT_NEVER, "%s:%u: expected name = value at the start of the line, found a blank; "
		               "such a line continues a setting, and there is none", loaded->conf.file, number);
	if (!continues) {
		result = finish_pending(loaded, pending, why);
		if (result != RESULT_OK)
			return result;
		pending->line = number;
	} else {
		const char *start = skip_blanks(line);
		length -= (size_t)(start - line);
		line = start;
		if (!text_append(&pending->text, " ", 1))
			return out_of_memory(loaded, why);
	}
	return text_append(&pending->text, line, length) ? RESULT_OK : out_of_memory(loaded, why);
}

static enum result read_lines(struct loaded *loaded, FILE *file, struct why *why)
{
	struct pending pending = { { 0 }, 0 };
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	enum result result = RESULT_OK;

	for (unsigned number = 1; result == RESULT_OK && (length = getline(&line, &size, file)) > 0; number++)
		result = take_line(loaded, &pending, line, (size_t)length, number, why);
	if (result == RESULT_OK && ferror(file))
		result = why_errno(why, RESULT_RETRY, "read %s", loaded->conf.file);
	if (result == RESULT_OK)
		result = finish_pending(loaded, &pending, why);
	free(line);
	stralloc_free(&pending.text);
	return result;
}

static size_t index_of(const char *name)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strcmp(names[i].name, name) == 0)
			return i;
	abort();
}

static enum result derive(struct loaded *loaded, const char *name, const char *text, struct why *why)
{
	size_t index = index_of(name);

	return loaded->text[index] ? RESULT_OK : set(loaded, index, text, 0, why);
}

static void read_system_name(char *out, size_t size)
{
	if (gethostname(out, size) != 0)
		*out = '\0';
	out[size - 1] = '\0';
	text_lower(out, strlen(out));
}

/* The defaults that other values or the system decide. */
static enum result derive_defaults(struct loaded *loaded, struct why *why)
{
	char name[256], path[PATH_MAX];
	enum result result;

	read_system_name(name, sizeof name);
	if (!loaded->text[index_of("hostname")] && !domain_is_valid(name, strlen(name)))
		return why_set(why, RESULT_NEVER, "%s: hostname: the system's name \"%.60s\" is no valid one; set hostname there",
		               loaded->conf.file, name);
	result = derive(loaded, "hostname", name, why);
	if (result == RESULT_OK)
		result = derive(loaded, "domains", loaded->conf.hostname, why);
	snprintf(path, sizeof path, "%s/submit", loaded->conf.run_directory);
	return result == RESULT_OK ? derive(loaded, "listen-local", path, why) : result;
}

static uint32_t count_cores(void)
{
	cpu_set_t cores;
	int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;

	return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : (uint32_t)count;
}

static bool fill_set(critbit0_tree *tree, const struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (critbit0_insert(tree, list->items[i]) == 0)
			return false;
	return true;
}

static enum result finish(struct loaded *loaded, struct why *why)
{
	struct configuration *conf = &loaded->conf;
	enum result result = derive_defaults(loaded, why);

	if (result != RESULT_OK)
		return result;
	if (conf->tls_certificate.count != conf->tls_key.count)
		return why_set(why, RESULT_NEVER, "%s: tls-key: expected as many files as tls-certificate has (%zu), found %zu",
		               conf->file, conf->tls_certificate.count, conf->tls_key.count);
	if (conf->smtpd_workers == 0)
		conf->smtpd_workers = count_cores();
	if (conf->pop3d_workers == 0)
		conf->pop3d_workers = count_cores();
	if (!fill_set(&loaded->domain_set, &conf->domains) || !fill_set(&loaded->relay_set, &conf->relay_domains))
		return out_of_memory(loaded, why);
	return RESULT_OK;
}

static enum result set_defaults(struct loaded *loaded, struct why *why)
{
	enum result result = RESULT_OK;

	for (size_t i = 0; i < NAMES && result == RESULT_OK; i++)
		if (names[i].text)
			result = set(loaded, i, names[i].text, 0, why);
	return result;
}

/* The folder as the system knows it: sandbox rules name it, and `..` has no place there. */
static enum result find_directory(struct loaded *loaded, struct why *why)
{
	char path[PATH_MAX], *slash;

	if (!realpath(loaded->conf.file, path))
		return why_errno(why, RESULT_RETRY, "read the configuration %s", loaded->conf.file);
	slash = strrchr(path, '/');
	slash[slash == path ? 1 : 0] = '\0';
	loaded->conf.directory = strdup(path);
	return loaded->conf.directory ? RESULT_OK : out_of_memory(loaded, why);
}

static enum result load(struct loaded *loaded, struct why *why)
{
	enum result result = find_directory(loaded, why);
	FILE *file;

	if (result == RESULT_OK)
		result = set_defaults(loaded, why);
	if (result != RESULT_OK)
		return result;
	file = fopen(loaded->conf.file, "re");
	if (!file)
		return why_errno(why, RESULT_RETRY, "read the configuration %s", loaded->conf.file);
	result = read_lines(loaded, file, why);
	fclose(file);
	return result == RESULT_OK ? finish(loaded, why) : result;
}

enum result configuration_load(const char *file, struct configuration **conf, struct why *why)
{
	struct loaded *loaded = calloc(1, sizeof *loaded);
	enum result result;

	*conf = NULL;
	if (!loaded || !(loaded->conf.file = strdup(file))) {
		free(loaded);
		return why_set(why, RESULT_RETRY, "read %s: no memory", file);
	}
	result = load(loaded, why);
	if (result == RESULT_OK)
		*conf = &loaded->conf;
	else
		configuration_free(&loaded->conf);
	return result;
}

void configuration_rows(const struct configuration *conf,
                        void (*row)(void *context, const char *name, const char *value,
                                    const char *origin, const char *help), void *context)
{
	const struct loaded *loaded = loaded_of(conf);
	char origin[PATH_MAX + 16];

	for (size_t i = 0; i < NAMES; i++) {
		if (loaded->line[i] == 0)
			snprintf(origin, sizeof origin, "default");
		else
			snprintf(origin, sizeof origin, "%s:%u", conf->file, loaded->line[i]);
		row(context, names[i].name, loaded->text[i], origin, names[i].help);
	}
}

static bool set_contains(const critbit0_tree *tree, const char *bytes, size_t length)
{
	char key[ADDRESS_DOMAIN_MAX + 1];
	critbit0_tree reader = *tree;	/* the library's look-up wants to write */

	if (length == 0 || length >= sizeof key || memchr(bytes, '\0', length))
		return false;
	memcpy(key, bytes, length);
	key[length] = '\0';
	return critbit0_contains(&reader, key) != 0;
}

bool configuration_is_local_domain(const struct configuration *conf, const char *domain, size_t length)
{
	return set_contains(&loaded_of(conf)->domain_set, domain, length);
}

bool configuration_is_relay_domain(const struct configuration *conf, const char *domain, size_t length)
{
	const critbit0_tree *tree = &loaded_of(conf)->relay_set;
	const char *end = domain + length;

	if (set_contains(tree, domain, length))
		return true;
	for (const char *dot = domain; (dot = memchr(dot, '.', (size_t)(end - dot))) != NULL; dot++)
		if (dot != domain && set_contains(tree, dot, (size_t)(end - dot)))
			return true;
	return false;
}

bool configuration_path(const struct configuration *conf, const char *subdirectory, char *out, size_t size)
{
	int length = snprintf(out, size, "%s/%s", strcmp(conf->directory, "/") == 0 ? "" : conf->directory, subdirectory);

	return length > 0 && (size_t)length < size;
}
