/* For LD_PRELOAD: a directory service of accounts in one of its bad hours. Names that begin with "hang" never get an
 * answer, and the call lets no signal in that can be kept out; those that begin with "broken" get EIO. Others are looked for in
 * the files that ODD_PASSWD and ODD_SHADOW name, then in the system's. Each call is a line on
 * standard error, the only thing that a process behind walls may write to: which process asked for whom. */
#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
#include <shadow.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define REAL(call) __typeof__(&call) real = (__typeof__(&call))dlsym(RTLD_NEXT, #call)

static void note(const char *call, const char *name)
{
	char line[200], process[17] = "";

	prctl(PR_GET_NAME, process);
	snprintf(line, sizeof line, "call %d %s %s %s\n", (int)getpid(), process, call, name);
	if (write(2, line, strlen(line)) < 0)
		errno = 0;
}

static int trouble(const char *name)
{
	sigset_t all;

	if (!strncmp(name, "broken", 6))
		return EIO;
	if (strncmp(name, "hang", 4))
		return 0;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;)
		pause();
}

int getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **result)
{
	REAL(getpwnam_r);
	const char *path = getenv("ODD_PASSWD");
	FILE *file;
	int failure;

	note("getpwnam_r", name);
	failure = trouble(name);
	*result = NULL;
	if (failure)
		return failure;
	file = path ? fopen(path, "re") : NULL;
	while (file && !fgetpwent_r(file, entry, buffer, size, result) && strcmp(entry->pw_name, name))
		*result = NULL;
	if (file)
		fclose(file);
	return *result ? 0 : real(name, entry, buffer, size, result);
}

struct passwd *getpwnam(const char *name)
{
	static struct passwd entry, *result;
	static char buffer[4096];
	int failure = getpwnam_r(name, &entry, buffer, sizeof buffer, &result);

	errno = failure;
	return result;
}

int getspnam_r(const char *name, struct spwd *entry, char *buffer, size_t size, struct spwd **result)
{
	REAL(getspnam_r);
	const char *path = getenv("ODD_SHADOW");
	FILE *file;
	int failure;

	note("getspnam_r", name);
	failure = trouble(name);
	*result = NULL;
	if (failure)
		return failure;
	file = path ? fopen(path, "re") : NULL;
	while (file && !fgetspent_r(file, entry, buffer, size, result) && strcmp(entry->sp_namp, name))
		*result = NULL;
	if (file)
		fclose(file);
	return *result ? 0 : real(name, entry, buffer, size, result);
}
