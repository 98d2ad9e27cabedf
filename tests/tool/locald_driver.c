/* Plays queued for locald alone: starts it, sends one message to the recipients of the command
 * line, prints what comes back.
 *
 *   locald_driver [-n REPEAT] [-p IN-FLIGHT] [-f FROM] [-q] [-w] [-i] LOCALD CONF MESSAGE RECIPIENT..
 *
 * MESSAGE is a file with the content as it stands in the queue (CRLF). RECIPIENT: ADDRESS, or
 * ADDRESS=AS, or ADDRESS=AS=OWNER. Prints "forward INDEX ADDRESS" and "INDEX VERDICT STATUS WORDS" lines; with -n
 * the jobs are sent REPEAT times, at most IN-FLIGHT recipients at once, and with -q only the counts
 * are printed; with -w it waits for a line of standard input before each job, and for the answers after each (-p behind it: for all but so many);
 * with -i all jobs have one queue ID. Exit code 1: a recipient got no answer. */
#include "common/channel.h"
#include "common/queue.h"
#include "common/service.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const verdicts[] = { "none", "delivered", "deferred", "failed", "forwarded", "relayed" };

static struct channel channel;
static uint64_t repeat = 1, in_flight_max = 4096, length;
static const char *from = "sender@client.example", *message_path;
static bool is_quiet, waits, is_one_id;
static uint64_t counts[6], open_count;

static void fail(const char *what)
{
	fprintf(stderr, "locald_driver: %s: %s\n", what, strerror(errno));
	exit(1);
}

static pid_t start_locald(const char *program, const char *conf, int *control, int *pipe_end)
{
	int controls[2], ends[2];
	struct why why;
	pid_t pid;

	if (channel_pair(controls, &why) != RESULT_OK || channel_pair(ends, &why) != RESULT_OK)
		fail(why.text);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		if (controls[1] == SERVICE_CONTROL)
			fcntl(SERVICE_CONTROL, F_SETFD, 0);
		else
			dup2(controls[1], SERVICE_CONTROL);
		execl(program, "locald", "-c", conf, (char *)NULL);
		_exit(127);
	}
	close(controls[1]);
	*control = controls[0];
	*pipe_end = ends[0];
	static struct channel opener;
	struct wire_value values[CHANNEL_FIELDS] = { [CHANNEL_PEER] = WIRE_STRING("scheduler"), [CHANNEL_INDEX] = WIRE_NUMBER(0) };
	if (channel_open(&opener, NULL, *control, NULL, NULL, &why) != RESULT_OK ||
	    channel_send(&opener, FRAME_CHANNEL, values, ends[1], &why) != RESULT_OK || channel_flush(&opener, &why) != RESULT_OK)
		fail(why.text);
	return pid;
}

static void send_job(uint64_t job, int fd, char **recipients, size_t count)
{
	static char id[QUEUE_ID_LENGTH + 1];
	struct why why = { 0 };

	if (id[0] == '\0' || !is_one_id)
		queue_id_make(id);
	struct wire_value values[LOCAL_JOB_FIELDS] = {
		[LOCAL_JOB_JOB] = WIRE_NUMBER(job), [LOCAL_JOB_ID] = WIRE_STRING(id), [LOCAL_JOB_ARRIVED_US] = WIRE_NUMBER(time_real_us()),
		[LOCAL_JOB_LENGTH] = WIRE_NUMBER(length), [LOCAL_JOB_REVERSE_PATH] = WIRE_STRING(from), [LOCAL_JOB_COUNT] = WIRE_NUMBER(count),
	};
	if (channel_send(&channel, FRAME_LOCAL_JOB, values, fcntl(fd, F_DUPFD_CLOEXEC, 0), &why) != RESULT_OK)
		fail(why.text);
	for (size_t i = 0; i < count; i++) {
		const char *address = recipients[i], *as = strchr(address, '='), *owner = as != NULL ? strchr(as + 1, '=') : NULL;
		size_t address_length = as != NULL ? (size_t)(as - address) : strlen(address);
		size_t as_length = as == NULL ? 0 : owner != NULL ? (size_t)(owner - as - 1) : strlen(as + 1);
		struct wire_value fields[LOCAL_RECIPIENT_FIELDS] = {
			[LOCAL_RECIPIENT_JOB] = WIRE_NUMBER(job), [LOCAL_RECIPIENT_INDEX] = WIRE_NUMBER(i),
			[LOCAL_RECIPIENT_ADDRESS] = WIRE_BYTES(address, address_length),
			[LOCAL_RECIPIENT_AS] = WIRE_BYTES(as_length > 0 ? as + 1 : NULL, as_length),
			[LOCAL_RECIPIENT_OWNER] = WIRE_STRING(owner != NULL ? owner + 1 : ""),
		};
		if (channel_send(&channel, FRAME_LOCAL_RECIPIENT, fields, -1, &why) != RESULT_OK)
			fail(why.text);
		open_count++;
	}
}

