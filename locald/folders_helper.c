/* The helper: see folders.h. It may block, within its time, and nothing else. */
#include "common/helper.h"
#include "common/sandbox.h"
#include "folders.h"
#include "leaf.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct configuration *conf;

/* Folders of root's may lie anywhere. It keeps the right to give away what it has made. */
static enum result enter(const void *context, struct why *why)
{
	static const struct sandbox_path all = { "/", ALLOW_READ | ALLOW_LIST | ALLOW_MAKE | ALLOW_REMOVE };
	struct identity identity;
	enum result result = sandbox_identity(ROLE_FOLDERS, &identity, why);

	(void)context;
	umask(077);
	return result == RESULT_OK ? sandbox_enter(ROLE_FOLDERS, &identity, &all, 1, why) : result;
}

/* Does PATH answer? Root may have nothing to do anywhere near it. A link of root's own is followed, not what its user has put
 * in the mailbox's place: a deliverer refuses that. */
static void look(struct channel *channel, uint64_t serial, const char *path)
{
	int fd = helper_open(channel, serial, path);
	struct stat status;

	if (fd >= 0)
		close(fd);
	else if (errno == ELOOP)
		(void)lstat(path, &status);
}

static bool answer(struct channel *channel, const struct frame *f)
{
	char path[WIRE_PATH_LENGTH_MAX + 1];
	const struct account account = { (uid_t)f->value[FOLDER_ASK_UID].number, (gid_t)f->value[FOLDER_ASK_GID].number, NULL };
	struct why why = { 0 };
	enum result result;

	if (f->type != FRAME_FOLDER_ASK || !frame_value_copy(f, FOLDER_ASK_PATH, path, sizeof(path)))
		return false;
	look(channel, f->value[FOLDER_ASK_SERIAL].number, path);
	result = leaf_prepare(conf, path, f->value[FOLDER_ASK_IS_MBOX].number == 1, &account, &why);
	const struct wire_value values[FOLDER_TELL_FIELDS] = {
		WIRE_NUMBER(f->value[FOLDER_ASK_SERIAL].number), WIRE_NUMBER(result == RESULT_OK), WIRE_NUMBER((uint64_t)why.errno_value),
		WIRE_STRING(why.text),
	};
	return channel_send(channel, FRAME_FOLDER_TELL, values, -1, NULL) == RESULT_OK;
}

int folders_run(int fd, const struct configuration *its_conf)
{
	static const struct helper_duty duty = {
		.name = "folders", .log_none = "no-folder-helper", .seconds = FOLDER_SECONDS, .enter = enter, .answer = answer,
	};

	conf = its_conf;
	return helper_run(fd, &duty);
}
