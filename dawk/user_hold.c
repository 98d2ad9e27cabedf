#include "user_hold.h"
#include "command.h"
#include "common/held.h"
#include "common/sandbox.h"
#include "common/text.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The folded address, in a domain that lives here. */
static int take_address(const struct configuration *conf, const char *text, char *folded)
{
	struct address address;
	struct why why;

	if (address_parse(text, strlen(text), &address, &why) != RESULT_OK)
		return command_fail("user", EX_DATAERR, "'%s': %s", text, why.text);
	if (!*address.domain)
		return command_fail("user", EX_DATAERR, "'%s' has no domain; an account here is %s@%s, say", text, text, conf->domains.items[0]);
	address_fold(&address, folded);
	const char *domain = strrchr(folded, '@') + 1;
	if (!configuration_is_local_domain(conf, domain, strlen(domain)))
		return command_fail("user", EX_DATAERR, "nobody of %s logs in here; `dawk config domains` says who does", domain);
	return EX_OK;
}

/* What was said behind the address, or who says so. */
static void set_reason(struct held *held, int argc, char **argv)
{
	const struct passwd *account = getpwuid(getuid());
	size_t used = 0;

	snprintf(held->by, sizeof held->by, "%s", account ? account->pw_name : "admin");
	for (int i = 3; i < argc && used < sizeof held->reason; i++)
		used += (size_t)snprintf(held->reason + used, sizeof held->reason - used, "%s%s", i > 3 ? " " : "", argv[i]);
	if (argc == 3)
		snprintf(held->reason, sizeof held->reason, "by hand");
}

static int hold(const struct configuration *conf, int argc, char **argv)
{
	struct held held = { .since_us = time_real_us() };
	struct identity owner;
	struct why why;
	int fd = -1, code;

	if (argc < 3)
		return command_usage("user", "hold takes an address, and a reason if you like");
	if ((code = take_address(conf, argv[2], held.address)))
		return code;
	set_reason(&held, argc, argv);
	enum result result = sandbox_identity(ROLE_SMTPD_WORKER, &owner, &why);
	if (result == RESULT_OK)
		result = held_make(conf, geteuid() == 0 ? owner.uid : (uid_t)-1, owner.gid, &fd, &why);
	if (result == RESULT_OK)
		result = held_add(fd, &held, &why);
	if (fd >= 0)
		close(fd);
	if (result == RESULT_END)
		return command_fail("user", EX_DATAERR, "%s is held already; `dawk user held` says why", held.address);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	printf("%s is held: nothing more is taken from it until `dawk user release %s`\n", held.address, held.address);
	return EX_OK;
}

static int release(const struct configuration *conf, int argc, char **argv)
{
	char folded[ADDRESS_MAX + 1];
	struct why why;
	int fd = -1, code;

	if (argc != 3)
		return command_usage("user", "release takes one address");
	if ((code = take_address(conf, argv[2], folded)))
		return code;
	enum result result = held_open(conf, &fd, &why);
	if (result == RESULT_OK)
		result = held_remove(fd, folded, &why);
	if (fd >= 0)
		close(fd);
	if (result == RESULT_END)
		return command_fail("user", EX_NOUSER, "%s is not held; `dawk user held` lists who is", folded);
	if (result != RESULT_OK)
		return command_fail_why("user", result, &why);
	printf("%s may send again\n", folded);
	return EX_OK;
}

static bool print_json(void *context, const struct held *held)
{
	unsigned *count = context;

	fputs((*count)++ ? ",{\"address\":" : "{\"address\":", stdout);
	json_string(stdout, held->address, strlen(held->address));
	printf(",\"since_us\":%llu,\"by\":", (unsigned long long)held->since_us);
	json_string(stdout, held->by, strlen(held->by));
	fputs(",\"reason\":", stdout);
	json_string(stdout, held->reason, strlen(held->reason));
	putchar('}');
	return true;
}

static bool print_status(void *context, const struct held *held)
{
	(void)context;
	printf("held     %s by %s: %s\n", held->address, *held->by ? held->by : "?", *held->reason ? held->reason : "?");
	return true;
}

void user_hold_report(const struct configuration *conf, bool is_json)
{
	unsigned count = 0;
	int fd;

	if (held_open(conf, &fd, NULL) != RESULT_OK)
		return;
	held_walk(fd, is_json ? print_json : print_status, &count, NULL);
	close(fd);
}

static bool print(void *context, const struct held *held)
{
	time_t seconds = (time_t)(held->since_us / 1000000);
	struct tm when;
	char since[32] = "?";

	++*(unsigned *)context;
	if (held->since_us && gmtime_r(&seconds, &when))
		strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &when);
	printf("%-32s since %s by %s: %s\n", held->address, since, *held->by ? held->by : "?", *held->reason ? held->reason : "?");
	return true;
}

static int list(const struct configuration *conf, int argc, char **argv)
{
	struct why why;
	unsigned count = 0;
	int fd = -1;

	(void)argv;
	if (argc != 2)
		return command_usage("user", "held takes no arguments");
	enum result result = held_open(conf, &fd, &why);
	if (result == RESULT_OK)
		result = held_walk(fd, print, &count, &why);
	if (fd >= 0)
		close(fd);
	if (result != RESULT_OK && result != RESULT_END)
		return command_fail_why("user", result, &why);
	if (count == 0)
		puts("no account is held");
	return EX_OK;
}

int user_hold_command(const struct configuration *conf, int argc, char **argv)
{
	static const struct { const char *verb; int (*run)(const struct configuration *, int, char **); } verbs[] = {
		{ "hold", hold }, { "release", release }, { "held", list },
	};

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs && argc > 1; i++)
		if (!strcmp(argv[1], verbs[i].verb))
			return verbs[i].run(conf, argc, argv);
	return -1;
}
