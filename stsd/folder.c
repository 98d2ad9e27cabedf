#include "folder.h"

#include "common/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PARTS = 3 };
static const char *const names[PARTS] = { "policies", "facts", "sent" };

static enum result find_path(const struct configuration *conf, struct folder *folder, struct why *why)
{
	folder->policies = folder->facts = folder->sent = -1;
	if (snprintf(folder->path, sizeof folder->path, "%s/sts", conf->state_directory) >= (int)sizeof folder->path)
		return why_set(why, RESULT_RETRY, "the path of state-directory is too long");
	return RESULT_OK;
}

/* A folder's parts stay with whom they belong to: whoever is not root can't give anything away. */
static enum result make_one(int at, const char *path, mode_t mode, const struct identity *owner, struct why *why)
{
	if (mkdirat(at, path, mode) == 0) {
		if (!owner || geteuid() != 0 || fchownat(at, path, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) == 0)
			return RESULT_OK;
		return why_errno(why, RESULT_RETRY, "unable to give %s to uid %u", path, (unsigned)owner->uid);
	}
	return errno == EEXIST ? RESULT_OK : why_errno(why, RESULT_RETRY, "unable to make the folder %s", path);
}

enum result folder_make(const struct configuration *conf, struct folder *folder, struct why *why)
{
	struct identity owner;
	enum result result = find_path(conf, folder, why);
	mode_t mask = umask(0);
	int fd;
	size_t i;

	if (result == RESULT_OK && (result = sandbox_identity(ROLE_STSD, &owner, why)) == RESULT_OK)
		result = make_one(AT_FDCWD, conf->state_directory, 0755, NULL, why);
	if (result == RESULT_OK)
		result = make_one(AT_FDCWD, folder->path, 0700, &owner, why);
	fd = result == RESULT_OK ? open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (result == RESULT_OK && fd < 0)
		result = why_errno(why, RESULT_RETRY, "unable to open %s", folder->path);
	for (i = 0; i < PARTS && result == RESULT_OK; i++)
		result = make_one(fd, names[i], 0700, &owner, why);
	if (fd >= 0)
		close(fd);
	umask(mask);
	return result;
}

enum result folder_open(const struct configuration *conf, struct folder *folder, struct why *why)
{
	enum result result = find_path(conf, folder, why);
	int *const descriptors[PARTS] = { &folder->policies, &folder->facts, &folder->sent };
	int fd = result == RESULT_OK ? open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	size_t i;

	if (result != RESULT_OK)
		return result;
	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to open %s", folder->path);
	for (i = 0; i < PARTS; i++) {
		*descriptors[i] = openat(fd, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (*descriptors[i] < 0)
			result = why_errno(why, RESULT_RETRY, "unable to open %s in %s", names[i], folder->path);
	}
	close(fd);
	return result;
}
