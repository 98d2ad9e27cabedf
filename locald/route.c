/* Routing: see route.h. */
#include "route.h"
#include "common/base.h"
#include "common/log.h"
#include "common/lookup.h"
#include "common/sandbox.h"
#include "folders.h"
#include "lane.h"
#include "program.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char aliases_account[] = "dawkx";

static const struct configuration *conf;
static struct table_directory *tables;
static struct resolver *resolver;
static struct account programs;		/* whom programs and paths of aliases run as; uid 0: not known yet */
static struct lookup programs_lookup;

enum result route_open(const struct configuration *its_conf, struct why *why)
{
	char path[4096];
	const struct passwd *entry;
	enum result result;

	conf = its_conf;
	programs = (struct account){ geteuid(), getegid(), NULL };
	if (geteuid() == 0 && (entry = getpwnam(aliases_account)) != NULL)	/* at the start it may wait */
		programs = (struct account){ entry->pw_uid, entry->pw_gid, NULL };
	if (!configuration_path(conf, "tables", path, sizeof(path)))
		return why_set(why, RESULT_STOP, "the path of the tables is too long");
	result = table_directory_open(path, &tables, why);
	return result == RESULT_OK ? resolver_make(conf, tables, &resolver, why) : result;
}

void route_close(void)
{
	resolver_free(resolver);
	table_directory_close(tables);
}

/* What is over at once. */
static void report(struct recipient *recipient, enum delivery_verdict verdict, const char *status, const char *words)
{
	struct outcome outcome = { 0 };

	outcome_set(&outcome, verdict, status, "%s", words);
	recipient->pending++;	/* of its own, beside the caller's */
	recipient_report(recipient, &outcome);
}

static void log_refused(const struct recipient *recipient, const struct account *account)
{
	struct log_line line;

	log_start(&line, "uid-refused");
	log_text(&line, "id", recipient->job->id);
	log_text(&line, "recipient", recipient->address);
	log_number(&line, "uid", account->uid);
	log_end(&line);
}

static bool may_become(struct recipient *recipient, const struct account *account)
{
	if (account->uid != 0 && (geteuid() == 0 || account->uid == geteuid()))
		return true;
	log_refused(recipient, account);
	report(recipient, DELIVERY_DEFERRED, "4.3.5", account->uid == 0 ? "the mailbox belongs to uid 0" : "the mailbox belongs to another user than this instance");
	return false;
}

static bool is_done(struct recipient *recipient, uint64_t key)
{
	if (!done_has(&recipient->done, key))
		return false;
	report(recipient, DELIVERY_DELIVERED, "2.0.0", "delivered at an earlier attempt");
	return true;
}

/* KEY: done_key, 0 where the entries of a ~/.forward have keys of their own. HOME: "" where none is looked for. */
static void deliver(struct recipient *recipient, const struct account *account, uint64_t key, enum delivery_kind kind, const char *path,
                    const char *quota, const char *home, const char *extension)
{
	char base[BASE_SIZE];
	struct part *part;

	if (is_done(recipient, key) || !may_become(recipient, account))
		return;
	if (home[0] != '\0')
		snprintf(base, sizeof(base), "%s", home);
	else
		base_of_mailbox(conf, path, base);
	part = part_make(recipient, key, kind, path, quota, home, extension);
	if (part != NULL)
		folder_deliver(part, account, base);
	else
		report(recipient, DELIVERY_DEFERRED, "4.3.1", "out of memory");
}

static void deliver_mailbox(struct recipient *recipient, const struct meaning_of *meaning)
{
	struct account account = { meaning->uid, meaning->gid, NULL };

	deliver(recipient, &account, done_key("\\", 1), meaning->is_mbox ? DELIVER_MBOX : DELIVER_MAILDIR, meaning->maildir, meaning->quota, "", meaning->extension);
}

/* ---- aliases ---- */

static void found_programs(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *why)
{
	(void)lookup;
	(void)why;
	if (result == RESULT_OK)
		programs = (struct account){ account->uid, account->gid, NULL };
}

/* dawkx, or in an instance of one's own the caller. An account that was made since the start is there at the
 * next attempt. */
static bool aliases_identity(struct recipient *recipient, struct account *account)
{
	*account = programs;
	if (programs.uid != 0)
		return true;
	if (!lookup_is_asked(&programs_lookup))
		lookup_ask(&programs_lookup, aliases_account, false, found_programs);
	report(recipient, DELIVERY_DEFERRED, "4.3.5", "there is no account dawkx: run `make setup` or `dawk init`");
	return false;
}

static void take_member(struct recipient *recipient, const struct account *account, const char *member, size_t length)
{
	char text[WIRE_PATH_LENGTH_MAX + 1];
	uint64_t key = done_key(member, length);

	if (length >= sizeof(text)) {
		report(recipient, DELIVERY_DEFERRED, "4.3.5", "a member of the alias is too long");
		return;
	}
	memcpy(text, member, length);
	text[length] = '\0';
	if (text[0] == '|') {
		struct program_user user = { .account = *account, .name = aliases_account, .home = "/" };

		if (!is_done(recipient, key) && may_become(recipient, account)) {
			recipient->pending++;
			program_add(recipient, &user, key, text + 1 + strspn(text + 1, " \t"));
		}
	} else if (strcmp(text, "/dev/null") == 0) {
		report(recipient, DELIVERY_DELIVERED, "2.0.0", "discarded");
	} else if (text[length - 1] == '/') {
		while (length > 1 && text[length - 1] == '/')
			text[--length] = '\0';
		deliver(recipient, account, key, DELIVER_MAILDIR, text, "", "", "");
	} else {
		deliver(recipient, account, key, DELIVER_MBOX, text, "", "", "");
	}
}

