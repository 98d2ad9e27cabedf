/* Plays queued to remoted: remote_driver FOLDER-OF-PROGRAMS CONF NEXT-HOP FROM FILE COUNT RCPT..
 * asks for the site, then sends the message in FILE (content as it lies there) COUNT times to the
 * recipients. Prints "site SITE" or "no-site VERDICT STATUS WORDS", then a line a recipient:
 * "result JOB INDEX VERDICT STATUS HOST WORDS". Ends by itself after two minutes. From the environment: REMOTE_FLAGS, the
 * flags of the jobs; REMOTE_LOGINS, a compiled table of logins, as the opener passes it on; REMOTE_PAUSE:
 * each job waits for the last one's results, and so many milliseconds, or ("closed") until its connection is closed; REMOTE_STS: there is a stsd, played here, that answers every
 * question with it, "enforce PATTERN..", and prints what it hears: "fact DOMAIN POLICY-TYPE MX RESULT REASON"; with
 * REMOTE_STS_DIES that one ends at its first question, and the next one answers; REMOTE_BEFORE: a next hop whose site is asked for first. */
#include "common/channel.h"
#include "common/queue.h"
#include "common/service.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const verdicts[] = { "?", "delivered", "deferred", "failed", "forwarded", "relayed", "?", "deferred" };
static unsigned flags;
static struct channel remoted_control, dnsd_control, pipe_to_remoted;
static struct why why;
static pid_t stsd;

static pid_t start(const char *folder, const char *program, const char *conf, struct channel *control)
{
	char path[4096];
	int ends[2];
	pid_t pid;

	snprintf(path, sizeof path, "%s/%s", folder, program);
	if (channel_pair(ends, &why) != RESULT_OK)
		exit(2);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], SERVICE_CONTROL);
		execl(path, program, "-c", conf, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	channel_open(control, NULL, ends[0], NULL, NULL, &why);
	return pid;
}

static void give(struct channel *control, const char *peer, int fd)
{
	struct wire_value values[CHANNEL_FIELDS] = { [CHANNEL_PEER] = WIRE_STRING(peer) };

	channel_send(control, FRAME_CHANNEL, values, fd, &why);
	channel_flush(control, &why);
}

static void print_value(const struct frame *f, int i)
{
	if (f->value[i].length)
		printf(" %.*s", (int)f->value[i].length, f->value[i].bytes);
	else
		printf(" -");
}

static void start_stsd_anew(void);

/* false: there is none. */
static bool ask_site(const char *next_hop, char *site, size_t size)
{
	struct wire_value values[SITE_ASK_FIELDS] = {
		[SITE_ASK_SERIAL] = WIRE_NUMBER(1), [SITE_ASK_NEXT_HOP] = WIRE_STRING(next_hop),
	};
	struct frame f;

	channel_send(&pipe_to_remoted, FRAME_SITE_ASK, values, -1, &why);
	channel_flush(&pipe_to_remoted, &why);
	start_stsd_anew();
	if (channel_wait(&pipe_to_remoted, &f, 120000, &why) != RESULT_OK || f.type != FRAME_SITE_TELL)
		exit(3);
	if (f.value[SITE_TELL_VERDICT].number == DELIVERY_DELIVERED && frame_value_copy(&f, SITE_TELL_SITE, site, size)) {
		printf("site %s\n", site);
		return true;
	}
	printf("no-site %s", verdicts[f.value[SITE_TELL_VERDICT].number % 8]);
	print_value(&f, SITE_TELL_STATUS);
	print_value(&f, SITE_TELL_WORDS);
	printf("\n");
	return false;
}

