/* tlsrpt: makes the daily reports of TLS to other domains (RFC 8460) and sends them. `dawk tlsrpt` runs it; it is a
 * program of its own because it talks to strangers' hosts. Called by root it hands its key to keyd, then
 * gives its rights up for those of stsd's account, before it reads anything. */
#include "common/log.h"
#include "common/sandbox.h"
#include "dawk/command.h"
#include "sent.h"
#include "send.h"
#include "stsd/folder.h"
#include "stsd/record.h"
#include "stsd/store.h"
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 3600 * 1000 };	/* for all domains together */

struct wish {
	const char *file, *day;
	bool shows;
	char **domains;		/* none: all */
	int domain_count;
};

struct run {
	const struct configuration *conf;
	const struct wish *wish;
	const struct sender *sender;
	struct signer *signer;
	struct names *names;
	struct sent sent;
	unsigned sent_count, failed_count, unwanted_count, unsigned_count;
};

static const char usage[] =
	"usage: dawk [-c FILE] tlsrpt [--day YYYY-MM-DD] [--show] [DOMAIN ..]\n"
	"       dawk [-c FILE] tlsrpt --make-key|--record\n";

/* ---- one report ---- */

static bool is_wished(const struct wish *wish, const char *domain)
{
	for (int i = 0; i < wish->domain_count; i++)
		if (!strcasecmp(wish->domains[i], domain))
			return true;
	return !wish->domain_count;
}

static void say(const struct report *report, const char *uri, enum result result, const struct why *why)
{
	printf("%s: %llu sessions, %llu failed: ", report->domain, (unsigned long long)(report->successes + report->failures),
	       (unsigned long long)report->failures);
	if (result == RESULT_OK)
		printf("sent to %s\n", uri);
	else
		printf("NOT sent to %s: %s\n", uri, why->text);
	fflush(stdout);
}

static void send_to(struct run *run, const struct parcel *parcel, const char *uri)
{
	const struct report *report = parcel->report;
	struct why why = { 0 };
	enum result result;

	if (sent_holds(&run->sent, report->domain, uri))
		return;
	bool is_mail = !strncmp(uri, "mailto:", 7);
	if (is_mail)
		result = send_by_mail(parcel, uri, run->signer, &why);
	else
		result = send_by_https(parcel, uri, run->names, &why);
	say(report, uri, result, &why);
	if (result == RESULT_OK && sent_add(&run->sent, report->domain, uri, &why) != RESULT_OK)
		command_fail("tlsrpt", EX_IOERR, "%s: a further run may send this one again", why.text);
	*(result == RESULT_OK ? &run->sent_count : &run->failed_count) += 1;
	run->unsigned_count += result == RESULT_OK && is_mail && !run->signer->pid;
}

/* RESULT_OK: URIS says where to; RESULT_END: nobody wants it; RESULT_RETRY: WHY. */
static enum result find_uris(struct run *run, const struct report *report, struct report_uris *uris, struct why *why)
{
	char name[DNS_NAME_MAX + 1], words[257] = "";
	stralloc records = { 0 };
	enum dns_verdict verdict;
	enum result result = RESULT_END;

	if (snprintf(name, sizeof name, "_smtp._tls.%s", report->domain) >= (int)sizeof name)
		return RESULT_END;
	verdict = names_find_records(run->names, name, DNS_TXT, &records, words);
	if (verdict == DNS_ANSWER)
		result = record_find_report_uris(records.s, records.len, uris, why);
	else if (verdict == DNS_LATER)
		result = why_set(why, RESULT_RETRY, "%s", words);
	stralloc_free(&records);
	return result;
}

static void send_report(struct run *run, const struct report *report)
{
	static struct report_uris uris;
	struct parcel parcel;
	struct why why = { 0 };
	enum result result = find_uris(run, report, &uris, &why);

	if (result == RESULT_END) {
		run->unwanted_count++;
		return;
	}
	if (result == RESULT_OK)
		result = parcel_pack(&parcel, run->conf, report, &why);
	if (result != RESULT_OK) {
		printf("%s: NOT sent: %s\n", report->domain, why.text);
		run->failed_count += result == RESULT_RETRY;
		return;
	}
	for (size_t i = 0; i < uris.count; i++)
		send_to(run, &parcel, uris.items[i]);
	parcel_free(&parcel);
}

/* ---- all of a day ---- */

static void take_all(struct run *run, const struct facts *facts)
{
	struct report report = {
		.organization = run->conf->domains.items[0], .contact = run->sender->address,
		.day = run->wish->day, .hostname = run->conf->hostname,
	};
	size_t at = 0;

	while (report_next(&report, facts, &at)) {
		if (!is_wished(run->wish, report.domain))
			continue;
		if (run->wish->shows) {
			report_write_json(&report, stdout);
			putchar('\n');
		} else {
			send_report(run, &report);
		}
	}
}

