/* `dawk explain ADDRESS`: how a recipient would be handled, without sending. Asks the compiled tables
 * as smtpd and locald do. */
#include "command.h"
#include "explain_remote.h"
#include "explain_sender.h"
#include "common/resolve.h"
#include "common/text.h"

#include <stdarg.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MEMBERS_SHOWN = 20 };

struct explanation {
	const struct configuration *conf;
	struct table_directory *tables;
	struct resolver *resolver;
	struct table *routes, *site;
	struct names *names;		/* once a remote address was met */
	critbit0_tree seen;		/* folded addresses explained already */
	unsigned depth;
	bool has_unknown, has_failed;
	struct meaning_of meaning;
};

static void __attribute__((format(printf, 2, 3))) line(const struct explanation *explanation, const char *format, ...)
{
	va_list arguments;

	printf("%*s", (int)explanation->depth * 4, "");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void saw(void *context, const char *table, const char *key, enum result outcome)
{
	line(context, "  look up %-7s %s: %s", table, key,
	     outcome == RESULT_OK ? "found" : outcome == RESULT_END ? "not there" : "can't be read");
}

static void say_failure(struct explanation *explanation, const struct why *why)
{
	line(explanation, "unable to %s: its mail would be deferred", why->text);
	explanation->has_failed = true;
}

static void say_mailbox(struct explanation *explanation)
{
	const struct meaning_of *meaning = &explanation->meaning;
	const struct passwd *account = getpwuid(meaning->uid);
	struct stat st;

	line(explanation, "mailbox %s", meaning->key);
	line(explanation, "  %s %s%s", meaning->is_mbox ? "mbox file" : "maildir", meaning->maildir,
	     lstat(meaning->maildir, &st) == 0 ? "" : " (made at the first delivery)");
	line(explanation, "  written as uid %lu (%s), gid %lu", (unsigned long)meaning->uid,
	     account ? account->pw_name : "no account of that number", (unsigned long)meaning->gid);
	line(explanation, "  quota %s", *meaning->quota ? meaning->quota : "none");
	if (*meaning->extension)
		line(explanation, "  the extension \"%s\" changes nothing", meaning->extension);
}

/* Key after key, the most particular first; prints each. RESULT_OK: VALUE is set. */
static enum result look(struct explanation *explanation, struct table *table, const char *name, const char *key,
                        const char **value, size_t *length)
{
	struct why why;
	enum result result = table_find(table, key, strlen(key), value, length, &why);

	saw(explanation, name, key, result);
	if (result != RESULT_OK && result != RESULT_END)
		say_failure(explanation, &why);
	return result;
}

static enum result look_domain(struct explanation *explanation, struct table *table, const char *name, const char *domain,
                               const char **value, size_t *length)
{
	enum result result = look(explanation, table, name, domain, value, length);

	for (const char *dot = strchr(domain, '.'); dot && result == RESULT_END; dot = strchr(dot + 1, '.'))
		result = look(explanation, table, name, dot, value, length);
	if (result == RESULT_END)
		result = look(explanation, table, name, "*", value, length);
	return result;
}

static void say_route(struct explanation *explanation)
{
	const char *folded = explanation->meaning.key, *domain = strrchr(folded, '@') + 1, *value;
	size_t length;
	enum result result = look(explanation, explanation->routes, "routes", folded, &value, &length);

	if (result == RESULT_END)
		result = look_domain(explanation, explanation->routes, "routes", domain, &value, &length);
	if (result == RESULT_OK)
		line(explanation, "next hop %.*s", (int)length, value);
	else if (result == RESULT_END)
		line(explanation, "next hop the mail exchangers (MX) of %s, else its address", domain);
	if (look_domain(explanation, explanation->site, "site", domain, &value, &length) == RESULT_OK)
		line(explanation, "treated with %.*s", (int)length, value);
	explain_remote(explanation->conf, explanation->routes, explanation->site, folded, (int)explanation->depth * 4, &explanation->names);
}

static void explain_address(struct explanation *explanation, const struct address *address);

static void explain_member(struct explanation *explanation, const char *member, size_t length, const char *key)
{
	struct address address;

	if (*member == '|')
		line(explanation, "program run as dawkx: %.*s", (int)length - 1, member + 1);
	else if (length == 9 && memcmp(member, "/dev/null", 9) == 0)
		line(explanation, "discarded: /dev/null");
	else if (*member == '/')
		line(explanation, "%s written as dawkx: %.*s", member[length - 1] == '/' ? "maildir" : "mbox file", (int)length, member);
	else if (strlen(key) == length && memcmp(key, member, length) == 0)
		line(explanation, "member %s: itself, its mailbox", key);
	else if (address_parse(member, length, &address, NULL) == RESULT_OK)
		explain_address(explanation, &address);
}

static void explain_members(struct explanation *explanation)
{
	size_t length = explanation->meaning.members_length, member_length, shown = 0;
	char key[ADDRESS_MAX + 1], *copy = malloc(length + 1);
	const char *at, *end, *member;

	if (!copy)
		return;
	memcpy(key, explanation->meaning.key, sizeof key);
	memcpy(copy, explanation->meaning.members, length);
	explanation->depth++;
	for (at = copy, end = copy + length; shown < MEMBERS_SHOWN && alias_next_member(&at, end, &member, &member_length); shown++)
		explain_member(explanation, member, member_length, key);
	if (alias_next_member(&at, end, &member, &member_length))
		line(explanation, "... and further members");
	explanation->depth--;
	free(copy);
}

static void say_alias(struct explanation *explanation, const char *folded)
{
	const struct meaning_of *meaning = &explanation->meaning;
	char owner[ADDRESS_MAX + 1];
	uint32_t count = meaning->count;

	if (*meaning->key == '@')
		line(explanation, "no mailbox and no alias of that name: the catch-all %s takes it", meaning->key);
	line(explanation, "alias %s with %u member%s%s", meaning->key, count, count == 1 ? "" : "s",
	     count > EXPAND_MEMBERS_MAX ? " (a long list: expanded in the queue)" : "");
	if (meaning->names_itself && !meaning->maybe_system)
		say_mailbox(explanation);
	explain_members(explanation);
	resolver_watch(explanation->resolver, NULL, NULL);
	if (resolve_owner(explanation->resolver, folded, owner))
		line(explanation, "failures are reported to %s", owner);
	resolver_watch(explanation->resolver, saw, explanation);
}

/* RESULT_OK: an account of the system is its mailbox, and was told. */
static enum result explain_account(struct explanation *explanation)
{
	char local[ADDRESS_LOCAL_MAX + 1], home[PATH_MAX], key[ADDRESS_MAX + 1];
	struct why why;
	enum result result;

	memcpy(key, explanation->meaning.key, sizeof key);
	snprintf(local, sizeof local, "%.*s", (int)(strrchr(key, '@') - key), key);
	result = resolve_system_account(local, &explanation->meaning, home, &why);
	line(explanation, "  look up the system's account %s: %s", local, result == RESULT_OK ? "found" : "no such mailbox");
	if (result == RESULT_OK) {
		memcpy(explanation->meaning.key, key, sizeof key);
		say_mailbox(explanation);
		line(explanation, "  %s/.forward is followed where it exists", home);
	} else if (result != RESULT_END) {
		say_failure(explanation, &why);
	}
	return result;
}

static void explain_unknown(struct explanation *explanation, const struct address *address, const char *folded)
{
	struct why why;

	if (explanation->meaning.maybe_system) {
		if (explain_account(explanation) != RESULT_END)
			return;
		resolve_catch_all(explanation->resolver, address, &explanation->meaning, &why);
		if (explanation->meaning.meaning == MEANS_ALIAS) {
			say_alias(explanation, folded);
			return;
		}
	}
	line(explanation, "unknown: no mailbox, no alias, no catch-all; refused with 550 5.1.1 (`dawk user add %s` makes a mailbox)", folded);
	explanation->has_unknown = explanation->has_unknown || explanation->depth == 0;
}

static void say_relay(struct explanation *explanation, const struct address *address, const char *folded)
{
	struct why why;
	bool is_listed;
	enum result result = resolve_relay_recipient(explanation->resolver, address, &is_listed, &why);

	if (result == RESULT_OK) {
		if (!is_listed)
			line(explanation, explanation->conf->relay_check == RELAY_CHECK_ASK ?
			     "the next hop is asked at RCPT whether it takes the recipient (relay-check = ask); while it can't be, mail is %s (relay-away)" :
			     "relay-recipients does not speak of its domain: every recipient is taken, mail is %s in any case",
			     explanation->conf->relay_check == RELAY_CHECK_ASK && explanation->conf->relay_away == RELAY_AWAY_DEFER ? "deferred" : "accepted");
		say_route(explanation);
	} else if (result == RESULT_END) {
		line(explanation, "not among the recipients of its domain: refused with 550 5.1.1 (%s in relay-recipients would let it in)", folded);
		explanation->has_unknown = explanation->has_unknown || explanation->depth == 0;
	} else {
		say_failure(explanation, &why);
	}
}

static void say_meaning(struct explanation *explanation, const struct address *address, const char *folded, const struct why *why)
{
	const char *domain = strrchr(folded, '@') + 1;

	switch (explanation->meaning.meaning) {
	case MEANS_MAILBOX:
		say_mailbox(explanation);
		break;
	case MEANS_ALIAS:
		say_alias(explanation, folded);
		break;
	case MEANS_UNKNOWN:
		explain_unknown(explanation, address, folded);
		break;
	case MEANS_RELAY:
		line(explanation, "%s is one of relay-domains: accepted from everybody, sent onwards", domain);
		say_relay(explanation, address, folded);
		break;
	case MEANS_REMOTE:
		line(explanation, "%s lives elsewhere: accepted only from relay-networks and after a login", domain);
		say_route(explanation);
		break;
	case MEANS_LATER:
		say_failure(explanation, why);
		break;
	}
}

static void explain_address(struct explanation *explanation, const struct address *address)
{
	char folded[ADDRESS_MAX + 1];
	const char *domain;
	struct why why = { 0 };

	resolve_fold(explanation->resolver, address, folded);
	domain = strrchr(folded, '@') + 1;
	line(explanation, "recipient %s", folded);
	if (critbit0_insert(&explanation->seen, folded) != 2) {
		line(explanation, "  explained above; it gets one copy");
		return;
	}
	if (configuration_is_local_domain(explanation->conf, domain, strlen(domain)))
		line(explanation, "  %s is one of domains: it lives here", domain);
	resolve(explanation->resolver, address, &explanation->meaning, &why);
	say_meaning(explanation, address, folded, &why);
}

static bool say_final(void *context, const char *address, const char *owner)
{
	(void)context;
	printf("    %s%s%s\n", address, owner ? ", failures to " : "", owner ? owner : "");
	return true;
}

static void say_finals(struct explanation *explanation, const struct address *address)
{
	struct why why;
	uint32_t count;
	enum result result;

	resolver_watch(explanation->resolver, NULL, NULL);
	puts("the envelope would hold:");
	result = resolve_expand(explanation->resolver, address, say_final, NULL, &count, &why);
	if (result == RESULT_END)	/* an account of the system, or a catch-all behind it */
		say_final(NULL, address->text, NULL);
	else if (result != RESULT_OK)
		say_failure(explanation, &why);
}

static enum result open_tables(struct explanation *explanation, struct why *why)
{
	char path[PATH_MAX];
	enum result result;

	if (!configuration_path(explanation->conf, "tables", path, sizeof path))
		return why_set(why, RESULT_NEVER, "open the tables: their path is too long");
	result = table_directory_open(path, &explanation->tables, why);
	if (result == RESULT_OK)
		result = resolver_make(explanation->conf, explanation->tables, &explanation->resolver, why);
	if (result == RESULT_OK)
		result = table_open(explanation->tables, "routes", &explanation->routes, why);
	if (result == RESULT_OK)
		result = table_open(explanation->tables, "site", &explanation->site, why);
	return result;
}

static void close_tables(struct explanation *explanation)
{
	names_stop(explanation->names);
	table_close(explanation->routes);
	table_close(explanation->site);
	resolver_free(explanation->resolver);
	table_directory_close(explanation->tables);
	critbit0_clear(&explanation->seen);
}

static int run(struct explanation *explanation, const struct address *address)
{
	struct why why;
	enum result result = open_tables(explanation, &why);

	if (result != RESULT_OK)
		return command_fail_why("explain", result, &why);
	resolver_watch(explanation->resolver, saw, explanation);
	explain_address(explanation, address);
	if (explanation->has_failed)
		return EX_TEMPFAIL;
	if (explanation->has_unknown)
		return EX_NOUSER;
	say_finals(explanation, address);
	return explanation->has_failed ? EX_TEMPFAIL : EX_OK;
}

int command_explain(struct configuration *conf, int argc, char **argv)
{
	struct explanation *explanation;
	struct address address;
	struct why why;
	int code;

	if (argc == 4 && !strcmp(argv[1], "--as"))
		return explain_sender(conf, argv[2], argv[3]);
	if (argc != 2)
		return command_usage("explain", "one ADDRESS is expected, or --as USER ADDRESS");
	if (address_parse(argv[1], strlen(argv[1]), &address, &why) != RESULT_OK)
		return command_fail("explain", EX_USAGE, "%s: %s", argv[1], why.text);
	explanation = calloc(1, sizeof *explanation);
	if (!explanation)
		return command_fail("explain", EX_OSERR, "no memory");
	explanation->conf = conf;
	code = run(explanation, &address);
	close_tables(explanation);
	free(explanation);
	return code;
}
