#include "walls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface; Debian 12's header knows the first two versions only. */
struct ruleset { uint64_t handled_access_fs, handled_access_net, scoped; };
struct path_beneath { uint64_t allowed_access; int32_t parent; } __attribute__((packed));
enum { RULE_PATH_BENEATH = 1, CREATE_RULESET_VERSION = 1 };

enum {
	FS_EXECUTE = 1 << 0, FS_WRITE_FILE = 1 << 1, FS_READ_FILE = 1 << 2, FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4, FS_REMOVE_FILE = 1 << 5, FS_MAKE_DIR = 1 << 7, FS_MAKE_REG = 1 << 8,
	FS_REFER = 1 << 13, FS_TRUNCATE = 1 << 14,
	FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE,
	NET_TCP = 3,	/* bind, connect */
	SCOPES = 3,	/* abstract Unix sockets and signals beyond the domain */
};

/* What each version of Landlock can forbid. */
static const struct { int version; uint64_t fs, net, scoped; } versions[] = {
	{ 2, (1 << 14) - 1, 0, 0 },
	{ 3, (1 << 15) - 1, 0, 0 },
	{ 4, (1 << 15) - 1, NET_TCP, 0 },
	{ 5, (1 << 16) - 1, NET_TCP, 0 },
	{ 6, (1 << 16) - 1, NET_TCP, SCOPES },
};

static uint64_t rights_of(int allow)
{
	static const struct { int allow; uint64_t rights; } table[] = {
		{ ALLOW_READ, FS_READ_FILE },
		{ ALLOW_LIST, FS_READ_DIR },
		{ ALLOW_WRITE, FS_WRITE_FILE | FS_TRUNCATE },
		{ ALLOW_MAKE, FS_MAKE_REG | FS_MAKE_DIR },
		{ ALLOW_REMOVE, FS_REMOVE_FILE | FS_REMOVE_DIR },
		{ ALLOW_REFER, FS_REFER },
	};
	uint64_t rights = 0;
	size_t i;

	for (i = 0; i < sizeof table / sizeof *table; i++)
		if (allow & table[i].allow)
			rights |= table[i].rights;
	return rights;
}

static enum result add_path(int ruleset, const struct sandbox_path *path, uint64_t handled, struct why *why)
{
	struct path_beneath rule = { .allowed_access = rights_of(path->allow) & handled };
	struct stat st;
	long failed;

	rule.parent = open(path->path, O_PATH | O_CLOEXEC);
	if (rule.parent < 0 && (errno == ENOENT || errno == ENOTDIR))
		return RESULT_OK;
	if (rule.parent < 0 || fstat(rule.parent, &st))
		return why_errno(why, RESULT_STOP, "unable to open %s for the sandbox", path->path);
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	failed = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
	if (failed)
		why_errno(why, RESULT_STOP, "unable to allow %s in the sandbox", path->path);
	close(rule.parent);
	return failed ? RESULT_STOP : RESULT_OK;
}

enum result landlock_enter(const struct sandbox_path *paths, size_t path_count, bool may_connect,
                           bool *is_on, struct why *why)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset attributes = { 0 };
	enum result result = RESULT_OK;
	int ruleset;
	size_t i;

	*is_on = version >= versions[0].version;
	if (!*is_on)
		return RESULT_OK;
	for (i = 0; i < sizeof versions / sizeof *versions && versions[i].version <= version; i++)
		attributes = (struct ruleset){ versions[i].fs, may_connect ? 0 : versions[i].net, versions[i].scoped };
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
	if (ruleset < 0)
		return why_errno(why, RESULT_STOP, "unable to make a Landlock ruleset");
	for (i = 0; i < path_count && result == RESULT_OK; i++)
		result = add_path(ruleset, &paths[i], attributes.handled_access_fs, why);
	if (result == RESULT_OK && syscall(SYS_landlock_restrict_self, ruleset, 0))
		result = why_errno(why, RESULT_STOP, "unable to enter the Landlock sandbox");
	close(ruleset);
	return result;
}