static void send_job(unsigned job, const char *site, const char *next_hop, const char *from, const char *file,
                     char **recipients, size_t count)
{
	char id[QUEUE_ID_LENGTH + 1];
	struct stat st;
	size_t i;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		exit(2);
	queue_id_make(id);
	struct wire_value values[REMOTE_JOB_FIELDS] = {
		[REMOTE_JOB_JOB] = WIRE_NUMBER(job), [REMOTE_JOB_ID] = WIRE_STRING(id), [REMOTE_JOB_SITE] = WIRE_STRING(site),
		[REMOTE_JOB_NEXT_HOP] = WIRE_STRING(next_hop), [REMOTE_JOB_LENGTH] = WIRE_NUMBER(st.st_size),
		[REMOTE_JOB_REVERSE_PATH] = WIRE_STRING(from), [REMOTE_JOB_FLAGS] = WIRE_NUMBER(flags), [REMOTE_JOB_COUNT] = WIRE_NUMBER(count),
	};
	channel_send(&pipe_to_remoted, FRAME_REMOTE_JOB, values, fd, &why);
	for (i = 0; i < count; i++) {
		struct wire_value recipient[REMOTE_RECIPIENT_FIELDS] = {
			[REMOTE_RECIPIENT_JOB] = WIRE_NUMBER(job), [REMOTE_RECIPIENT_INDEX] = WIRE_NUMBER(i),
			[REMOTE_RECIPIENT_ADDRESS] = WIRE_STRING(recipients[i]),
		};
		channel_send(&pipe_to_remoted, FRAME_REMOTE_RECIPIENT, recipient, -1, &why);
	}
}

static void print_results(size_t count)
{
	struct frame f;

	while (count--) {
		if (channel_wait(&pipe_to_remoted, &f, 120000, &why) != RESULT_OK || f.type != FRAME_RESULT) {
			printf("no result: %s\n", why.text);
			exit(3);
		}
		printf("result %u %u %s", (unsigned)f.value[RESULT_JOB].number, (unsigned)f.value[RESULT_INDEX].number,
		       verdicts[f.value[RESULT_VERDICT].number % 8]);
		print_value(&f, RESULT_STATUS);
		print_value(&f, RESULT_HOST);
		print_value(&f, RESULT_WORDS);
		printf("\n");
	}
}

/* ---- the parts of others ---- */

static void print_fact(const struct frame *f)
{
	printf("fact");
	print_value(f, TLS_FACT_DOMAIN);
	printf(" %u", (unsigned)f->value[TLS_FACT_POLICY_TYPE].number);
	print_value(f, TLS_FACT_MX);
	printf(" %u", (unsigned)f->value[TLS_FACT_RESULT].number);
	print_value(f, TLS_FACT_RECEIVING_IP);
	print_value(f, TLS_FACT_REASON);
	printf("\n");
	fflush(stdout);
}

static void answer_policy(struct channel *channel, uint64_t serial, const char *policy)
{
	const char *patterns = strchr(policy, ' ') ? strchr(policy, ' ') + 1 : "";
	enum sts_verdict verdict = *policy == 'e' ? STS_ENFORCE : *policy == 't' ? STS_TESTING : *policy == 'l' ? STS_LATER : STS_NONE;
	struct wire_value values[STS_TELL_FIELDS] = {
		[STS_TELL_SERIAL] = WIRE_NUMBER(serial), [STS_TELL_VERDICT] = WIRE_NUMBER(verdict), [STS_TELL_MX_PATTERNS] = WIRE_STRING(patterns),
		[STS_TELL_TTL_SECONDS] = WIRE_NUMBER(600), [STS_TELL_POLICY_ID] = WIRE_STRING("1"),
	};

	channel_send(channel, FRAME_STS_TELL, values, -1, &why);
	channel_flush(channel, &why);
}

static void play_stsd(int fd, const char *policy, bool dies)
{
	struct channel channel;
	struct frame f;

	channel_open(&channel, NULL, fd, NULL, NULL, &why);
	while (channel_wait(&channel, &f, 120000, &why) == RESULT_OK) {
		if (f.type == FRAME_STS_ASK && dies)
			break;
		else if (f.type == FRAME_STS_ASK)
			answer_policy(&channel, f.value[STS_ASK_SERIAL].number, policy);
		else if (f.type == FRAME_TLS_FACT)
			print_fact(&f);
	}
	_exit(0);
}

static void start_stsd(const char *policy, bool dies)
{
	int ends[2];

	if (channel_pair(ends, &why) != RESULT_OK)
		exit(2);
	fflush(stdout);
	stsd = fork();
	if (stsd == 0) {
		close(ends[0]);
		channel_close(&remoted_control);
		channel_close(&dnsd_control);
		play_stsd(ends[1], policy, dies);
	}
	close(ends[1]);
	give(&remoted_control, "stsd", ends[0]);
}

