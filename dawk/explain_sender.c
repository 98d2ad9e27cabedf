#include "explain_sender.h"
#include "command.h"
#include "common/held.h"
#include "common/senders.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct tables {
	struct table_directory *directory;
	struct resolver *resolver;
	struct senders *senders;
};

static enum result tables_open(struct tables *tables, const struct configuration *conf, struct why *why)
{
	char path[PATH_MAX];

	if (!configuration_path(conf, "tables", path, sizeof path))
		return why_set(why, RESULT_NEVER, "open the tables: their path is too long");
	enum result result = table_directory_open(path, &tables->directory, why);
	if (result == RESULT_OK)
		result = resolver_make(conf, tables->directory, &tables->resolver, why);
	return result == RESULT_OK ? senders_make(conf, tables->directory, tables->resolver, &tables->senders, why) : result;
}

static void tables_close(struct tables *tables)
{
	senders_free(tables->senders);
	resolver_free(tables->resolver);
	table_directory_close(tables->directory);
}

static void say_limits(const struct tables *tables, const char *user)
{
	uint32_t limits[USER_LIMITS];
	struct why why;

	if (senders_limits(tables->senders, user, limits, &why) != RESULT_OK) {
		printf("  his limits can't be read: %s\n", why.text);
		return;
	}
	printf("  his limits:");
	for (int i = 0; i < USER_LIMITS; i++)
		limits[i] ? printf(" %s=%u", user_limit_names[i], limits[i]) : printf(" %s=off", user_limit_names[i]);
	putchar('\n');
}

static void say_held(const struct configuration *conf, const char *user)
{
	struct held held;
	struct why why;
	int fd;

	if (held_open(conf, &fd, &why) != RESULT_OK)
		return;
	if (held_read(fd, user, &held, &why) == RESULT_OK)
		printf("  but his account is held by %s (%s): `dawk user release %s` lets him go on\n", held.by, held.reason, user);
	close(fd);
}

static int say(const struct configuration *conf, struct tables *tables, const char *user, const struct address *address)
{
	static const char *const reasons[] = {
		[SENDER_NOT] = "", [SENDER_SELF] = "it is his own address",
		[SENDER_ALIAS] = "it is an alias that leads to him", [SENDER_TABLE] = "the table senders gives it to him",
	};
	enum sender_reason reason;
	struct why why;

	switch (senders_judge(tables->senders, user, address, &reason, &why)) {
	case RESULT_OK:
		printf("%s may send as %s: %s\n", user, address->text, reasons[reason]);
		say_limits(tables, user);
		say_held(conf, user);
		return EX_OK;
	case RESULT_END:
		printf("%s may not send as %s: it is neither his own address, nor an alias that leads to him, nor in %s\n", user,
		       address->text, conf->senders);
		if (conf->submission_from == SUBMISSION_FROM_OFF)
			printf("  but nobody looks at that: submission-from is off\n");
		return EX_NOPERM;
	default:
		return command_fail_why("explain", RESULT_RETRY, &why);
	}
}

/* false: no login of that name can succeed. Whom a program judges is not known here. */
static bool may_exist(const struct configuration *conf, const struct tables *tables, const char *folded)
{
	const char *at = strrchr(folded, '@'), *value;
	char local[ADDRESS_LOCAL_MAX + 1], home[PATH_MAX];
	struct meaning_of meaning;
	struct table *users = NULL;
	struct why why;
	size_t length;
	enum result result = table_open(tables->directory, "users", &users, &why);

	if (result == RESULT_OK)
		result = table_find(users, folded, strlen(folded), &value, &length, &why);
	table_close(users);
	if (result != RESULT_END || conf->checkpassword || conf->oauth_checker)
		return true;
	if (!conf->system_users || strcmp(at + 1, conf->domains.items[0]))
		return false;
	snprintf(local, sizeof local, "%.*s", (int)(at - folded), folded);
	return resolve_system_account(local, &meaning, home, &why) != RESULT_END;
}

int explain_sender(const struct configuration *conf, const char *user, const char *text)
{
	struct address who, address;
	char folded[ADDRESS_MAX + 1];
	struct tables tables = { NULL, NULL, NULL };
	struct why why;

	if (address_parse(user, strlen(user), &who, &why) != RESULT_OK)
		return command_fail("explain", EX_USAGE, "%s: %s", user, why.text);
	if (address_parse(text, strlen(text), &address, &why) != RESULT_OK)
		return command_fail("explain", EX_USAGE, "%s: %s", text, why.text);
	enum result result = tables_open(&tables, conf, &why);
	if (result == RESULT_OK)
		resolve_fold(tables.resolver, &who, folded);
	int code;
	if (result != RESULT_OK)
		code = command_fail_why("explain", result, &why);
	else if (!may_exist(conf, &tables, folded))
		code = command_fail("explain", EX_NOUSER, "%s has no mailbox here, and can't log in; `dawk user list` shows all", folded);
	else
		code = say(conf, &tables, folded, &address);
	tables_close(&tables);
	return code;
}
