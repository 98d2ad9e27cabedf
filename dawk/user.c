/* dawk user: mailboxes and their passwords, in the users table, app passwords and SCRAM keys, in secrets; then the
 * tables are compiled. */
#include "command.h"
#include "layout.h"
#include "password.h"
#include "user_hold.h"
#include "user_needed.h"
#include "secretfile.h"
#include "userfile.h"
#include "common/maildir.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct user_wish {
	const struct configuration *conf;
	const char *maildir, *uid, *gid, *quota;	/* "" where not given */
	const char *text;				/* the address as given */
	const char *name;				/* of an app password; NULL */
	struct address address;
};

static const struct option options[] = {
	{ "maildir", required_argument, NULL, 'm' },
	{ "uid", required_argument, NULL, 'u' },
	{ "gid", required_argument, NULL, 'g' },
	{ "quota", required_argument, NULL, 'q' },
	{ 0 }
};

/* Where the mail of LINE lies: DESIGN.md 5, empty fields take their defaults. */
static void mailbox_path(const struct configuration *conf, const struct address *address,
                         const char *maildir, size_t length, char *out, size_t size)
{
	char folded[ADDRESS_MAX + 1];
	size_t folded_length = address_fold(address, folded);
	const char *at = memrchr(folded, '@', folded_length);
	if (length && *maildir == '/')
		snprintf(out, size, "%.*s", (int)length, maildir);
	else if (length)
		snprintf(out, size, "%s/%.*s", conf->mailboxes, (int)length, maildir);
	else if (at)
		snprintf(out, size, "%s/%s/%.*s/", conf->mailboxes, at + 1, (int)(at - folded), folded);
}

static int check_address(struct user_wish *wish)
{
	struct why why = { 0 };
	struct address *address = &wish->address;
	char folded[ADDRESS_MAX + 1];	/* domains are known by A-labels */
	if (address_parse(wish->text, strlen(wish->text), address, &why) != RESULT_OK)
		return command_fail("user", EX_DATAERR, "'%s': %s", wish->text, why.text);
	if (!*address->domain)
		return command_fail("user", EX_DATAERR, "'%s' has no domain; a mailbox here is %s@%s, say", wish->text,
		                    wish->text, wish->conf->domains.items[0]);
	address_fold(address, folded);
	const char *domain = strrchr(folded, '@') + 1;
	if (!configuration_is_local_domain(wish->conf, domain, strlen(domain)))
		return command_fail("user", EX_DATAERR, "mailboxes of %s do not live here; `dawk config domains` says which do, "
		                    "and `domains` in %s is where to add one", address->domain, wish->conf->file);
	return EX_OK;
}

/* A new mailbox's name becomes a field of the table and a folder. */
static int check_new(const struct user_wish *wish)
{
	uint64_t number;
	struct quota quota;
	const struct address *address = &wish->address;
	size_t local = address->local_length;
	if (strchr("\".#", address->text[0]) || memchr(address->text, '/', local) || memchr(address->text, ':', local))
		return command_fail("user", EX_DATAERR, "'%s': a mailbox's name is a folder and starts a line: no quotes, '/' or ':', no dot or '#' in front", wish->text);
	if (*wish->quota && !quota_parse(wish->quota, &quota))
		return command_fail("user", EX_DATAERR, "'%s' is no quota; 50M, or 50M,1000 (bytes, messages), is one", wish->quota);
	if (*wish->uid && (!text_to_number(wish->uid, strlen(wish->uid), &number) || number == 0 || number >= UINT32_MAX))
		return command_fail("user", EX_DATAERR, "'%s' is no uid for a mailbox: a number above 0", wish->uid);
	if (*wish->uid && geteuid() != 0 && number != geteuid())
		return command_fail("user", EX_DATAERR, "uid %s: this instance runs as uid %lu, and can deliver to no other account's mailboxes",
		                    wish->uid, (unsigned long)geteuid());
	if (*wish->gid && (!text_to_number(wish->gid, strlen(wish->gid), &number) || number == 0 || number >= UINT32_MAX))
		return command_fail("user", EX_DATAERR, "'%s' is no gid for a mailbox: a number above 0", wish->gid);
	if (strchr(wish->maildir, ':') || strchr(wish->maildir, '\n') || strstr(wish->maildir, ".."))
		return command_fail("user", EX_DATAERR, "'%s': a mailbox's path can't hold ':' or '..'", wish->maildir);
	return EX_OK;
}

