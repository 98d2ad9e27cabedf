/* dawk init: a complete instance below a folder, or the host's own installation. DESIGN.md 6. The
 * configuration gets its name last, so that what was interrupted is simply begun again. */
#include "cert.h"
#include "command.h"
#include "layout.h"
#include "common/queue.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct wish {			/* what the command line asked for */
	const char *directory;
	bool is_system;
	const char *hostname, *resolver;
	stralloc domains;	/* separated by blanks */
	stralloc settings;	/* whole lines of --set */
};

/* Listeners: option, name in the configuration. */
enum { LISTENERS = 5 };
static const struct { const char *option, *name; } listeners[LISTENERS] = {
	{ "smtp", "listen-smtp" },
	{ "submission", "listen-submission" },
	{ "submissions", "listen-submissions" },
	{ "pop3", "listen-pop3" },
	{ "pop3s", "listen-pop3s" },
};
static const char *listen_at[LISTENERS];

enum { OPTION_LISTENER = 256, OPTION_DOMAIN = 300, OPTION_HOSTNAME, OPTION_RESOLVER, OPTION_SET, OPTION_SYSTEM };
static const struct option options[] = {
	{ "smtp", required_argument, NULL, OPTION_LISTENER },
	{ "submission", required_argument, NULL, OPTION_LISTENER + 1 },
	{ "submissions", required_argument, NULL, OPTION_LISTENER + 2 },
	{ "pop3", required_argument, NULL, OPTION_LISTENER + 3 },
	{ "pop3s", required_argument, NULL, OPTION_LISTENER + 4 },
	{ "domain", required_argument, NULL, OPTION_DOMAIN },
	{ "hostname", required_argument, NULL, OPTION_HOSTNAME },
	{ "resolver", required_argument, NULL, OPTION_RESOLVER },
	{ "set", required_argument, NULL, OPTION_SET },
	{ "system", no_argument, NULL, OPTION_SYSTEM },
	{ 0 }
};

static enum result no_memory(struct why *why)
{
	return why_set(why, RESULT_RETRY, "out of memory");
}

static bool holds_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* "name=value" as a line of the configuration. */
static enum result add_setting(stralloc *settings, const char *text, struct why *why)
{
	const char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return why_set(why, RESULT_NEVER, "--set wants 'name = value', not '%s'", text);
	size_t name = (size_t)(equals - text);
	while (name && (text[name - 1] == ' ' || text[name - 1] == '\t'))
		name--;
	const char *value = equals + 1;
	while (*value == ' ' || *value == '\t')
		value++;
	return text_append_format(settings, "%.*s = %s\n", (int)name, text, value) ? RESULT_OK : no_memory(why);
}

static enum result take_option(struct wish *wish, int option, const char *argument, struct why *why)
{
	if (!argument)
		argument = "";
	if (holds_control(argument))
		return why_set(why, RESULT_NEVER, "an option's value can't hold a line end or control character");
	switch (option) {
	case OPTION_DOMAIN:
		return text_append_format(&wish->domains, " %s", argument) ? RESULT_OK : no_memory(why);
	case OPTION_HOSTNAME:
		wish->hostname = argument;
		return RESULT_OK;
	case OPTION_RESOLVER:
		wish->resolver = argument;
		return RESULT_OK;
	case OPTION_SET:
		return add_setting(&wish->settings, argument, why);
	case OPTION_SYSTEM:
		wish->is_system = true;
		return RESULT_OK;
	default:
		if (option < OPTION_LISTENER || option >= OPTION_LISTENER + LISTENERS)
			return why_set(why, RESULT_NEVER, "an option is not known or lacks its value");
		listen_at[option - OPTION_LISTENER] = argument;
		return RESULT_OK;
	}
}

