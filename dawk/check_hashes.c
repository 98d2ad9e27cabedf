/* `dawk check`: hashes of passwords that authd refuses for their method. See check.h. */
#include "check.h"
#include "password.h"
#include "common/address.h"
#include "common/table.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

struct weak { unsigned count; char first[ADDRESS_MAX + 1]; };

static void judge(struct weak *weak, const char *key, size_t key_length, const char *hash, size_t length)
{
	if (password_judge_hash(hash, length) == HASH_WEAK && weak->count++ == 0)
		snprintf(weak->first, sizeof weak->first, "%.*s", (int)key_length, key);
}

static bool judge_user(void *context, const char *key, size_t key_length, const char *value, size_t length)
{
	judge(context, key, key_length, value, length);
	return true;
}

/* Lines NAME:SCHEME:VALUE. */
static bool judge_secrets(void *context, const char *key, size_t key_length, const char *value, size_t length)
{
	static const char scheme[] = ":crypt:";
	const char *end = value + length, *line_end;

	for (; value < end; value = line_end + 1) {
		const char *at = memchr(value, ':', (size_t)(end - value));
		line_end = memchr(value, '\n', (size_t)(end - value));
		if (!line_end)
			return true;
		if (at && (size_t)(line_end - at) > sizeof scheme - 1 && !memcmp(at, scheme, sizeof scheme - 1))
			judge(context, key, key_length, at + sizeof scheme - 1, (size_t)(line_end - at) - (sizeof scheme - 1));
	}
	return true;
}

static void check_hashes_of(struct check *check, struct table_directory *tables, const char *name, const char *source, const char *mend)
{
	struct weak weak = { 0 };
	struct table *table = NULL;

	if (table_open(tables, name, &table, NULL) == RESULT_OK)
		table_walk(table, strcmp(name, "users") ? judge_secrets : judge_user, &weak, NULL);
	table_close(table);
	if (weak.count > 0)
		check_finding(check, mend, "%s: %u password hash%s of methods that are too weak (DES, $1$) let nobody log in, first that of %s",
		              source, weak.count, weak.count > 1 ? "es" : "", weak.first);
}

void check_hashes(struct check *check)
{
	const struct configuration *conf = check->conf;
	struct table_directory *tables;
	char path[PATH_MAX];

	if (!configuration_path(conf, "secret", path, sizeof path) || table_directory_open(path, &tables, NULL) != RESULT_OK)
		return;		/* told with the tables */
	check_hashes_of(check, tables, "users", conf->users, "`dawk user passwd ADDRESS` for each; `dawk update` names their lines");
	check_hashes_of(check, tables, "secrets", conf->secrets, "`dawk user app-password del ADDRESS NAME` for each, then `add`; `dawk update` names their lines");
	table_directory_close(tables);
}