struct fresh { char password[PASSWORD_MAX + 1], hash[PASSWORD_HASH_MAX]; };

/* Asks before the lock is taken: a person at a prompt must not hold up others. */
static int ask_password(const struct user_wish *wish, struct fresh *fresh)
{
	struct why why = { 0 };
	enum result result = password_read(wish->text, fresh->password, &why);
	if (result == RESULT_OK)
		result = password_hash(fresh->password, fresh->hash, &why);
	return result == RESULT_OK ? EX_OK : command_fail_why("user", result, &why);
}

/* Beside the hash: what SCRAM needs. The hash is written by now, and any other key counts no more with it. */
static int put_key(const struct user_wish *wish, const struct fresh *fresh)
{
	const struct secret_wish secret = { .address = &wish->address, .name = SECRET_OF_PASSWORD, .password = fresh->password, .check = fresh->hash };
	struct why why = { 0 };
	bool has_key;
	enum result result = secretfile_put(wish->conf, &secret, &has_key, &why);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	if (!has_key)
		fprintf(stderr, "dawk user: the password has control characters or is no UTF-8: %s can't log in by SCRAM with it, but by PLAIN\n", wish->text);
	return EX_OK;
}

/* FILE: what was edited. SAID: of success; NULL: nothing. */
static int compile(const struct user_wish *wish, const char *file, const char *said)
{
	char *update[] = { "update", "--quiet", NULL };
	/* command_update reads CONF only */
	int code = command_update((struct configuration *)wish->conf, 2, update);
	if (code)
		return command_fail("user", code, "%s is written, but not in force until `dawk update` succeeds", file);
	if (said)
		puts(said);
	return EX_OK;
}

static int exists(const struct user_wish *wish)
{
	return command_fail("user", EX_DATAERR, "%s has a mailbox already; `dawk user passwd %s` changes its password", wish->text, wish->text);
}

static int misses(const struct user_wish *wish)
{
	return command_fail("user", EX_NOUSER, "%s has no mailbox here; `dawk user list` shows all", wish->text);
}

/* Is there a line of the address? -1: yes; EX_OK: no; else the failure was said. */
static int look(const struct user_wish *wish)
{
	struct userfile file;
	struct user_line line;
	struct why why = { 0 };
	enum result result = userfile_open(&file, wish->conf->users, false, &why);
	bool is_found = result == RESULT_OK && userfile_find(&file, &wish->address, &line);
	userfile_close(&file);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	return is_found ? -1 : EX_OK;
}

static enum result make_domain_folder(const struct user_wish *wish, struct why *why)
{
	char path[PATH_MAX], folded[ADDRESS_MAX + 1];
	address_fold(&wish->address, folded);
	if (snprintf(path, sizeof path, "%s/%s", wish->conf->mailboxes, strrchr(folded, '@') + 1) >= (int)sizeof path)
		return why_set(why, RESULT_NEVER, "the path is too long: %s", wish->conf->mailboxes);
	return layout_make_directory(path, 0755, why);
}

