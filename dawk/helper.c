#include "helper.h"

#include "command.h"
#include "common/service.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void run(const char *program, const char *file, int control)
{
	if (control == SERVICE_CONTROL)
		fcntl(control, F_SETFD, 0);
	else
		dup2(control, SERVICE_CONTROL);
	execl(program, program, "-c", file, (char *)NULL);
	_exit(EX_UNAVAILABLE);
}

enum result helper_start(const char *program, const char *file, struct channel *control, pid_t *pid, struct why *why)
{
	char path[PATH_MAX + 16], directory[PATH_MAX];
	int ends[2];
	enum result result = command_programs_directory(directory, sizeof directory, why);

	if (result != RESULT_OK || (result = channel_pair(ends, why)) != RESULT_OK)
		return result;
	snprintf(path, sizeof path, "%s/%s", directory, program);
	*pid = fork();
	if (*pid == 0)
		run(path, file, ends[1]);
	close(ends[1]);
	if (*pid < 0) {
		close(ends[0]);
		return why_errno(why, RESULT_RETRY, "start %s", program);
	}
	return channel_open(control, NULL, ends[0], NULL, NULL, why);
}

enum result helper_link(struct channel *control, const char *peer, int *fd, struct why *why)
{
	const struct wire_value values[CHANNEL_FIELDS] = { [CHANNEL_PEER] = WIRE_STRING(peer) };
	int ends[2];
	enum result result = channel_pair(ends, why);

	if (result != RESULT_OK)
		return result;
	result = channel_send(control, FRAME_CHANNEL, values, ends[1], why);
	if (result == RESULT_OK)
		result = channel_flush(control, why);
	if (result == RESULT_OK)
		*fd = ends[0];
	else
		close(ends[0]);
	return result;
}
