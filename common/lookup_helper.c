/* The helper: see lookup.h. It may block, within its time, and nothing else. */
#include "lookup.h"

#include "helper.h"
#include <errno.h>
#include <pwd.h>
#include <shadow.h>
#include <string.h>
#include <time.h>

enum { ENTRY_MAX = 16384, FIRST_LOGIN = 1000 };

struct found {
	uint64_t verdict;	/* enum lookup_verdict */
	struct passwd account;
	struct spwd shadow;
	const char *hash;	/* NULL: none */
	struct why why;
	char account_bytes[ENTRY_MAX], shadow_bytes[ENTRY_MAX];
};

/* Of the reentrant calls: 0 and no entry says that it is not there; a code, that a service of nsswitch.conf(5) could
 * not be asked. Two of those are said by services which mean "not there". */
static uint64_t verdict_of(int failure, const void *entry, const char *what, const char *name, struct found *found)
{
	if (entry)
		return LOOKUP_FOUND;
	if (failure == 0 || failure == ENOENT || failure == ESRCH)
		return LOOKUP_UNKNOWN;
	errno = failure;
	why_errno(&found->why, RESULT_RETRY, "look up the %s %s", what, name);
	return LOOKUP_LATER;
}

static bool may_log_in(const struct passwd *account, const struct spwd *shadow)
{
	const char *shell = strrchr(account->pw_shell, '/');
	long today = (long)(time(NULL) / 86400);

	if (account->pw_uid < FIRST_LOGIN || (shell && (!strcmp(shell, "/nologin") || !strcmp(shell, "/false"))))
		return false;
	return shadow->sp_expire < 0 || shadow->sp_expire > today;
}

static void find_hash(struct found *found)
{
	struct spwd *entry = NULL;
	int failure = getspnam_r(found->account.pw_name, &found->shadow, found->shadow_bytes, sizeof found->shadow_bytes, &entry);
	uint64_t verdict;

	if (!entry && failure == EACCES)
		return;		/* not root: no account of the system can log in */
	verdict = verdict_of(failure, entry, "password of", found->account.pw_name, found);
	if (verdict == LOOKUP_LATER)
		found->verdict = verdict;
	/* '!' and '*' lock an account */
	else if (verdict == LOOKUP_FOUND && may_log_in(&found->account, entry) && entry->sp_pwdp[0] == '$')
		found->hash = entry->sp_pwdp;
}

static void find(const char *name, bool wants_hash, struct found *found)
{
	struct passwd *entry = NULL;
	int failure = getpwnam_r(name, &found->account, found->account_bytes, sizeof found->account_bytes, &entry);

	found->hash = NULL;
	found->why = (struct why){ 0 };
	found->verdict = verdict_of(failure, entry, "account", name, found);
	if (found->verdict == LOOKUP_FOUND && wants_hash)
		find_hash(found);
}

static enum result tell(struct channel *channel, uint64_t serial, const struct found *found)
{
	const struct passwd *account = &found->account;
	bool is_found = found->verdict == LOOKUP_FOUND;
	const char *home = is_found ? account->pw_dir : "", *hash = is_found && found->hash ? found->hash : "";
	struct wire_value values[LOOKUP_TELL_FIELDS] = {
		[LOOKUP_TELL_SERIAL] = WIRE_NUMBER(serial), [LOOKUP_TELL_VERDICT] = WIRE_NUMBER(found->verdict),
		[LOOKUP_TELL_UID] = WIRE_NUMBER(is_found ? account->pw_uid : 0),
		[LOOKUP_TELL_GID] = WIRE_NUMBER(is_found ? account->pw_gid : 0),
		[LOOKUP_TELL_HOME] = WIRE_STRING(strlen(home) <= LOOKUP_HOME_MAX ? home : ""),
		[LOOKUP_TELL_HASH] = WIRE_STRING(strlen(hash) <= LOOKUP_HASH_MAX ? hash : ""),
		[LOOKUP_TELL_WORDS] = WIRE_STRING(found->why.text),
	};

	return channel_send(channel, FRAME_LOOKUP_TELL, values, -1, NULL);
}

static enum result enter(const void *context, struct why *why)
{
	static const struct sandbox_path all = { "/", ALLOW_READ | ALLOW_LIST };
	const enum role *role = context;
	struct identity identity;
	enum result result = sandbox_identity(*role, &identity, why);

	return result == RESULT_OK ? sandbox_enter(*role, &identity, &all, 1, why) : result;
}

static bool answer(struct channel *channel, const struct frame *f)
{
	static struct found found;
	char name[ADDRESS_LOCAL_MAX + 1];
	bool is_told;

	if (f->type != FRAME_LOOKUP_ASK || !frame_value_copy(f, LOOKUP_ASK_NAME, name, sizeof name))
		return false;
	find(name, f->value[LOOKUP_ASK_WANTS_HASH].number == 1, &found);
	is_told = tell(channel, f->value[LOOKUP_ASK_SERIAL].number, &found) == RESULT_OK;
	explicit_bzero(found.shadow_bytes, sizeof found.shadow_bytes);
	return is_told;
}

int lookup_run(int fd, enum role role)
{
	const struct helper_duty duty = {
		.name = "names", .log_none = "no-lookup-helper", .seconds = LOOKUP_SECONDS, .context = &role, .enter = enter, .answer = answer,
	};

	return helper_run(fd, &duty);
}