static enum result add_line(const struct user_wish *wish, const char *hash, bool *is_there, struct why *why)
{
	char folded[ADDRESS_MAX + 1];
	struct userfile file;
	struct user_line line;
	stralloc text = { 0 };
	address_fold(&wish->address, folded);
	enum result result = userfile_open(&file, wish->conf->users, true, why);
	*is_there = result == RESULT_OK && userfile_find(&file, &wish->address, &line);
	if (result == RESULT_OK && !*is_there) {
		if (!text_append_format(&text, "%s:%s:%s:%s:%s:%s\n", folded, hash, wish->uid, wish->gid, wish->maildir, wish->quota))
			result = why_set(why, RESULT_RETRY, "out of memory");
		if (result == RESULT_OK)
			result = userfile_edit(&file, file.text.len, 0, &text, why);
		if (result == RESULT_OK)
			result = userfile_save(&file, why);
	}
	stralloc_free(&text);
	userfile_close(&file);	/* the lock too, before the tables are compiled */
	return result;
}

static int user_add(struct user_wish *wish)
{
	char path[PATH_MAX], said[PATH_MAX + ADDRESS_MAX + 64];
	struct fresh fresh;
	struct why why = { 0 };
	bool is_there = false;
	int code = check_new(wish);
	if (!code)
		code = look(wish);
	if (code)
		return code < 0 ? exists(wish) : code;
	if ((code = ask_password(wish, &fresh)))
		return code;
	enum result result = make_domain_folder(wish, &why);
	if (result == RESULT_OK)
		result = add_line(wish, fresh.hash, &is_there, &why);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	if (is_there)
		return exists(wish);
	code = put_key(wish, &fresh);
	explicit_bzero(&fresh, sizeof fresh);
	if (code)
		return code;
	mailbox_path(wish->conf, &wish->address, wish->maildir, strlen(wish->maildir), path, sizeof path);
	snprintf(said, sizeof said, "%s has a mailbox now: %s", wish->address.text, path);
	return compile(wish, wish->conf->users, said);
}

static enum result change_hash(const struct user_wish *wish, const char *hash, bool *is_there, struct why *why)
{
	struct userfile file;
	struct user_line line;
	stralloc text = { 0 };
	enum result result = userfile_open(&file, wish->conf->users, true, why);
	*is_there = result == RESULT_OK && userfile_find(&file, &wish->address, &line);
	if (*is_there) {
		size_t start = (size_t)(line.field[USER_HASH] - file.text.s);
		bool is_alone = line.field[USER_ADDRESS] + line.field_length[USER_ADDRESS] == line.field[USER_HASH];	/* without a ':' yet */
		if (!text_append(&text, file.text.s + line.start, start - line.start) || (is_alone && !text_append(&text, ":", 1)))
			result = why_set(why, RESULT_RETRY, "out of memory");
		size_t behind = start + line.field_length[USER_HASH];
		if (result == RESULT_OK && (!text_append_string(&text, hash) ||
		                            !text_append(&text, file.text.s + behind, line.start + line.length - behind)))
			result = why_set(why, RESULT_RETRY, "out of memory");
		if (result == RESULT_OK)
			result = userfile_edit(&file, line.start, line.length, &text, why);
		if (result == RESULT_OK)
			result = userfile_save(&file, why);
	}
	stralloc_free(&text);
	userfile_close(&file);
	return result;
}

static int user_passwd(struct user_wish *wish)
{
	char said[ADDRESS_MAX + 64];
	struct fresh fresh;
	struct why why = { 0 };
	bool is_there = false;
	int code = look(wish);
	if (code >= 0)
		return code ? code : misses(wish);
	if ((code = ask_password(wish, &fresh)))
		return code;
	enum result result = change_hash(wish, fresh.hash, &is_there, &why);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	if (!is_there)
		return misses(wish);
	code = put_key(wish, &fresh);
	explicit_bzero(&fresh, sizeof fresh);
	if (code)
		return code;
	snprintf(said, sizeof said, "%s has the new password", wish->address.text);
	return compile(wish, wish->conf->users, said);
}