static void take(const struct frame *f)
{
	uint64_t verdict = f->value[RESULT_VERDICT].number;

	if (f->type == FRAME_FORWARD) {
		if (!is_quiet)
			printf("forward %llu %.*s\n", (unsigned long long)f->value[FORWARD_INDEX].number,
			       (int)f->value[FORWARD_ADDRESS].length, f->value[FORWARD_ADDRESS].bytes);
		return;
	}
	if (f->type != FRAME_RESULT || verdict > 5) {
		fprintf(stderr, "locald_driver: an unexpected frame\n");
		exit(1);
	}
	counts[verdict]++;
	open_count--;
	if (!is_quiet)
		printf("%llu %s %.*s %.*s\n", (unsigned long long)f->value[RESULT_INDEX].number, verdicts[verdict],
		       (int)f->value[RESULT_STATUS].length, f->value[RESULT_STATUS].bytes,
		       (int)f->value[RESULT_WORDS].length, f->value[RESULT_WORDS].length > 0 ? f->value[RESULT_WORDS].bytes : "");
}

/* Waits while more than LIMIT recipients have no answer. */
static void drain(uint64_t limit)
{
	struct frame f;
	struct why why = { 0 };

	while (open_count > limit) {
		enum result result = channel_wait(&channel, &f, 170 * 1000, &why);

		if (result != RESULT_OK) {
			fprintf(stderr, "locald_driver: %llu recipients without an answer: %s\n", (unsigned long long)open_count,
			        result == RESULT_RETRY ? "no answer in 170 seconds" : result == RESULT_END ? "locald closed the channel" : why.text);
			exit(1);
		}
		take(&f);
	}
}

static void take_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:p:f:qwi")) != -1) {
		if (option == 'f')
			from = optarg;
		else if (option == 'q')
			is_quiet = true;
		else if (option == 'w')
			waits = true, in_flight_max = 0;
		else if (option == 'i')
			is_one_id = true;
		else if (option == '?' || !text_to_number(optarg, strlen(optarg), option == 'n' ? &repeat : &in_flight_max))
			exit(64);
	}
}

static void wait_for_line(void)
{
	int c;

	while ((c = getchar()) != '\n' && c != EOF)
		;
}

int main(int argc, char **argv)
{
	int fd, control, end, status;
	struct why why;
	struct stat st;
	uint64_t started;
	pid_t pid;

	take_options(argc, argv);
	if (argc - optind < 4) {
		fprintf(stderr, "usage: locald_driver [-n REPEAT] [-p IN-FLIGHT] [-f FROM] [-q] [-w] [-i] LOCALD CONF MESSAGE RECIPIENT..\n");
		return 64;
	}
	message_path = argv[optind + 2];
	fd = open(message_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		fail(message_path);
	length = (uint64_t)st.st_size;
	pid = start_locald(argv[optind], argv[optind + 1], &control, &end);
	if (channel_open(&channel, NULL, end, NULL, NULL, &why) != RESULT_OK)
		fail(why.text);
	setvbuf(stdout, NULL, _IOLBF, 0);
	started = time_monotonic_ms();
	for (uint64_t i = 0; i < repeat; i++) {
		if (waits)
			wait_for_line();
		send_job(i, fd, argv + optind + 3, (size_t)(argc - optind - 3));
		if (channel_flush(&channel, &why) != RESULT_OK)
			fail(why.text);
		drain(in_flight_max);
	}
	drain(0);
	if (is_quiet || repeat > 1)
		printf("delivered=%llu deferred=%llu failed=%llu forwarded=%llu ms=%llu\n", (unsigned long long)counts[1],
		       (unsigned long long)counts[2], (unsigned long long)counts[3], (unsigned long long)counts[4],
		       (unsigned long long)(time_monotonic_ms() - started));
	close(control);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "locald_driver: locald ended with status %d\n", status);
		return 1;
	}
	return 0;
}
