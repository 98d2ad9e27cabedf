/* The side of a part: what service.h promises to workers and helpers. */
#include "service.h"

#include "durable.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static struct channel control;
static void (*on_greet)(const char *peer, unsigned index, int fd);
static void (*on_ended)(void);

static void end_once(void)
{
	void (*ended)(void) = on_ended;

	on_ended = NULL;
	if (ended)
		ended();
}

void service_link_failed(const struct why *why)
{
	log_failure("link-failed", why);
	end_once();
}

static void control_frame(struct channel *channel, struct frame *f)
{
	char peer[32];

	(void)channel;
	if (f->type == FRAME_CHANNEL && frame_value_copy(f, CHANNEL_PEER, peer, sizeof peer))
		on_greet(peer, (unsigned)f->value[CHANNEL_INDEX].number, f->descriptor);
	else if (f->descriptor >= 0)
		close(f->descriptor);
}

static void control_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	(void)why;
	end_once();
}

static void caught(struct loop *loop, int signal_number)
{
	(void)loop;
	(void)signal_number;
	end_once();
}

enum result service_join(struct loop *loop, void (*greet)(const char *peer, unsigned index, int fd),
                         void (*ended)(void), struct why *why)
{
	static const int signals[] = { SIGTERM, 0 };
	enum result result;
	struct stat st;

	if (fstat(SERVICE_CONTROL, &st) || !S_ISSOCK(st.st_mode))
		return why_set(why, RESULT_STOP, "this program is started by smtpd, queued or pop3d, not by hand");
	on_greet = greet;
	on_ended = ended;
	signal(SIGINT, SIG_IGN);
	result = loop_catch_signals(loop, signals, caught, why);
	if (result != RESULT_OK)
		return result;
	if (fcntl(SERVICE_CONTROL, F_SETFD, FD_CLOEXEC))
		return why_errno(why, RESULT_STOP, "unable to use descriptor %d", SERVICE_CONTROL);
	return channel_open(&control, loop, SERVICE_CONTROL, control_frame, control_lost, why);
}

/* ---- common options ---- */

/* Descriptors 0 to SERVICE_CONTROL are taken before anything else is opened, so that nothing of
 * ours lands on the place of a part's control socket. */
static enum result occupy_low_descriptors(struct why *why)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < SERVICE_CONTROL);
	if (fd < 0)
		return why_errno(why, RESULT_STOP, "unable to open /dev/null");
	if (fd > SERVICE_CONTROL)
		close(fd);
	return RESULT_OK;
}

static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static enum result say(const char *text, int *exit_code)
{
	printf("%s", text);
	*exit_code = fflush(stdout) ? EX_IOERR : EX_OK;
	return RESULT_END;
}

static enum result take_options(int argc, char **argv, const char *name, const char *usage, const char **file, int *exit_code)
{
	static const char options[] =
		"  -c FILE  the configuration (/etc/dawk/dawk.conf)\n"
		"  -h       this help\n"
		"  -V       the version\n";
	char text[2048];
	int option;

	while ((option = getopt(argc, argv, "c:hV")) != -1) {
		if (option == 'c') {
			*file = optarg;
		} else if (option == 'h') {
			snprintf(text, sizeof text, "%s%s", usage, options);
			return say(text, exit_code);
		} else if (option == 'V') {
			snprintf(text, sizeof text, "dawk %s (%s)\n", DAWK_VERSION, name);
			return say(text, exit_code);
		} else {
			fprintf(stderr, "%s%s", usage, options);
			*exit_code = EX_USAGE;
			return RESULT_END;
		}
	}
	if (optind == argc)
		return RESULT_OK;
	fprintf(stderr, "%s: unexpected argument %s\n%s%s", name, argv[optind], usage, options);
	*exit_code = EX_USAGE;
	return RESULT_END;
}

enum result service_start(int argc, char **argv, const char *name, const char *usage,
                          struct configuration **conf, int *exit_code)
{
	const char *file = "/etc/dawk/dawk.conf";
	struct why why = { 0 };
	enum result result;

	log_open(name);
	log_never_wait();
	result = take_options(argc, argv, name, usage, &file, exit_code);
	if (result != RESULT_OK)
		return result;
	signal(SIGPIPE, SIG_IGN);
	umask(027);
	raise_limits();
	result = occupy_low_descriptors(&why);
	if (result == RESULT_OK)
		result = configuration_load(file, conf, &why);
	if (result == RESULT_OK) {
		durable_configure((*conf)->sync);
		return RESULT_OK;
	}
	log_failure("unable-to-start", &why);
	*exit_code = result == RESULT_NEVER ? EX_CONFIG : EX_OSERR;
	return RESULT_END;
}
