#include "names.h"

#include "helper.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct names {
	struct loop *loop;
	struct dns_client dns;
	struct channel control;		/* dnsd ends when it closes */
	struct timer patience;
	struct dns_query query;
	enum dns_verdict verdict;
	stralloc *records;		/* where an answer goes; NULL: nowhere */
	char words[257];
	pid_t dnsd;
	bool is_answered, is_over;
};

/* The search that is under way: hosts.c knows of no context. */
static struct names *searching;

/* ---- dnsd ---- */

/* Hands dnsd its end of a pipe to us, as an opener does. */
static enum result names_join(struct names *names, struct why *why)
{
	int fd;
	enum result result = helper_link(&names->control, "dawk", &fd, why);

	return result == RESULT_OK ? dns_client_join(&names->dns, fd, why) : result;
}

static void names_end(struct timer *timer)
{
	struct names *names = container_of(timer, struct names, patience);

	names->is_over = true;
	loop_stop(names->loop);
}

enum result names_start(const struct configuration *conf, unsigned patience_ms, struct names **out, struct why *why)
{
	struct names *names = calloc(1, sizeof *names);
	enum result result;

	if (!names)
		return why_set(why, RESULT_RETRY, "start dnsd: no memory");
	names->control.fd = -1;
	result = loop_make(&names->loop, why);
	if (result != RESULT_OK) {
		free(names);
		return result;
	}
	dns_client_init(&names->dns, names->loop);
	result = hosts_know_self(conf, why);
	if (result == RESULT_OK)
		result = helper_start("dnsd", conf->file, &names->control, &names->dnsd, why);
	if (result == RESULT_OK)
		result = names_join(names, why);
	if (result == RESULT_OK && !loop_set_timer(names->loop, &names->patience, patience_ms, names_end))
		result = why_set(why, RESULT_RETRY, "ask dnsd: no memory");
	if (result == RESULT_OK)
		*out = names;
	else
		names_stop(names);
	return result;
}

/* It holds nothing that an orderly end would save. */
void names_stop(struct names *names)
{
	if (!names)
		return;
	channel_close(&names->control);
	channel_close(&names->dns.questions.channel);
	if (names->dnsd > 0) {
		kill(names->dnsd, SIGKILL);
		waitpid(names->dnsd, NULL, 0);
	}
	loop_free(names->loop);
	free(names);
}

/* ---- questions ---- */

static void names_answered(struct names *names)
{
	names->is_answered = true;
	loop_stop(names->loop);
}

static bool names_wait(struct names *names)
{
	struct why why;

	while (!names->is_answered && !names->is_over)
		if (loop_run(names->loop, &why) != RESULT_OK)
			return false;
	return names->is_answered;
}

static void hosts_found(struct hosts *hosts)
{
	(void)hosts;
	names_answered(searching);
}

static bool names_find(struct names *names, struct hosts *hosts, void (*find)(struct hosts *, void (*)(struct hosts *)))
{
	if (names->is_over)
		return false;
	searching = names;
	names->is_answered = false;
	hosts->dns = &names->dns;
	find(hosts, hosts_found);
	return names_wait(names);
}

bool names_find_exchanges(struct names *names, const struct route *route, struct hosts *hosts)
{
	hosts->route = route;
	return names_find(names, hosts, hosts_find_exchanges);
}

bool names_find_addresses(struct names *names, struct hosts *hosts)
{
	return names_find(names, hosts, hosts_find_addresses);
}

bool names_find_tlsa(struct names *names, struct hosts *hosts)
{
	return names_find(names, hosts, hosts_find_tlsa);
}

static void query_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct names *names = container_of(query, struct names, query);

	names->verdict = answer->verdict;
	if (names->records && answer->verdict == DNS_ANSWER && !text_append(names->records, answer->records, answer->records_length))
		names->verdict = DNS_LATER;
	snprintf(names->words, sizeof names->words, "%s", answer->words);
	names_answered(names);
}

static enum dns_verdict names_ask(struct names *names, const char *name, enum dns_type type)
{
	snprintf(names->words, sizeof names->words, "no answer in time");
	if (names->is_over)
		return DNS_LATER;
	names->is_answered = false;
	dns_ask(&names->dns, &names->query, name, type, query_answered);
	if (names_wait(names))
		return names->verdict;
	dns_cancel(&names->query);
	return DNS_LATER;
}

enum result names_has_address(struct names *names, const char *name, struct why *why)
{
	enum dns_verdict verdict = names_ask(names, name, DNS_A);

	if (verdict == DNS_NO_DATA)
		verdict = names_ask(names, name, DNS_AAAA);
	if (verdict == DNS_LATER)
		return why_set(why, RESULT_RETRY, "%s", names->words);
	return verdict == DNS_ANSWER ? RESULT_OK : RESULT_END;
}

enum dns_verdict names_find_records(struct names *names, const char *name, enum dns_type type, stralloc *records, char *words)
{
	enum dns_verdict verdict;

	records->len = 0;
	names->records = records;
	verdict = names_ask(names, name, type);
	names->records = NULL;
	snprintf(words, sizeof names->words, "%s", names->words);
	return verdict;
}
