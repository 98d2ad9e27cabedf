/* Plays remoted for stsd: sts_ask BIN CONF, where BIN holds dnsd and stsd. Lines of standard input:
 *	ask DOMAIN ..	all at once
 *	fact DOMAIN none|sts|tlsa POLICY MX RESULT SENDING RECEIVING REASON	RESULT: a number of wire.h; "-": empty; '|' for an LF, '_' for a blank
 *	wait SECONDS
 *	end dnsd
 * Each domain gets a line "DOMAIN VERDICT ttl=N id=ID patterns # words" before the next line is read. At the end of the input both
 * helpers are ended in order; its exit code is stsd's. */
#include "common/dns.h"
#include "common/service.h"
#include "common/sts_client.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop *loop;
static struct sts_client client;
static struct asked { struct sts_query query; const char *name; } asked[100];
static int left;
static struct helper { pid_t pid; struct channel control; } dnsd, stsd;
static struct timer pause_timer;
static char line[4096];

static void start(struct helper *helper, const char *folder, const char *program, const char *file)
{
	char path[4096];
	struct why why = { 0 };
	int ends[2];

	snprintf(path, sizeof path, "%s/%s", folder, program);
	if (channel_pair(ends, &why) != RESULT_OK)
		exit(2);
	helper->pid = fork();
	if (helper->pid == 0) {
		dup2(ends[1], SERVICE_CONTROL);
		execl(path, program, "-c", file, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	channel_open(&helper->control, NULL, ends[0], NULL, NULL, &why);
}

static void hand(struct helper *helper, const char *peer, int fd)
{
	struct wire_value values[CHANNEL_FIELDS] = { [CHANNEL_PEER] = WIRE_STRING(peer) };
	struct why why = { 0 };

	if (channel_send(&helper->control, FRAME_CHANNEL, values, fd, &why) != RESULT_OK ||
	    channel_flush(&helper->control, &why) != RESULT_OK)
		exit(2);
}

static int end(struct helper *helper)
{
	int status = 0;

	if (!helper->pid)
		return 0;
	kill(helper->pid, SIGTERM);
	waitpid(helper->pid, &status, 0);
	channel_close(&helper->control);
	helper->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void done(struct sts_query *q, const struct sts_answer *answer)
{
	static const char *const verdicts[] = { "?", "none", "testing", "enforce", "later" };

	printf("%s %s ttl=%u id=%s %.*s%s%s\n", container_of(q, struct asked, query)->name, verdicts[answer->verdict], answer->ttl_seconds, answer->id,
	       (int)answer->patterns_length, answer->patterns_length ? answer->patterns : "", answer->words[0] ? " # " : "", answer->words);
	fflush(stdout);
	if (--left == 0)
		loop_stop(loop);
}

static void ask_all(char *names)
{
	char *save = NULL, *name = strtok_r(names, " \n", &save);
	struct why why = { 0 };

	for (left = 0; name && left < 100; name = strtok_r(NULL, " \n", &save)) {
		struct asked *a = &asked[left++];
		a->name = name;
		sts_ask(&client, &a->query, name, done);
	}
	if (left)
		loop_run(loop, &why);
}

static void stop(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void tell_fact(char *rest)
{
	char *field[8], *save = NULL, *c;
	struct tls_fact fact;
	int i;

	for (i = 0; i < 8; i++) {
		field[i] = strtok_r(i ? NULL : rest, " \n", &save);
		if (!field[i])
			exit(2);
		if (!strcmp(field[i], "-"))
			*field[i] = 0;
	}
	for (i = 2; i < 8; i++)
		for (c = field[i]; *c; c++)
			*c = *c == '|' ? '\n' : *c == '_' ? ' ' : *c;
	fact = (struct tls_fact){
		.domain = field[0], .policy = field[2], .mx = field[3], .sending_ip = field[5], .receiving_ip = field[6], .reason = field[7],
		.policy_type = *field[1] == 'n' ? TLS_FACT_POLICY_NONE : *field[1] == 's' ? TLS_FACT_POLICY_STS : TLS_FACT_POLICY_TLSA,
		.result = (enum tls_fact_result)strtol(field[4], NULL, 10),
	};
	sts_tell_fact(&client, &fact);
}

static void obey(void)
{
	struct why why = { 0 };

	if (!strncmp(line, "ask ", 4)) {
		ask_all(line + 4);
	} else if (!strncmp(line, "wait ", 5)) {
		loop_set_timer(loop, &pause_timer, (uint64_t)(strtod(line + 5, NULL) * 1000), stop);
		loop_run(loop, &why);
	} else if (!strncmp(line, "end ", 4)) {
		end(&dnsd);
	} else if (!strncmp(line, "fact ", 5)) {
		tell_fact(line + 5);
	}
}

int main(int argc, char **argv)
{
	struct why why = { 0 };
	int between[2], ours[2];

	if (argc != 3 || loop_make(&loop, &why) != RESULT_OK)
		return 2;
	start(&dnsd, argv[1], "dnsd", argv[2]);
	start(&stsd, argv[1], "stsd", argv[2]);
	if (channel_pair(between, &why) != RESULT_OK || channel_pair(ours, &why) != RESULT_OK)
		return 2;
	hand(&stsd, "dnsd", between[0]);
	hand(&dnsd, "stsd", between[1]);
	hand(&stsd, "remoted", ours[0]);
	sts_client_init(&client, loop);
	sts_client_join(&client, ours[1], &why);
	while (fgets(line, sizeof line, stdin))
		obey();
	channel_flush(&client.questions.channel, &why);
	end(&dnsd);
	return end(&stsd);
}