static enum result take_arguments(struct wish *wish, int argc, char **argv, struct why *why)
{
	int option;
	enum result result = RESULT_OK;
	while (result == RESULT_OK && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		result = take_option(wish, option, optarg, why);
	if (result != RESULT_OK)
		return result;
	if (argc - optind != (wish->is_system ? 0 : 1))
		return why_set(why, RESULT_NEVER, "name the one folder that the instance is made in (or --system)");
	wish->directory = argv[optind];
	return RESULT_OK;
}

static bool append_line(stralloc *text, const char *name, const char *value)
{
	return text_append_format(text, "%s = %s\n", name, value);
}

/* Only what differs from the defaults; a listener that is not named is off in an instance. */
static enum result write_configuration(const struct wish *wish, const struct layout *layout, const char *path, struct why *why)
{
	stralloc text = { 0 };
	bool is_fine = text_append_format(&text, "# dawk.conf(5). What is not named here has its default;\n"
	                                  "# `dawk -c %s config` shows all values in force.\n", layout->conf);
	if (wish->hostname)
		is_fine = is_fine && append_line(&text, "hostname", wish->hostname);
	if (wish->domains.len)
		is_fine = is_fine && text_append_format(&text, "domains =%.*s\n", (int)wish->domains.len, wish->domains.s);
	for (size_t i = 0; i < LISTENERS; i++)
		if (listen_at[i] || !layout->is_system)
			is_fine = is_fine && append_line(&text, listeners[i].name, listen_at[i] ? listen_at[i] : "none");
	if (!layout->is_system)
		is_fine = is_fine && text_append_format(&text, "listen-local = %s/submit\n", layout->run) &&
		          append_line(&text, "queue", layout->queue) &&
		          append_line(&text, "mailboxes", layout->mailboxes) &&
		          append_line(&text, "run-directory", layout->run) &&
		          append_line(&text, "state-directory", layout->state);
	if (wish->resolver)
		is_fine = is_fine && append_line(&text, "resolver", wish->resolver);
	is_fine = is_fine && text_append(&text, wish->settings.s, wish->settings.len);
	enum result result = is_fine ? layout_write_file(path, text.s, text.len, 0644, false, why) : no_memory(why);
	stralloc_free(&text);
	return result;
}

static enum result make_directories(const struct layout *layout, struct why *why)
{
	const struct { const char *base, *name; mode_t mode; } rows[] = {
		{ layout->etc, "", 0755 }, { layout->etc, "/tables", 0755 },
		{ layout->etc, "/secret", 0700 }, { layout->etc, "/keys", 0700 },
		{ layout->mailboxes, "", 0755 }, { layout->run, "", 0755 }, { layout->state, "", 0755 },
		{ layout->log, "", 0755 }, { layout->service, "", 0755 },
	};
	enum result result = RESULT_OK;
	for (size_t i = 0; i < sizeof rows / sizeof *rows && result == RESULT_OK; i++) {
		char path[PATH_MAX];
		if (snprintf(path, sizeof path, "%s%s", rows[i].base, rows[i].name) >= (int)sizeof path)
			return why_set(why, RESULT_NEVER, "the path is too long: %s", rows[i].base);
		result = layout_make_directory(path, rows[i].mode, why);
	}
	return result;
}

/* The suite's accounts have to get through to their folders. */
static void open_the_way(const struct layout *layout)
{
	struct stat status;
	char path[PATH_MAX];
	if (layout->is_system || geteuid() != 0)
		return;
	if (stat(layout->root, &status) == 0 && (status.st_mode & 0055) != 0055 &&
	    chmod(layout->root, (status.st_mode & 07777) | 0055) == 0)
		printf("opened %s to the suite's accounts (mode %04o)\n", layout->root, (unsigned)((status.st_mode & 07777) | 0055));
	memcpy(path, layout->root, sizeof path);
	for (char *slash = strrchr(path, '/'); slash && slash != path; slash = strrchr(path, '/')) {
		*slash = 0;
		if (stat(path, &status) == 0 && !(status.st_mode & 0001))
			fprintf(stderr, "dawk init: the suite's accounts can't get through %s: chmod o+x %s\n", path, path);
	}
}

/* Keys without a domain hold for every local one, also for one that is added later (RFC 5321 4.5.1). */
static enum result write_aliases(const struct configuration *conf, struct why *why)
{
	static const char *const names[] = { "postmaster", "root", "abuse", "hostmaster", "mailer-daemon" };
	stralloc text = { 0 };
	bool is_fine = text_append_string(&text, "# aliases: NAME or ADDRESS: MEMBER, ... (dawk-aliases(5)); `dawk update` after an edit\n");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		is_fine = is_fine && text_append_format(&text, "%s: postmaster@%s\n", names[i], conf->domains.items[0]);
	enum result result = is_fine ? layout_write_file(conf->aliases, text.s, text.len, 0644, true, why) : no_memory(why);
	stralloc_free(&text);
	return result;
}

static enum result write_users(const struct configuration *conf, struct why *why)
{
	stralloc text = { 0 };
	/* '!' is no hash of any password: mail arrives, nobody logs in */
	bool is_fine = text_append_format(&text, "# users: ADDRESS:HASH:UID:GID:MAILDIR:QUOTA (dawk-users(5)); `dawk user` edits it\n"
	                                  "postmaster@%s:!::::\n", conf->domains.items[0]);
	enum result result = is_fine ? layout_write_file(conf->users, text.s, text.len, 0600, true, why) : no_memory(why);
	stralloc_free(&text);
	return result;
}

static enum result write_tables(const struct configuration *conf, struct why *why)
{
	const struct { const char *path, *text; mode_t mode; } rows[] = {
		{ conf->secrets, "# secrets: ADDRESS:NAME:SCHEME:VALUE (dawk-secrets(5))\n", 0600 },
		{ conf->routes, "# routes: DESTINATION TRANSPORT:NEXT-HOP (dawk-routes(5))\n", 0644 },
		{ conf->site, "# site: how a destination is treated (dawk-site(5))\n", 0644 },
		{ conf->access, "# access: KEY ACTION [TEXT] (dawk-access(5))\n", 0644 },
		{ conf->relay_recipients, "# relay-recipients: ADDRESS or @DOMAIN of relay-domains (dawk-relay-recipients(5))\n", 0644 },
		{ conf->senders, "# senders: USER: ADDRESS, @DOMAIN that he may send as (dawk-senders(5))\n", 0644 },
		{ conf->limits, "# limits: USER NAME=NUMBER of what he may send (dawk-limits(5))\n", 0644 },
	};
	enum result result = write_users(conf, why);
	if (result == RESULT_OK)
		result = write_aliases(conf, why);
	for (size_t i = 0; i < sizeof rows / sizeof *rows && result == RESULT_OK; i++)
		result = layout_write_file(rows[i].path, rows[i].text, strlen(rows[i].text), rows[i].mode, true, why);
	return result;
}

static enum result make_mailboxes(const struct configuration *conf, struct why *why)
{
	char path[PATH_MAX];
	enum result result = RESULT_OK;
	for (size_t i = 0; i < conf->domains.count && result == RESULT_OK; i++) {
		if (snprintf(path, sizeof path, "%s/%s", conf->mailboxes, conf->domains.items[i]) >= (int)sizeof path)
			return why_set(why, RESULT_NEVER, "the path is too long: %s", conf->mailboxes);
		result = layout_make_directory(path, 0755, why);
	}
	return result;
}

static enum result make_queue(const struct configuration *conf, struct why *why)
{
	uid_t owner = (uid_t)-1, other;
	gid_t writer = (gid_t)-1, group;
	if (geteuid() == 0 && (accounts_find("dawkq", &owner, &group, why) != RESULT_OK ||
	                       accounts_find("dawks", &other, &writer, why) != RESULT_OK))
		return RESULT_NEVER;
	return queue_make(conf->queue, owner, writer, why);
}

/* All that the configuration CONF speaks of, but its own file. Returns an exit code. */
static int furnish(struct configuration *conf, const struct layout *layout)
{
	char programs[PATH_MAX];
	char *update[] = { "update", "--quiet", NULL };
	bool is_new;
	struct why why = { 0 };
	enum result result = command_programs_directory(programs, sizeof programs, &why);
	if (result == RESULT_OK)
		result = write_tables(conf, &why);
	if (result == RESULT_OK)
		result = make_queue(conf, &why);
	if (result == RESULT_OK)
		result = make_mailboxes(conf, &why);
	if (result == RESULT_OK && !conf->tls_certificate.count)
		result = cert_make_self_signed(conf, false, &is_new, &why);	/* TLS from the first minute */
	if (result == RESULT_OK)
		result = scripts_make(layout, programs, &why);
	if (result != RESULT_OK)
		return command_fail_why("init", result, &why);
	return command_update(conf, 2, update);
}

static void say_next(const struct layout *layout, const struct configuration *conf)
{
	const char *domain = conf->domains.items[0];
	char dawk[PATH_MAX + 16] = "dawk";
	struct passwd *caller = getpwuid(geteuid());
	if (!layout->is_system)
		snprintf(dawk, sizeof dawk, "dawk -c %s", layout->conf);
	printf("made %s, with mailboxes in %s\n\n", layout->is_system ? layout->conf : layout->root, domain);
	printf("  start it:          runsvdir %s\n", layout->service);
	printf("  add a mailbox:     %s user add NAME@%s\n", dawk, domain);
	printf("  look at it:        %s status\n", dawk);
	if (!conf->tls_certificate.count)
		printf("  TLS:               by a certificate that signs itself, %s cert; INSTALL says how to get another\n", dawk);
	printf("  postmaster's mail arrives already; to read it, give the mailbox a password:\n"
	       "                     %s user passwd postmaster@%s\n", dawk, domain);
	if (geteuid() != 0)
		printf("\nThis was not done as root: every program of this instance runs as %s.\n",
		       caller ? caller->pw_name : "the caller");
}

static int make_new(const struct wish *wish, const struct layout *layout)
{
	char beside[PATH_MAX + 8];
	struct configuration *conf = NULL;
	struct why why = { 0 };
	snprintf(beside, sizeof beside, "%s.new", layout->conf);
	enum result result = make_directories(layout, &why);
	/* .new.new for a moment: dawk.conf.new has to be whole too when it is read */
	if (result == RESULT_OK)
		result = write_configuration(wish, layout, beside, &why);
	if (result == RESULT_OK && (result = configuration_load(beside, &conf, &why)) != RESULT_OK)
		unlink(beside);
	if (result != RESULT_OK)
		return command_fail_why("init", result, &why);
	open_the_way(layout);
	int code = furnish(conf, layout);
	if (!code && rename(beside, layout->conf) < 0)
		code = command_fail("init", EX_CANTCREAT, "unable to rename %s: %s", beside, strerror(errno));
	if (!code)
		say_next(layout, conf);
	else
		unlink(beside);
	configuration_free(conf);
	return code;
}

/* An upgrade of the host: settings and mail stay; folders, accounts and scripts are mended. */
static int mend_system(const struct layout *layout)
{
	struct configuration *conf = NULL;
	struct why why = { 0 };
	enum result result = make_directories(layout, &why);
	if (result == RESULT_OK)
		result = configuration_load(layout->conf, &conf, &why);
	if (result != RESULT_OK)
		return command_fail_why("init", result, &why);
	int code = furnish(conf, layout);
	if (!code)
		printf("%s is kept as it is; accounts, folders, tables and run scripts are up to date\n", layout->conf);
	configuration_free(conf);
	return code;
}

/* The queue alone: what the owner has made of the rest is his. */
static int mend_instance(const struct layout *layout)
{
	struct configuration *conf = NULL;
	struct why why = { 0 };
	enum result result = configuration_load(layout->conf, &conf, &why);
	if (result == RESULT_OK)
		result = make_queue(conf, &why);
	if (result != RESULT_OK)
		return command_fail_why("init", result, &why);
	printf("%s holds an instance already; it is left as it is, with all parts of its queue in %s\n", layout->root, conf->queue);
	configuration_free(conf);
	return EX_OK;
}

static int init(const struct wish *wish)
{
	struct layout layout;
	struct stat status;
	struct why why = { 0 };
	enum result result = layout_fill(&layout, wish->is_system ? NULL : wish->directory, &why);
	if (result != RESULT_OK)
		return command_fail_why("init", result, &why);
	bool is_there = stat(layout.conf, &status) == 0;
	if (is_there && !layout.is_system && status.st_uid != geteuid()) {
		printf("%s holds an instance of another account already; it is left as it is\n", layout.root);
		return EX_OK;
	}
	if (layout.is_system && geteuid() != 0)
		return command_fail("init", EX_NOPERM, "the host's own installation has to be made by root; `dawk init DIR` works for anybody");
	if (geteuid() == 0 && (result = accounts_make(&why)) != RESULT_OK)
		return command_fail_why("init", result, &why);
	if (!is_there)
		return make_new(wish, &layout);
	return layout.is_system ? mend_system(&layout) : mend_instance(&layout);
}

int command_init(struct configuration *conf, int argc, char **argv)
{
	struct wish wish = { 0 };
	struct why why = { 0 };
	(void)conf;
	for (size_t i = 0; i < LISTENERS; i++)
		listen_at[i] = NULL;
	int code = take_arguments(&wish, argc, argv, &why) == RESULT_OK ? init(&wish) : command_usage("init", "%s", why.text);
	stralloc_free(&wish.domains);
	stralloc_free(&wish.settings);
	return code;
}