/* Its addresses were expanded when the message was accepted, unless it holds nothing else: then
 * it has become an alias since. */
static void deliver_alias(struct recipient *recipient, const struct meaning_of *meaning)
{
	const char *at = meaning->members, *end = at + meaning->members_length, *member;
	bool forwards = !meaning->has_programs && !meaning->names_itself;
	struct account account = { 0 };
	size_t length;

	if (forwards && meaning->count > EXPAND_MEMBERS_MAX) {
		report(recipient, DELIVERY_DEFERRED, "4.3.5", "the list is to be expanded by queued");
		return;
	}
	if (meaning->has_programs && !aliases_identity(recipient, &account))
		return;
	while (alias_next_member(&at, end, &member, &length)) {
		if (member[0] == '|' || member[0] == '/')
			take_member(recipient, &account, member, length);
		else if (forwards && !recipient_forward(recipient, member, length))
			report(recipient, DELIVERY_DEFERRED, "4.3.0", "a forward can't be passed on");
	}
	if (forwards)
		report(recipient, DELIVERY_FORWARDED, "2.0.0", "forwarded");
}

/* ---- accounts of the system ---- */

/* A recipient that waits for a look-up. */
struct waiting {
	struct lookup lookup;
	struct recipient *recipient;
	char extension[ADDRESS_LOCAL_MAX + 1];
};

static void take_meaning(struct recipient *recipient, const struct meaning_of *meaning, const struct why *why);

static void deliver_account(struct recipient *recipient, const struct meaning_of *meaning, const char *name, const char *home, const char *extension)
{
	struct account account = { meaning->uid, meaning->gid, name };

	deliver(recipient, &account, 0, meaning->is_mbox ? DELIVER_MBOX : DELIVER_MAILDIR, meaning->maildir, meaning->quota, home, extension);
}

/* Behind the accounts stands the catch-all. */
static void deliver_catch_all(struct recipient *recipient)
{
	static struct meaning_of meaning;
	struct address address;
	struct why why = { 0 };

	if (address_parse(recipient->address, strlen(recipient->address), &address, &why) == RESULT_OK) {
		resolve_catch_all(resolver, &address, &meaning, &why);
		meaning.maybe_system = false;
		take_meaning(recipient, &meaning, &why);
	}
}

static void looked_up(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *why)
{
	static struct meaning_of meaning;
	struct waiting *waiting = container_of(lookup, struct waiting, lookup);
	struct recipient *recipient = waiting->recipient;
	struct outcome nothing = { 0 };

	if (result == RESULT_OK)
		result = resolve_account(account->uid, account->gid, account->home, &meaning);
	if (result == RESULT_OK)
		deliver_account(recipient, &meaning, lookup_name(lookup), account->home, waiting->extension);
	else if (result == RESULT_END)
		deliver_catch_all(recipient);
	else
		report(recipient, DELIVERY_DEFERRED, "4.3.0", why->text);
	free(waiting);
	recipient_report(recipient, &nothing);
}

/* Not in the tables: perhaps an account. */
static void deliver_unknown(struct recipient *recipient, const struct meaning_of *meaning)
{
	char name[ADDRESS_MAX + 1];
	struct waiting *waiting;

	if (!meaning->maybe_system) {
		report(recipient, DELIVERY_FAILED, "5.1.1", "no such mailbox here");
		return;
	}
	waiting = calloc(1, sizeof(*waiting));
	if (waiting == NULL) {
		report(recipient, DELIVERY_DEFERRED, "4.3.1", "out of memory");
		return;
	}
	recipient->pending++;	/* the look-up's */
	waiting->recipient = recipient;
	memcpy(waiting->extension, meaning->extension, sizeof(waiting->extension));
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(meaning->key, "@"), meaning->key);
	lookup_ask(&waiting->lookup, name, false, looked_up);
}

static void take_meaning(struct recipient *recipient, const struct meaning_of *meaning, const struct why *why)
{
	switch (meaning->meaning) {
	case MEANS_MAILBOX:
		deliver_mailbox(recipient, meaning);
		break;
	case MEANS_ALIAS:
		if (meaning->has_programs || !meaning->names_itself)
			deliver_alias(recipient, meaning);
		if (meaning->names_itself && meaning->maybe_system)
			deliver_unknown(recipient, meaning);
		else if (meaning->names_itself)
			deliver_mailbox(recipient, meaning);
		break;
	case MEANS_UNKNOWN:
		deliver_unknown(recipient, meaning);
		break;
	case MEANS_LATER:
		report(recipient, DELIVERY_DEFERRED, "4.3.0", why->text);
		break;
	default:
		report(recipient, DELIVERY_DEFERRED, "4.3.5", "this domain has no mailboxes here any more");
	}
}

void route_recipient(struct recipient *recipient)
{
	static struct meaning_of meaning;
	struct address address;
	struct why why = { 0 };

	if (address_parse(recipient->address, strlen(recipient->address), &address, &why) != RESULT_OK) {
		report(recipient, DELIVERY_FAILED, "5.1.3", why.text);
		return;
	}
	resolve(resolver, &address, &meaning, &why);
	take_meaning(recipient, &meaning, &why);
}
