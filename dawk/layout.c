/* Where the parts of an instance lie, and how files and folders of it are made. */
#include "layout.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool join(char *out, const char *directory, const char *name)
{
	int length = snprintf(out, PATH_MAX, "%s/%s", directory, name);
	return length > 0 && length < PATH_MAX;
}

/* A quote or line end would end a string in a run script, a '#' a value in the configuration. */
static bool is_plain(const char *path)
{
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\'' || *c == '#')
			return false;
	return true;
}

static enum result make_absolute(const char *directory, char *out, struct why *why)
{
	char here[PATH_MAX];
	size_t length = strlen(directory);
	if (!getcwd(here, sizeof here))
		return why_errno(why, RESULT_STOP, "unable to find the current folder");
	while (length > 1 && directory[length - 1] == '/')
		length--;
	if (!length || !is_plain(directory) || !is_plain(here))
		return why_set(why, RESULT_NEVER, "a folder's path can hold no control character, quote or '#': '%s'", directory);
	int written = *directory == '/' ? snprintf(out, PATH_MAX, "%.*s", (int)length, directory) :
	              snprintf(out, PATH_MAX, "%s/%.*s", here, (int)length, directory);
	if (written < 0 || written >= PATH_MAX - 64)
		return why_set(why, RESULT_NEVER, "the path is too long: %s", directory);
	/* "." and "DIR/.." as the kernel sees them, once they are there */
	if (realpath(out, here))
		memcpy(out, here, strlen(here) + 1);
	if (!strcmp(out, "/"))
		return why_set(why, RESULT_NEVER, "an instance needs a folder of its own; `dawk init --system` installs for the host");
	return RESULT_OK;
}

static void fill_system(struct layout *layout)
{
	layout->is_system = true;
	snprintf(layout->etc, PATH_MAX, "/etc/dawk");
	snprintf(layout->conf, PATH_MAX, "/etc/dawk/dawk.conf");
	snprintf(layout->queue, PATH_MAX, "/var/spool/dawk");
	snprintf(layout->mailboxes, PATH_MAX, "/var/mail/dawk");
	snprintf(layout->run, PATH_MAX, "/run/dawk");
	snprintf(layout->state, PATH_MAX, "/var/lib/dawk");
	snprintf(layout->log, PATH_MAX, "/var/log/dawk");
	snprintf(layout->service, PATH_MAX, "/etc/dawk/service");
}

enum result layout_fill(struct layout *layout, const char *directory, struct why *why)
{
	*layout = (struct layout){ 0 };
	if (!directory) {
		fill_system(layout);
		return RESULT_OK;
	}
	enum result result = make_absolute(directory, layout->root, why);
	if (result != RESULT_OK)
		return result;
	if (!join(layout->etc, layout->root, "etc") || !join(layout->conf, layout->root, "etc/dawk.conf") ||
	    !join(layout->queue, layout->root, "queue") || !join(layout->mailboxes, layout->root, "mail") ||
	    !join(layout->run, layout->root, "run") || !join(layout->state, layout->root, "state") ||
	    !join(layout->log, layout->root, "log") ||
	    !join(layout->service, layout->root, "service"))
		return why_set(why, RESULT_NEVER, "the path is too long: %s", directory);
	return RESULT_OK;
}

static enum result make_one(const char *path, mode_t mode, struct why *why)
{
	struct stat status;
	if (mkdir(path, mode) == 0)
		/* the umask of the admin's shell does not count here */
		return chmod(path, mode) == 0 ? RESULT_OK : why_errno(why, RESULT_NEVER, "unable to set the mode of %s", path);
	if (errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return RESULT_OK;
	return why_errno(why, RESULT_NEVER, "unable to make the folder %s", path);
}

enum result layout_make_directory(const char *directory, mode_t mode, struct why *why)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s", directory) >= (int)sizeof path)
		return why_set(why, RESULT_NEVER, "the path is too long: %s", directory);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		enum result result = make_one(path, 0755, why);
		*slash = '/';
		if (result != RESULT_OK)
			return result;
	}
	return make_one(path, mode, why);
}

/* The rename lives in the folder. */
static enum result sync_folder_of(const char *path, struct why *why)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	enum result result = RESULT_OK;

	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		result = why_errno(why, RESULT_RETRY, "unable to write the folder of %s", path);
	if (fd >= 0)
		close(fd);
	return result;
}

/* OWNER: whose it becomes; NULL: the caller's. */
static enum result write_file(const char *path, const char *text, size_t length, mode_t mode, const struct stat *owner, struct why *why)
{
	char beside[PATH_MAX];
	if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
		return why_set(why, RESULT_NEVER, "the path is too long: %s", path);
	unlink(beside);
	int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return why_errno(why, RESULT_NEVER, "unable to make %s", beside);
	bool is_written = file_write(fd, text, length) && (!owner || fchown(fd, owner->st_uid, owner->st_gid) == 0) &&
	                  fchmod(fd, mode) == 0 && fsync(fd) == 0;
	if (!is_written)
		why_errno(why, RESULT_NEVER, "unable to write %s", beside);
	close(fd);
	if (is_written && rename(beside, path) == 0)
		return sync_folder_of(path, why);
	if (is_written)
		why_errno(why, RESULT_NEVER, "unable to rename %s", beside);
	unlink(beside);
	return RESULT_NEVER;
}

enum result layout_write_file(const char *path, const char *text, size_t length, mode_t mode, bool keep, struct why *why)
{
	return keep && access(path, F_OK) == 0 ? RESULT_OK : write_file(path, text, length, mode, NULL, why);
}

enum result layout_replace_file(const char *path, const char *text, size_t length, mode_t mode, struct why *why)
{
	struct stat old;
	bool has_owner = geteuid() == 0 && lstat(path, &old) == 0;
	return write_file(path, text, length, mode, has_owner ? &old : NULL, why);
}