static int user_del(struct user_wish *wish)
{
	char path[PATH_MAX], said[PATH_MAX + ADDRESS_MAX + 128];
	struct userfile file;
	struct user_line line;
	struct why why = { 0 };
	stralloc nothing = { 0 };
	unsigned secrets;
	int code = look(wish);
	if (code < 0)
		code = user_needed(wish->conf, &wish->address);
	if (code)
		return code;
	enum result result = userfile_open(&file, wish->conf->users, true, &why);
	bool is_there = result == RESULT_OK && userfile_find(&file, &wish->address, &line);
	if (is_there) {
		mailbox_path(wish->conf, &wish->address, line.field[USER_MAILDIR], line.field_length[USER_MAILDIR], path, sizeof path);
		result = userfile_edit(&file, line.start, line.length, &nothing, &why);
		if (result == RESULT_OK)
			result = userfile_save(&file, &why);
	}
	userfile_close(&file);
	if (result == RESULT_OK)	/* also of one that lost its line by hand */
		result = secretfile_drop(wish->conf, &wish->address, NULL, &secrets, &why);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	if (!is_there)
		return secrets ? compile(wish, wish->conf->secrets, "its secrets are gone; there was no mailbox") : misses(wish);
	snprintf(said, sizeof said, "%s has no mailbox any more; what it held is kept, in %s", wish->address.text, path);
	return compile(wish, wish->conf->users, said);
}

static void print_user(const struct configuration *conf, const struct user_line *line)
{
	char path[PATH_MAX] = "?";
	struct address address;
	if (address_parse(line->field[USER_ADDRESS], line->field_length[USER_ADDRESS], &address, NULL) == RESULT_OK)
		mailbox_path(conf, &address, line->field[USER_MAILDIR], line->field_length[USER_MAILDIR], path, sizeof path);
	bool has_password = line->field_length[USER_HASH] && *line->field[USER_HASH] != '!' && *line->field[USER_HASH] != '*';
	printf("%-32.*s %-11s %-8.*s %s\n", (int)line->field_length[USER_ADDRESS], line->field[USER_ADDRESS],
	       has_password ? "password" : "no-password",
	       line->field_length[USER_QUOTA] ? (int)line->field_length[USER_QUOTA] : 1,
	       line->field_length[USER_QUOTA] ? line->field[USER_QUOTA] : "-", path);
}

static int user_list(struct user_wish *wish)
{
	struct userfile file;
	struct user_line line;
	struct why why = { 0 };
	size_t at = 0;
	int code = EX_OK;
	enum result result = userfile_open(&file, wish->conf->users, false, &why);
	if (result != RESULT_OK)
		code = command_fail_why("user", result, &why);
	else if (!wish->text)
		while (userfile_next(&file, &at, &line))
			print_user(wish->conf, &line);
	else if (userfile_find(&file, &wish->address, &line))
		print_user(wish->conf, &line);
	else
		code = misses(wish);
	userfile_close(&file);
	return code;
}

/* ---- app passwords ---- */

static int app_password_add(struct user_wish *wish)
{
	char password[PASSWORD_MADE_MAX], hash[PASSWORD_HASH_MAX];
	const struct secret_wish secret = { .address = &wish->address, .name = wish->name, .password = password, .hash = hash, .must_be_new = true };
	struct why why = { 0 };
	bool has_key;
	int code = look(wish);
	if (code >= 0 && !wish->conf->system_users)
		return code ? code : misses(wish);
	enum result result = password_make(password, hash, &why);
	if (result == RESULT_OK)
		result = secretfile_put(wish->conf, &secret, &has_key, &why);
	if (result == RESULT_END)
		return command_fail("user", EX_DATAERR, "%s has a secret called %s already; `dawk user app-password del %s %s` takes it away",
		                    wish->text, wish->name, wish->text, wish->name);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	puts(password);		/* nothing else will ever say it */
	explicit_bzero(password, sizeof password);
	return compile(wish, wish->conf->secrets, NULL);
}

