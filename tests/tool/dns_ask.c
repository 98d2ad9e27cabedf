/* Asks dnsd as a service would: dns_ask PROGRAM CONF NAME TYPE.. ; prints an answer a line:
 * NAME TYPE VERDICT secure=N RECORD... With DNS_ASK_UNTIL_SECURE in the environment it asks for the first NAME again
 * until DNSSEC vouches for it, for two minutes at most. */
#include "common/dns.h"
#include "common/service.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUERIES_MAX = 512, AGAIN_MS = 200, TRIES = 600 };

static struct loop *loop;
static struct dns_client client;
static struct asked { struct dns_query query; const char *name; int type; } asked[QUERIES_MAX];
static int left, tries;
static struct timer again;

static void print_record(int type, const char *rdata, size_t length)
{
	char text[DNS_NAME_MAX + 1];
	struct address_ip ip;
	uint16_t preference;

	if (type == DNS_MX && dns_mx(rdata, length, &preference, text))
		printf(" %u:%s", preference, text);
	else if ((type == DNS_A || type == DNS_AAAA) && dns_ip(rdata, length, &ip))
		printf(" %s", ip_text(&ip, text));
	else if (type == DNS_PTR && dns_name_text(rdata, length, text))
		printf(" %s", text);
	else
		printf(" (%zu bytes)", length);
}

static void ask_again(struct timer *timer);

static void done(struct dns_query *query, const struct dns_answer *answer)
{
	static const char *const verdicts[] = { "?", "answer", "no-data", "no-name", "later" };
	struct asked *a = container_of(query, struct asked, query);
	const char *at = answer->records, *end = at ? at + answer->records_length : NULL, *rdata;
	size_t length;

	printf("%s %d %s secure=%d", a->name, a->type, verdicts[answer->verdict], answer->is_secure);
	while (at && dns_next_record(&at, end, &rdata, &length))
		print_record(a->type, rdata, length);
	printf("%s%s\n", answer->words[0] ? " # " : "", answer->words);
	if (a == asked && getenv("DNS_ASK_UNTIL_SECURE") && !answer->is_secure && ++tries < TRIES)
		loop_set_timer(loop, &again, AGAIN_MS, ask_again);
	else if (--left == 0)
		loop_stop(loop);
}

static void ask_again(struct timer *timer)
{
	(void)timer;
	dns_ask(&client, &asked->query, asked->name, (enum dns_type)asked->type, done);
}

int main(int argc, char **argv)
{
	struct why why = { 0 };
	struct channel control;
	int ends[2], pair[2], i;
	pid_t pid;

	if (argc < 5 || argc % 2 == 0 || channel_pair(ends, &why) != RESULT_OK || channel_pair(pair, &why) != RESULT_OK)
		return 2;
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], SERVICE_CONTROL);
		execl(argv[1], argv[1], "-c", argv[2], (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	loop_make(&loop, &why);
	dns_client_init(&client, loop);
	channel_open(&control, NULL, ends[0], NULL, NULL, &why);
	struct wire_value values[CHANNEL_FIELDS] = { [CHANNEL_PEER] = WIRE_STRING("test") };
	channel_send(&control, FRAME_CHANNEL, values, pair[1], &why);
	channel_flush(&control, &why);
	dns_client_join(&client, pair[0], &why);
	for (i = 3; i + 1 < argc && left < QUERIES_MAX; i += 2) {
		struct asked *a = &asked[left++];
		a->name = argv[i];
		a->type = (int)strtol(argv[i + 1], NULL, 10);
		dns_ask(&client, &a->query, a->name, (enum dns_type)a->type, done);
	}
	loop_run(loop, &why);
	channel_close(&control);
	waitpid(pid, NULL, 0);
	return 0;
}