static int send_all(struct run *run, const struct folder *folder, const struct facts *facts)
{
	struct why why = { 0 };
	enum result result = sent_open(&run->sent, folder->sent, run->wish->day, &why);

	if (result == RESULT_OK)
		result = names_start(run->conf, PATIENCE_MS, &run->names, &why);
	if (result != RESULT_OK) {
		sent_close(&run->sent);
		return command_fail_why("tlsrpt", result, &why);
	}
	take_all(run, facts);
	names_stop(run->names);
	sent_close(&run->sent);
	printf("%s: %u sent, %u not sent, %u domains want none\n", run->wish->day, run->sent_count, run->failed_count, run->unwanted_count);
	if (run->unsigned_count)
		printf("%u went by mail without a signature, so receivers may ignore them (RFC 8460 3): set tls-report-key, then run "
		       "`dawk tlsrpt --make-key`\n", run->unsigned_count);
	return run->failed_count ? EX_TEMPFAIL : EX_OK;
}

static enum result read_facts(const struct folder *folder, const char *day, struct facts *facts, struct why *why)
{
	char *text = malloc(FACTS_FILE_MAX);
	size_t length = 0;
	enum result result = text ? store_read(folder->facts, day, text, FACTS_FILE_MAX, &length, why) :
	                     why_set(why, RESULT_RETRY, "no memory for the facts");

	if (result == RESULT_OK && !facts_file_is_whole(text, length))
		result = why_set(why, RESULT_NEVER, "the facts of %s are not whole", day);
	if (result == RESULT_OK)
		return facts_sort(facts, text, length, why);
	free(text);
	return result;
}

static int report_day(const struct configuration *conf, const struct wish *wish, const struct sender *sender, struct signer *signer)
{
	struct run run = { .conf = conf, .wish = wish, .sender = sender, .signer = signer, .sent.fd = -1 };
	struct folder folder;
	struct facts facts = { .text = NULL };
	struct why why = { 0 };
	enum result result = folder_open(conf, &folder, &why);
	int code;

	if (result == RESULT_OK)
		result = read_facts(&folder, wish->day, &facts, &why);
	if (result == RESULT_END)
		return command_fail("tlsrpt", EX_OK, "there are no facts of %s", wish->day);
	if (result != RESULT_OK)
		return command_fail_why("tlsrpt", result, &why);
	if (wish->shows)
		take_all(&run, &facts);
	code = wish->shows ? EX_OK : send_all(&run, &folder, &facts);
	facts_free(&facts);
	return code;
}

/* ---- start ---- */

/* What is read here was written by a process that talks to strangers: root's rights are not for it. */
static enum result drop_rights(struct why *why)
{
	struct identity identity;
	enum result result = sandbox_identity(ROLE_STSD, &identity, why);

	if (result != RESULT_OK || geteuid() != 0)
		return result;
	if (setgroups(0, NULL) || setresgid(identity.gid, identity.gid, identity.gid) || setresuid(identity.uid, identity.uid, identity.uid))
		return why_errno(why, RESULT_STOP, "unable to become uid %u", (unsigned)identity.uid);
	return RESULT_OK;
}

/* A key that is not fit ends the run before anything is sent: nothing goes unsigned that should not. */
static int run(const struct configuration *conf, const struct wish *wish)
{
	struct sender sender;
	struct signer signer = { .control.fd = -1, .keyd.fd = -1 };
	struct why why = { 0 };
	enum result result = sender_find(conf, &sender, &why);
	int code;

	if (result == RESULT_OK && !wish->shows)
		result = signer_start(&signer, conf, &sender, &why);
	if (result != RESULT_OK)
		return command_fail("tlsrpt", result == RESULT_NEVER ? EX_CONFIG : command_code(result), "%s", why.text);
	if (drop_rights(&why) == RESULT_OK)
		code = report_day(conf, wish, &sender, &signer);
	else
		code = command_fail("tlsrpt", EX_OSERR, "%s", why.text);
	signer_stop(&signer);
	return code;
}

/* false: the call was wrong, or it was for help: *CODE. */
static bool take_arguments(struct wish *wish, int argc, char **argv, int *code)
{
	static const struct option options[] = {
		{ "day", required_argument, NULL, 'd' }, { "show", no_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		*code = EX_OK;
		if (option == 'c') {
			wish->file = optarg;
		} else if (option == 'd') {
			wish->day = optarg;
		} else if (option == 's') {
			wish->shows = true;
		} else if (option == 'h') {
			fputs(usage, stdout);
			return false;
		} else if (option == 'V') {
			printf("dawk %s (tlsrpt)\n", DAWK_VERSION);
			return false;
		} else {
			*code = command_usage("tlsrpt", "an option is not known or lacks its value");
			return false;
		}
	}
	wish->domains = argv + optind;
	wish->domain_count = argc - optind;
	if (facts_day_is_valid(wish->day))
		return true;
	*code = command_usage("tlsrpt", "--day wants a day like 2026-11-22, not '%s'", wish->day);
	return false;
}

int main(int argc, char **argv)
{
	char yesterday[FACTS_DAY_SIZE];
	struct wish wish = { .file = COMMAND_CONFIGURATION, .day = yesterday };
	struct configuration *conf = NULL;
	struct why why = { 0 };
	int code;

	log_open("tlsrpt");
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	facts_day(time_real_us() - UINT64_C(86400) * 1000000, yesterday);
	if (!take_arguments(&wish, argc, argv, &code))
		return fflush(stdout) ? EX_IOERR : code;
	if (configuration_load(wish.file, &conf, &why) != RESULT_OK)
		return command_fail("tlsrpt", EX_CONFIG, "%s", why.text);
	code = run(conf, &wish);
	configuration_free(conf);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	return command_fail("tlsrpt", EX_IOERR, "unable to write the output");
}