static int app_password_del(struct user_wish *wish)
{
	char said[ADDRESS_MAX + 128];
	struct why why = { 0 };
	unsigned count;
	enum result result = secretfile_drop(wish->conf, &wish->address, wish->name, &count, &why);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	if (count == 0)
		return command_fail("user", EX_NOUSER, "%s has no secret called %s; `dawk user app-password list %s` shows all",
		                    wish->text, wish->name, wish->text);
	snprintf(said, sizeof said, "%s logs in by %s no more", wish->text, wish->name);
	return compile(wish, wish->conf->secrets, said);
}

static void print_secret(const char *name, const char *scheme)
{
	if (strcmp(name, SECRET_OF_PASSWORD))
		printf("%-32s %s\n", name, scheme);
}

static int app_password_list(struct user_wish *wish)
{
	struct why why = { 0 };
	enum result result = secretfile_each(wish->conf, &wish->address, print_secret, &why);
	return result == RESULT_OK ? EX_OK : command_fail_why("user", result, &why);
}

/* ---- the table ---- */

static const struct verb {
	const char *name;
	bool needs_address, needs_name, takes_options;
	int (*run)(struct user_wish *);
} verbs[] = {
	{ "add", true, false, true, user_add },
	{ "passwd", true, false, false, user_passwd },
	{ "del", true, false, false, user_del },
	{ "list", false, false, false, user_list },
}, app_password_verbs[] = {
	{ "add", true, true, false, app_password_add },
	{ "del", true, true, false, app_password_del },
	{ "list", true, false, false, app_password_list },
};

static const struct verb *find_verb(const struct verb *verb, size_t count, const char *name)
{
	for (; count > 0; count--, verb++)
		if (name && !strcmp(verb->name, name))
			return verb;
	return NULL;
}

static bool take_options(struct user_wish *wish, int argc, char **argv)
{
	const char **place;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		place = option == 'm' ? &wish->maildir : option == 'u' ? &wish->uid : option == 'g' ? &wish->gid :
		        option == 'q' ? &wish->quota : NULL;
		if (!place)
			return false;
		*place = optarg;
	}
	return true;
}

int command_user(struct configuration *conf, int argc, char **argv)
{
	struct user_wish wish = { .conf = conf, .maildir = "", .uid = "", .gid = "", .quota = "" };
	int held = user_hold_command(conf, argc, argv);
	if (held >= 0)
		return held;
	const struct verb *verb;
	if (!take_options(&wish, argc, argv))
		return command_usage("user", "an option is not known or lacks its value");
	bool is_app = optind < argc && !strcmp(argv[optind], "app-password");
	optind += is_app;
	verb = is_app ? find_verb(app_password_verbs, sizeof app_password_verbs / sizeof *app_password_verbs, argv[optind])
	              : find_verb(verbs, sizeof verbs / sizeof *verbs, argv[optind]);
	if (!verb)
		return command_usage("user", is_app ? "say what to do with app passwords: add, list or del"
		                                    : "say what to do: add, passwd, del, list, app-password, hold, release or held");
	if (!verb->takes_options && (*wish.maildir || *wish.uid || *wish.gid || *wish.quota))
		return command_usage("user", "these options go with `add` alone");
	int left = argc - optind - 1;
	if (left > 1 + verb->needs_name || left < verb->needs_address + verb->needs_name)
		return command_usage("user", verb->needs_name ? "%s takes an address and a name" : "%s takes one address", verb->name);
	wish.text = left ? argv[optind + 1] : NULL;
	wish.name = left > 1 ? argv[optind + 2] : NULL;
	if (wish.name && (!secret_name_is_fit(wish.name) || !strcmp(wish.name, SECRET_OF_PASSWORD)))
		return command_fail("user", EX_DATAERR, "'%s' can't be the name of an app password: letters, digits, '.', '-' and '_', and not \"%s\"", wish.name, SECRET_OF_PASSWORD);
	int code = wish.text ? check_address(&wish) : EX_OK;
	return code ? code : verb->run(&wish);
}
