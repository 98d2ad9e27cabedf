/* Making mailboxes' directories as root: see leaf.h. */
#include "leaf.h"
#include "common/base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

/* What is made stands under a name of its own until its owner and mode are right: a mailbox that root kept because this
 * process was killed in between would get no mail ever after. Only root may write to PARENT. What another left under that
 * name when it was killed is never used: it may be given away by then, and hold what its owner has put into it or has open. */
static void making_name(int parent, char out[32])
{
	snprintf(out, 32, ".making.%ld", (long)getpid());
	if (unlinkat(parent, out, 0) != 0 && errno != ENOENT)
		unlinkat(parent, out, AT_REMOVEDIR);
}

/* Another helper may be making the same. Where the file system can't do it in one step, as NFS, the two steps leave a gap
 * in which the other's empty folder is replaced; whoever is in there by then tries again. */
static int rename_if_new(int parent, const char *making, const char *name)
{
	if (renameat2(parent, making, parent, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(parent, making, parent, name);
}

/* Owner and mode of FD, which it closes, and then its name. There by now: as good. */
static enum result finish_making(int parent, int fd, const char *making, const char *name, mode_t mode, const struct account *account, struct why *why)
{
	enum result result = RESULT_OK;

	if (fchmod(fd, mode) != 0 || (account != NULL && geteuid() == 0 && fchown(fd, account->uid, account->gid) != 0))
		result = why_errno(why, RESULT_RETRY, "give %s away", name);
	close(fd);
	if (result == RESULT_OK && rename_if_new(parent, making, name) != 0 && errno != EEXIST)
		result = why_errno(why, RESULT_RETRY, "name %s", name);
	return result;
}

/* Makes NAME in PARENT and gives it to ACCOUNT (NULL: root keeps it). The deliverer syncs it. */
static enum result make_directory(int parent, const char *name, mode_t mode, const struct account *account, struct why *why)
{
	char making[32];
	enum result result;
	int fd;

	making_name(parent, making);
	if (mkdirat(parent, making, 0700) != 0)
		return why_errno(why, RESULT_RETRY, "make the directory %s", name);
	fd = openat(parent, making, DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		result = why_errno(why, RESULT_RETRY, "open the directory %s", name);
	else
		result = finish_making(parent, fd, making, name, mode, account, why);
	unlinkat(parent, making, AT_REMOVEDIR);		/* where it still is */
	return result;
}

static enum result make_mbox(int parent, const char *name, const struct account *account, struct why *why)
{
	char making[32];
	enum result result;
	int fd;

	making_name(parent, making);
	fd = openat(parent, making, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);	/* these walls let nothing be written to */
	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "make the mbox %s", name);
	result = finish_making(parent, fd, making, name, 0600, account, why);
	unlinkat(parent, making, 0);
	return result;
}

/* May only root (or we, where we are not root) put entries into FD? */
static bool is_ours_alone(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()))
		return false;
	return (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Takes the next component of *AT into NAME. false: a name that cannot be walked. */
static bool next_component(const char **at, char name[256], bool *is_last)
{
	size_t length;

	*at += strspn(*at, "/");
	length = strcspn(*at, "/");
	if (length == 0 || length > 255 || (length <= 2 && strncmp(*at, "..", length) == 0))
		return false;
	memcpy(name, *at, length);
	name[length] = '\0';
	*at += length;
	*is_last = (*at)[strspn(*at, "/")] == '\0';
	return true;
}

/* Walks from FD (which it closes) along REST. LEAF_AT: which component at the latest is given away. */
static enum result walk(int fd, const char *rest, unsigned leaf_at, bool makes_parents, bool is_mbox,
                        const struct account *account, struct why *why)
{
	char name[256];
	bool is_last = false;
	enum result result = RESULT_OK;

	for (unsigned i = 0; result == RESULT_OK && is_ours_alone(fd); i++) {
		int next;

		if (!next_component(&rest, name, &is_last)) {
			result = why_set(why, RESULT_RETRY, "make the mailbox: its path has an empty or dotted component");
			break;
		}
		next = openat(fd, name, DIRECTORY | O_NOFOLLOW);
		if (next < 0 && errno == ENOENT) {
			if (is_last && is_mbox)
				result = make_mbox(fd, name, account, why);
			else if (is_last || i == leaf_at)
				result = make_directory(fd, name, 0700, account, why);
			else if (makes_parents)
				result = make_directory(fd, name, 0755, NULL, why);
			else
				break;
			next = result == RESULT_OK && !is_last && i != leaf_at ? openat(fd, name, DIRECTORY | O_NOFOLLOW) : -1;
		} else if (next < 0 && (errno == ELOOP || errno == ENOTDIR) && i < leaf_at && !is_last) {
			next = openat(fd, name, DIRECTORY);	/* a link of root's own */
		}
		if (next < 0 || is_last || i == leaf_at) {
			if (next >= 0)
				close(next);
			break;
		}
		close(fd);
		fd = next;
	}
	close(fd);
	return result;
}

enum result leaf_prepare(const struct configuration *conf, const char *path, bool is_mbox,
                         const struct account *account, struct why *why)
{
	bool is_inside = path_is_below(path, conf->mailboxes);
	int fd = open(is_inside ? conf->mailboxes : "/", DIRECTORY);

	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "open %s", is_inside ? conf->mailboxes : "/");
	if (is_inside)	/* DOMAIN, then USER */
		return walk(fd, path + strlen(conf->mailboxes), 1, true, is_mbox, account, why);
	return walk(fd, path, ~0u, false, is_mbox, account, why);
}
