/* sendmail, mailq, newaliases: the classic interface for local programs. Not setuid: it hands the
 * message to smtpd's local socket, and what concerns the queue and the tables to dawk. */
#include "command.h"
#include "submit.h"
#include "common/file.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct job {
	const char *file;		/* configuration */
	char mode;			/* of -b: m, s, p, i, v; q for -q */
	bool takes_header;		/* -t */
	bool ignores_dots, is_verbose;
	const char *sender, *full_name, *notify, *ret, *envid;
	const struct configuration *conf;
	struct recipients recipients;
	struct message message;
	struct header header;
	stralloc written;		/* the header as it goes out */
	int code;			/* of the worst refusal */
	size_t accepted;
};

static int say(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int say(int code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fflush(stdout);
	fputs("sendmail: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return code;
}

/* sysexits(3) for a refusal: by its enhanced status code, RFC 3463, the first row that begins it. */
static int code_of(const char *words)
{
	static const struct { const char *status; int code; } rows[] = {
		{ "5.1.2", EX_NOHOST }, { "5.1.", EX_NOUSER }, { "5.2.1", EX_NOUSER }, { "5.2.", EX_CANTCREAT },
		{ "5.3.4", EX_DATAERR }, { "5.5.", EX_PROTOCOL }, { "5.6.", EX_DATAERR }, { "5.7.", EX_NOPERM },
	};
	if (*words != '5')
		return EX_TEMPFAIL;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strlen(words) > 4 && !strncmp(words + 4, rows[i].status, strlen(rows[i].status)))
			return rows[i].code;
	return EX_UNAVAILABLE;
}

static int fail(const struct submission *s, enum result result, const struct why *why)
{
	return say(result == RESULT_NEVER ? (s->words[0] == '5' ? code_of(s->words) : EX_DATAERR) : EX_TEMPFAIL, "%s", why->text);
}

static void print_help(void)
{
	printf("usage: sendmail [-C FILE] [-t] [-i] [-f ADDRESS] [-F NAME] [-N WHEN] [-R full|hdrs] [-V ENVID] [-v] [--] [ADDRESS]..\n"
	       "       sendmail -bs | -bv ADDRESS.. | -bp | -bi | -q\n\n"
	       "  -t          recipients from To, Cc and Bcc     -bs         SMTP on standard input and output\n"
	       "  -i          a line of a dot ends nothing       -bv         ask whether addresses are accepted\n"
	       "  -f ADDRESS  the reverse-path                   -bp, mailq  the queue (dawk queue)\n"
	       "  -F NAME     full name of the sender            -bi, newaliases  compile the tables (dawk update)\n"
	       "  -C FILE     configuration                      -q          try all that waits (dawk queue flush)\n"
	       "More: man sendmail\n");
}

/* The long options of -o that mean something here. */
static bool take_o(struct job *job, const char *argument)
{
	if (!strcmp(argument, "i"))
		job->ignores_dots = true;
	else if (!strcmp(argument, "v"))
		job->is_verbose = true;
	return true;	/* delivery mode, error mode and the others of old: nothing to do */
}

static bool take_b(struct job *job, const char *argument)
{
	if (strlen(argument) == 1 && strchr("msviap", *argument)) {
		job->mode = *argument == 'a' ? 's' : *argument;
		return true;
	}
	say(EX_USAGE, "-b%s: not here; the services are smtpd and queued, run by a supervisor (see dawk(7))", argument);
	return false;
}

/* Is each of TEXT, separated by commas, one of WORDS? false: said. */
static bool is_of(const char *text, const char *words)
{
	for (const char *at = text; ; at++) {
		size_t length = strcspn(at, ",");
		bool is_word = false;
		for (const char *word = words; word && *word; word = strchr(word, ' ') ? strchr(word, ' ') + 1 : NULL)
			is_word |= length == strcspn(word, " ") && !strncasecmp(word, at, length);
		if (!is_word) {
			say(EX_USAGE, "'%s': one of %s is wanted", text, words);
			return false;
		}
		at += length;
		if (!*at)
			return true;
	}
}

static bool take_option(struct job *job, int option, const char *argument)
{
	switch (option) {
	case 'C': case 'c': job->file = argument; return true;
	case 'F': job->full_name = argument; return true;
	case 'f': case 'r': job->sender = argument; return true;
	case 'N': job->notify = argument; return is_of(argument, "never success failure delay");
	case 'R': job->ret = argument; return is_of(argument, "full hdrs");
	case 'V': job->envid = argument; return true;
	case 't': job->takes_header = true; return true;
	case 'i': job->ignores_dots = true; return true;
	case 'v': job->is_verbose = true; return true;
	case 'q': job->mode = 'q'; return true;
	case 'I': job->mode = 'i'; return true;
	case 's': job->mode = 's'; return true;
	case 'o': return take_o(job, argument);
	case 'b': return take_b(job, argument);
	case 'A': case 'B': case 'G': case 'L': case 'O': case 'U': case 'X': case 'd': case 'e':
	case 'h': case 'm': case 'n': case 'p': case 'x':
		return true;	/* of sendmail's own delivery, harmless */
	default:
		say(EX_USAGE, "`sendmail --help` shows the usage");
		return false;
	}
}

static bool take_options(struct job *job, int argc, char **argv)
{
	int option;
	while ((option = getopt(argc, argv, "A:B:C:F:GIL:N:O:R:UV:X:b:c:d::e:f:h:imno:p:q::r:stvx")) != -1)
		if (!take_option(job, option, optarg))
			return false;
	return true;
}

/* dawk stands beside this program. */
static int exec_dawk(const struct job *job, const char *command, const char *verb)
{
	char path[PATH_MAX + 8];
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	if (length <= 0)
		return say(EX_OSERR, "unable to find this program's folder: %s", strerror(errno));
	path[length] = 0;
	char *slash = strrchr(path, '/');
	memcpy(slash ? slash + 1 : path, "dawk", 5);
	execl(path, "dawk", "-c", job->file, command, verb, (char *)NULL);
	return say(EX_OSFILE, "unable to run %s: %s", path, strerror(errno));
}

/* -bs: both ways, until smtpd hangs up. */
static int copy_dialog(int fd)
{
	char block[16384];
	struct pollfd polls[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	for (;;) {
		if (poll(polls, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return say(EX_OSERR, "unable to wait: %s", strerror(errno));
		}
		if (polls[1].revents) {
			ssize_t got = read(fd, block, sizeof block);
			if (got <= 0)
				return EX_OK;
			if (!file_write(STDOUT_FILENO, block, (size_t)got))
				return EX_IOERR;
		} else if (polls[0].revents) {
			ssize_t got = read(STDIN_FILENO, block, sizeof block);
			if (got <= 0) {		/* what is still on its way comes back first */
				shutdown(fd, SHUT_WR);
				polls[0].fd = -1;
			} else if (!file_write(fd, block, (size_t)got)) {
				polls[0].fd = -1;
			}
		}
	}
}

static int speak_smtp(const struct job *job)
{
	int fd;
	struct why why = { 0 };
	enum result result = submission_connect(job->conf->listen_local, &fd, &why);
	if (result != RESULT_OK)
		return say(EX_TEMPFAIL, "%s", why.text);
	int code = copy_dialog(fd);
	close(fd);
	return code;
}

/* The caller's own address: its login name at the first domain. */
static void own_address(const struct job *job, char *out, size_t size)
{
	struct passwd *entry = getpwuid(getuid());
	snprintf(out, size, "%s@%s", entry ? entry->pw_name : "nobody", job->conf->domains.items[0]);
}

/* The reverse-path without brackets; "" for the null one. */
static enum result find_sender(const struct job *job, struct address *sender, struct why *why)
{
	struct recipients one = { .domain = job->conf->domains.items[0] };
	char own[ADDRESS_MAX + 1];
	own_address(job, own, sizeof own);
	const char *text = job->sender ? job->sender : own;
	*sender = (struct address){ 0 };
	if (!*text || !strcmp(text, "<>"))
		return RESULT_OK;
	enum result result = recipients_add_list(&one, text, strlen(text), why);
	if (result == RESULT_OK && one.count != 1)
		result = why_set(why, RESULT_NEVER, "-f wants one address, not '%s'", text);
	if (result == RESULT_OK)
		result = address_parse(one.text.s, strlen(one.text.s), sender, why);
	stralloc_free(&one.text);
	return result;
}

/* RFC 3461 4: xtext of printable characters. */
static void to_xtext(const char *text, char *out, size_t size)
{
	size_t length = 0;
	for (; *text && length + 4 < size; text++) {
		if (*text > 0x20 && *text < 0x7f && *text != '+' && *text != '=')
			out[length++] = *text;
		else
			length += (size_t)snprintf(out + length, size - length, "+%02X", (unsigned char)*text);
	}
	out[length] = 0;
}

static enum result say_mail(const struct job *job, struct submission *s, const struct address *sender, struct why *why)
{
	char size[40] = "", ret[20] = "", envid[320] = "";
	bool is_full = job->ret && !strcasecmp(job->ret, "full");
	if (s->has_size && job->mode != 'v')
		snprintf(size, sizeof size, " SIZE=%llu", (unsigned long long)(job->message.length - job->header.length + job->written.len));
	if (s->has_dsn && job->ret)
		snprintf(ret, sizeof ret, " RET=%s", is_full ? "FULL" : "HDRS");
	if (s->has_dsn && job->envid) {
		memcpy(envid, " ENVID=", 8);
		to_xtext(job->envid, envid + 7, sizeof envid - 7);
	}
	return submission_command(s, why, "MAIL FROM:<%s>%s%s%s%s%s", sender->text, size,
	                          s->has_8bitmime ? " BODY=8BITMIME" : "",
	                          s->has_smtputf8 && (sender->needs_smtputf8 || job->recipients.needs_smtputf8) ? " SMTPUTF8" : "",
	                          ret, envid);
}

/* A recipient refused for good is told, the others get the message; one refused for now stops all,
 * so that the caller's next try makes no second copies. */
static enum result say_recipients(struct job *job, struct submission *s, struct why *why)
{
	const char *at = job->recipients.text.s, *end = at + job->recipients.text.len;
	for (; at < end; at += strlen(at) + 1) {
		bool has_notify = job->notify && s->has_dsn;
		enum result result = submission_command(s, why, "RCPT TO:<%s>%s%s", at, has_notify ? " NOTIFY=" : "",
		                                        has_notify ? job->notify : "");
		if (result == RESULT_OK) {
			job->accepted++;
			if (job->mode == 'v')
				printf("%s: %s\n", at, s->words);
		} else if (result == RESULT_NEVER && s->words[0] == '5') {
			job->code = say(code_of(s->words), "%s: %s", at, s->words);
		} else {
			return result;
		}
	}
	return RESULT_OK;
}

static int converse(struct job *job, struct submission *s, const struct address *sender)
{
	struct why why = { 0 };
	enum result result = submission_open(s, job->conf->listen_local, job->conf->hostname, job->is_verbose, &why);
	if (result == RESULT_OK)
		result = say_mail(job, s, sender, &why);
	if (result == RESULT_OK)
		result = say_recipients(job, s, &why);
	if (result == RESULT_OK && job->accepted && job->mode != 'v') {
		result = submission_command(s, &why, "DATA");
		if (result == RESULT_OK)
			result = submission_content(s, &job->written, &job->message, job->header.length, &why);
	}
	if (result != RESULT_OK)
		return fail(s, result, &why);
	submission_command(s, &why, "QUIT");
	if (job->code && job->accepted && job->mode != 'v')
		say(job->code, "the other recipients get the message");
	return job->code;
}

static const char *full_name(const struct job *job, char *out, size_t size)
{
	struct passwd *entry = getpwuid(getuid());
	snprintf(out, size, "%s", job->full_name ? job->full_name : entry ? entry->pw_gecos : "");
	if (!job->full_name)
		out[strcspn(out, ",")] = 0;
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	return out;
}

/* The header as it goes out: without Bcc where it named recipients, with From. */
static enum result write_header(struct job *job, const struct address *sender, struct why *why)
{
	char name[256], own[ADDRESS_MAX + 1];
	own_address(job, own, sizeof own);
	enum result result = header_write(&job->header, job->message.head.s, job->takes_header, &job->written, why);
	if (result == RESULT_OK && !job->header.has_from)
		result = header_write_from(&job->written, full_name(job, name, sizeof name), sender->length ? sender->text : own, why);
	/* a message that begins with its text */
	if (result == RESULT_OK && !job->header.is_followed && !text_append(&job->written, "\r\n", 2))
		result = why_set(why, RESULT_RETRY, "out of memory");
	return result;
}

static enum result take_message(struct job *job, const struct address *sender, struct why *why)
{
	enum result result = message_read(&job->message, STDIN_FILENO, !job->ignores_dots, why);
	if (result != RESULT_OK)
		return result;
	header_scan(&job->header, job->message.head.s, job->message.head.len);
	if (job->header.length == job->message.head.len && job->message.rest >= 0)
		return why_set(why, RESULT_NEVER, "the header is longer than %d bytes", HEADER_MAX);
	if (job->takes_header)
		result = header_recipients(&job->header, job->message.head.s, &job->recipients, why);
	return result == RESULT_OK ? write_header(job, sender, why) : result;
}

static int submit(struct job *job, int argc, char **argv)
{
	struct submission s = { .fd = -1 };
	struct address sender;
	struct why why = { 0 };
	job->recipients.domain = job->conf->domains.items[0];
	enum result result = find_sender(job, &sender, &why);
	for (int i = 0; i < argc && result == RESULT_OK; i++)
		result = recipients_add_list(&job->recipients, argv[i], strlen(argv[i]), &why);
	if (result == RESULT_OK && job->mode != 'v')
		result = take_message(job, &sender, &why);
	if (result != RESULT_OK)
		return say(result == RESULT_RETRY ? EX_TEMPFAIL : EX_DATAERR, "%s; nothing is sent", why.text);
	if (!job->recipients.count)
		return say(EX_USAGE, job->takes_header ? "the header names no recipient in To, Cc or Bcc; nothing is sent" :
		           "no recipient: name one, or use -t for those of the header");
	int code = converse(job, &s, &sender);
	submission_close(&s);
	return code;
}

static int run(struct job *job, int argc, char **argv)
{
	struct configuration *conf = NULL;
	struct why why = { 0 };
	if (job->mode == 'p')
		return exec_dawk(job, "queue", "list");
	if (job->mode == 'q')
		return exec_dawk(job, "queue", "flush");
	if (job->mode == 'i')
		return exec_dawk(job, "update", NULL);
	enum result result = configuration_load(job->file, &conf, &why);
	if (result != RESULT_OK)
		return say(EX_CONFIG, "%s%s", result == RESULT_RETRY ? "unable to " : "", why.text);
	job->conf = conf;
	int code = job->mode == 's' ? speak_smtp(job) : submit(job, argc, argv);
	message_free(&job->message);
	stralloc_free(&job->recipients.text);
	stralloc_free(&job->written);
	configuration_free(conf);
	return code;
}

/* As every program of the suite. -h and -V with a value are options of the classic interface. */
static bool prints_itself(const char *only)
{
	bool is_version = !strcmp(only, "-V") || !strcmp(only, "--version");
	if (is_version)
		printf("dawk sendmail %s\n", DAWK_VERSION);
	else if (!strcmp(only, "-h") || !strcmp(only, "--help"))
		print_help();
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct job job = { .file = COMMAND_CONFIGURATION, .mode = 'm', .message = { .rest = -1 } };
	const char *name = basename(argv[0]);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && prints_itself(argv[1]))
		return EX_OK;
	if (!strcmp(name, "mailq"))
		job.mode = 'p';
	else if (!strcmp(name, "newaliases"))
		job.mode = 'i';
	if (!take_options(&job, argc, argv))
		return EX_USAGE;
	return run(&job, argc - optind, argv + optind);
}