/* Once the first one is dead. */
static void start_stsd_anew(void)
{
	if (!stsd || !getenv("REMOTE_STS_DIES"))
		return;
	waitpid(stsd, NULL, 0);
	start_stsd(getenv("REMOTE_STS"), false);
}

static void give_logins(struct channel *remoted, const char *path)
{
	struct wire_value values[ROUTE_LOGINS_FIELDS] = { [ROUTE_LOGINS_GENERATION] = WIRE_NUMBER(1) };
	struct channel opener;
	int ends[2], fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || channel_pair(ends, &why) != RESULT_OK)
		exit(2);
	give(remoted, "opener", ends[1]);
	channel_open(&opener, NULL, ends[0], NULL, NULL, &why);
	channel_send(&opener, FRAME_ROUTE_LOGINS, values, fd, &why);
	channel_flush(&opener, &why);
}

static unsigned sockets_of(pid_t pid)
{
	char path[64], target[64];
	const struct dirent *entry;
	unsigned count = 0;
	DIR *folder;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	while (folder && (entry = readdir(folder))) {
		ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target);
		count += length > 7 && !memcmp(target, "socket:", 7);
	}
	if (folder)
		closedir(folder);
	return count;
}

/* SOCKETS: those that remoted had before it talked to a host. */
static void rest(const char *pause, pid_t remoted, unsigned sockets)
{
	int tries = 0;

	if (strcmp(pause, "closed")) {
		usleep((useconds_t)strtoul(pause, NULL, 10) * 1000);
		return;
	}
	while (sockets_of(remoted) > sockets && ++tries < 600)
		usleep(100000);
}

static void send_jobs(char **argv, pid_t remoted, const char *site, unsigned jobs, size_t recipients)
{
	const char *pause = getenv("REMOTE_PAUSE");
	unsigned job, sockets = sockets_of(remoted);

	for (job = 0; job < jobs; job++) {
		send_job(job, site, argv[3], argv[4], argv[5], argv + 7, recipients);
		if (!pause)
			continue;
		print_results(recipients);
		fflush(stdout);
		if (job + 1 < jobs)
			rest(pause, remoted, sockets);
	}
	if (!pause)
		print_results(recipients * jobs);
}

int main(int argc, char **argv)
{
	const char *before = getenv("REMOTE_BEFORE");
	int to_remoted[2], to_dnsd[2];
	unsigned jobs;
	char site[1001];
	pid_t pids[2];

	if (argc < 8)
		return 2;
	pids[0] = start(argv[1], "dnsd", argv[2], &dnsd_control);
	pids[1] = start(argv[1], "remoted", argv[2], &remoted_control);
	if (channel_pair(to_remoted, &why) != RESULT_OK || channel_pair(to_dnsd, &why) != RESULT_OK)
		return 2;
	give(&remoted_control, "scheduler", to_remoted[1]);
	give(&remoted_control, "dnsd", to_dnsd[0]);
	give(&dnsd_control, "remoted", to_dnsd[1]);
	channel_open(&pipe_to_remoted, NULL, to_remoted[0], NULL, NULL, &why);
	if (getenv("REMOTE_STS"))
		start_stsd(getenv("REMOTE_STS"), getenv("REMOTE_STS_DIES"));
	if (getenv("REMOTE_LOGINS"))
		give_logins(&remoted_control, getenv("REMOTE_LOGINS"));
	flags = getenv("REMOTE_FLAGS") ? (unsigned)strtoul(getenv("REMOTE_FLAGS"), NULL, 10) : 0;
	jobs = (unsigned)strtoul(argv[6], NULL, 10);
	if (before)
		ask_site(before, site, sizeof site);
	if (ask_site(argv[3], site, sizeof site))
		send_jobs(argv, pids[1], site, jobs, (size_t)argc - 7);
	channel_close(&remoted_control);
	channel_close(&dnsd_control);
	waitpid(pids[0], NULL, 0);
	waitpid(pids[1], NULL, 0);
	if (stsd)
		waitpid(stsd, NULL, 0);
	return 0;
}
