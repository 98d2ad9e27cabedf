#include "queued/logins.h"

#include "common/channel.h"
#include "common/log.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	char path[4096];
	struct loop *loop;
	struct channel remoted;
	struct timer watch;
	struct stat sent;		/* of the file that remoted has */
	bool is_sent;
	uint64_t generation;
} logins;

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       !memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim);
}

/* Without the file, as before the first `dawk update`, there are no logins. */
static void pass_on(void)
{
	struct why why = { 0 };
	struct stat now;
	int fd;

	if (stat(logins.path, &now) || (logins.is_sent && is_same(&now, &logins.sent)))
		return;
	fd = open(logins.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &now)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	const struct wire_value values[ROUTE_LOGINS_FIELDS] = { [ROUTE_LOGINS_GENERATION] = WIRE_NUMBER(++logins.generation) };
	/* at once: a descriptor that waited here would be inherited by the next fork */
	if (channel_send(&logins.remoted, FRAME_ROUTE_LOGINS, values, fd, &why) != RESULT_OK ||
	    channel_flush(&logins.remoted, &why) != RESULT_OK) {
		log_failure("logins-dropped", &why);
		return;
	}
	logins.sent = now;
	logins.is_sent = true;
}

static void look(struct timer *timer)
{
	if (logins.remoted.fd < 0)
		return;
	pass_on();
	loop_set_timer(logins.loop, timer, LOGINS_WATCH_MS, look);
}

static void remoted_frame(struct channel *channel, struct frame *f)
{
	if (f->descriptor >= 0)
		close(f->descriptor);
	channel_close(channel);		/* it has nothing to say here */
}

static void remoted_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	(void)why;	/* its death says more */
}

void logins_prepare(const struct configuration *conf)
{
	logins.remoted.fd = -1;
	if (!configuration_path(conf, "secret/routes.cdb", logins.path, sizeof logins.path))
		logins.path[0] = 0;
}

void logins_remoted_started(unsigned index, struct loop *loop, int fd)
{
	struct why why = { 0 };

	(void)index;
	logins.loop = loop;
	logins.is_sent = false;
	channel_close(&logins.remoted);
	if (channel_open(&logins.remoted, loop, fd, remoted_frame, remoted_lost, &why) != RESULT_OK) {
		log_failure("link-failed", &why);
		return;
	}
	pass_on();
	loop_set_timer(loop, &logins.watch, LOGINS_WATCH_MS, look);
}

void logins_leave(void)
{
	if (logins.remoted.fd >= 0)
		close(logins.remoted.fd);
	logins.remoted.fd = -1;
}
