/* The services of an instance: `run` and `log/run` that runit (runsv) and daemontools (supervise)
 * both take. */
#include "layout.h"
#include "common/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const services[] = { "smtpd", "queued", "pop3d" };

static const char run_script[] =
	"#!/bin/sh\n"
	"# dawk %1$s, run by runit (runsv) or daemontools (supervise)\n"
	"exec 2>&1\n"
	"ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -H -n)\"\n"
	"exec '%2$s/%1$s' -c '%3$s'\n";

/* svlogd and multilog add the time and turn the files over; a plain file is for where neither is. */
static const char log_script[] =
	"#!/bin/sh\n"
	"# the log of dawk %1$s, in %2$s/%1$s\n"
	"log='%2$s/%1$s'\n"
	"command -v svlogd >/dev/null 2>&1 && exec svlogd -tt \"$log\"\n"
	"command -v multilog >/dev/null 2>&1 && exec multilog t s1000000 n20 \"$log\"\n"
	"exec cat >>\"$log/current\"\n";

/* svlogd(8): a file's size, how many are kept. */
static const char log_config[] = "s1000000\nn20\n";

static enum result write_script(const char *directory, const char *format, const char *service,
                                const char *first, const char *second, struct why *why)
{
	char path[PATH_MAX];
	stralloc text = { 0 };
	enum result result = layout_make_directory(directory, 0755, why);
	if (result == RESULT_OK && snprintf(path, sizeof path, "%s/run", directory) >= (int)sizeof path)
		result = why_set(why, RESULT_NEVER, "the path is too long: %s", directory);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
	if (result == RESULT_OK && !text_append_format(&text, format, service, first, second))
		result = why_set(why, RESULT_RETRY, "out of memory");
#pragma GCC diagnostic pop
	if (result == RESULT_OK)
		result = layout_write_file(path, text.s, text.len, 0755, false, why);
	stralloc_free(&text);
	return result;
}

static enum result make_service(const struct layout *layout, const char *programs, const char *service, struct why *why)
{
	char directory[PATH_MAX], log[PATH_MAX], config[PATH_MAX];
	if (snprintf(directory, sizeof directory, "%s/%s/log", layout->service, service) >= (int)sizeof directory ||
	    snprintf(log, sizeof log, "%s/%s", layout->log, service) >= (int)sizeof log ||
	    snprintf(config, sizeof config, "%s/%s/config", layout->log, service) >= (int)sizeof config)
		return why_set(why, RESULT_NEVER, "the path is too long: %s", layout->service);
	enum result result = layout_make_directory(log, 0750, why);
	if (result == RESULT_OK)
		result = layout_write_file(config, log_config, sizeof log_config - 1, 0644, true, why);
	/* the log's script first: a supervisor that looks meanwhile finds the service whole */
	if (result == RESULT_OK)
		result = write_script(directory, log_script, service, layout->log, "", why);
	*strrchr(directory, '/') = 0;
	if (result == RESULT_OK)
		result = write_script(directory, run_script, service, programs, layout->conf, why);
	return result;
}

enum result scripts_make(const struct layout *layout, const char *programs, struct why *why)
{
	enum result result = RESULT_OK;
	for (size_t i = 0; i < sizeof services / sizeof *services && result == RESULT_OK; i++)
		result = make_service(layout, programs, services[i], why);
	return result;
}
