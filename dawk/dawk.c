/* dawk: the admin's one command. Here: the table of sub-commands and the common options. */
#include "command.h"

#include "common/log.h"
#include "common/sandbox.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int command_privileges(struct configuration *conf, int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(struct configuration *, int argc, char **argv);
	bool needs_configuration, writes;	/* writes: into the instance */
	const char *arguments, *help;
} commands[] = {
	{ "init", command_init, false, false,
	  "DIR|--system [--domain D].. [--hostname H] [--smtp A:P] [--submission A:P]\n"
	  "       [--submissions A:P] [--pop3 A:P] [--pop3s A:P] [--resolver A@P] [--set 'name = value']..",
	  "make a complete instance below DIR" },
	{ "user", command_user, true, true,
	  "add|passwd|del|list [ADDRESS] [--maildir PATH] [--uid N] [--gid N] [--quota 50M]\n"
	  "       app-password add|list|del ADDRESS [NAME]\n"
	  "       hold ADDRESS [REASON..]|release ADDRESS|held",
	  "mailboxes, their passwords, passwords for single programs, accounts that may not send" },
	{ "update", command_update, true, true, "[--quiet]", "compile the tables after an edit" },
	{ "check", command_check, true, false, "", "what is wrong, and how to mend it" },
	{ "cert", command_cert, true, true, "[show|make [--renew]]", "certificates in use, until when, for which names; a self-signed one" },
	{ "config", command_config, true, false, "[NAME]", "the values in force and where each comes from" },
	{ "explain", command_explain, true, false, "[--as USER] ADDRESS", "how a recipient would be handled, without sending; may USER send as ADDRESS" },
	{ "queue", command_queue, true, true,
	  "[list [FILTER]|show ID|retry ID..|retry DOMAIN|hold ID..|release ID..|remove ID..\n"
	  "       |retry|hold|release|remove FILTER [--yes]|flush|sites] [--json]\n"
	  "       FILTER: --to TEXT --from TEXT --older TIME --reason TEXT",
	  "what waits; hold, release, retry, remove" },
	{ "attack", command_attack, true, false, "[--json] [--slow] [--domain D] [--i-may] HOST[:PORT]",
	  "try against one's own listeners what an attacker would" },
	{ "audit", command_audit, true, false, "[--json] [LOG..]",
	  "prove from the logs and the queue that no message went without a word" },
	{ "status", command_status, true, false, "[--json]", "what runs, what waits, what fails" },
	{ "tlsrpt", command_tlsrpt, true, true, "[--day YYYY-MM-DD] [--show] [DOMAIN..]\n       tlsrpt --make-key|--record",
	  "make and send the daily reports of TLS to other domains; the key that signs them" },
	{ "privileges", command_privileges, false, false, "", "which program may do what" },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int command_privileges(struct configuration *conf, int argc, char **argv)
{
	(void)conf;
	if (argc > 1)
		return command_usage(argv[0], "it takes no arguments");
	sandbox_print_table();
	return EX_OK;
}

static void print_help(void)
{
	printf("usage: dawk [-c FILE] COMMAND [ARGUMENTS]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-11s %s\n", commands[i].name, commands[i].help);
	printf("\n  -c FILE     configuration (%s)\n"
	       "  -h          this help; `dawk COMMAND -h`: the arguments of a command\n"
	       "  -V          the version\n\nMore: man dawk\n", COMMAND_CONFIGURATION);
}

/* How many letters two words differ by, swapped neighbours counting two: only for advice. */
static size_t distance(const char *a, const char *b)
{
	enum { WORD_MAX = 16 };
	size_t row[WORD_MAX + 1], a_length = strlen(a), b_length = strlen(b);
	if (a_length > WORD_MAX || b_length > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_length];
}

static int say_unknown(const char *name)
{
	const struct command *nearest = &commands[0];
	for (size_t i = 1; i < COMMANDS; i++)
		if (distance(name, commands[i].name) < distance(name, nearest->name))
			nearest = &commands[i];
	if (distance(name, nearest->name) <= 2)
		fprintf(stderr, "dawk: there is no command '%s'; did you mean '%s'?\n", name, nearest->name);
	else
		fprintf(stderr, "dawk: there is no command '%s'; `dawk -h` lists them\n", name);
	return EX_USAGE;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static bool is_help(const char *argument)
{
	return !strcmp(argument, "-h") || !strcmp(argument, "--help");
}

static int say_no_configuration(const char *file, enum result result, const struct why *why)
{
	fprintf(stderr, "dawk: %s%s\n", result == RESULT_RETRY ? "unable to " : "", why->text);
	if (access(file, F_OK) < 0)
		fprintf(stderr, "dawk: name the instance's configuration with -c FILE; "
		        "`dawk init DIR` makes an instance, `make setup` installs the suite\n");
	return result == RESULT_RETRY ? EX_NOINPUT : EX_CONFIG;
}

/* Where an instance lies in a folder of another account, that account says what its paths are and what links lie there: root's
 * rights are not for them. The folder counts: whose it is can replace the file. */
static int become_owner(const struct configuration *conf)
{
	struct stat folder;
	if (geteuid() != 0)
		return EX_OK;
	if (stat(conf->directory, &folder) != 0) {
		fprintf(stderr, "dawk: unable to look at %s: %s\n", conf->directory, strerror(errno));
		return EX_NOINPUT;
	}
	if (folder.st_uid == 0)
		return EX_OK;
	const struct passwd *owner = getpwuid(folder.st_uid);
	uid_t uid = folder.st_uid;
	gid_t gid = owner ? owner->pw_gid : folder.st_gid;
	if ((owner ? initgroups(owner->pw_name, gid) : setgroups(0, NULL)) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) {
		fprintf(stderr, "dawk: unable to become uid %lu, whose instance %s is: %s\n", (unsigned long)uid, conf->directory, strerror(errno));
		return EX_OSERR;
	}
	return EX_OK;
}

static int run(const struct command *command, const char *file, int argc, char **argv)
{
	struct configuration *conf = NULL;
	struct why why = { 0 };
	int code = EX_OK;
	if (argc > 1 && is_help(argv[1])) {
		printf("usage: dawk [-c FILE] %s%s%s\n\n%s\n", command->name, *command->arguments ? " " : "", command->arguments, command->help);
		return EX_OK;
	}
	if (command->needs_configuration) {
		enum result result = configuration_load(file, &conf, &why);
		if (result != RESULT_OK)
			return say_no_configuration(file, result, &why);
		if (command->writes)
			code = become_owner(conf);
	}
	if (!code)
		code = command->run(conf, argc, argv);
	configuration_free(conf);
	return code;
}

/* What was written to a full disk or a broken terminal was not said. */
static int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	perror("dawk: unable to write the output");
	return code ? code : EX_IOERR;
}

int main(int argc, char **argv)
{
	const char *file = COMMAND_CONFIGURATION;
	int option;
	log_open("dawk");
	if (argc > 1 && !strcmp(argv[1], "--help")) {
		print_help();
		return finish(EX_OK);
	}
	while ((option = getopt(argc, argv, "+c:hV")) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case 'h':
			print_help();
			return finish(EX_OK);
		case 'V':
			printf("dawk %s\n", DAWK_VERSION);
			return finish(EX_OK);
		default:
			fprintf(stderr, "dawk: `dawk -h` shows the usage\n");
			return EX_USAGE;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "dawk: name a command; `dawk -h` lists them\n");
		return EX_USAGE;
	}
	const struct command *command = find(argv[optind]);
	if (!command)
		return say_unknown(argv[optind]);
	argc -= optind;
	argv += optind;
	optind = 0;	/* the sub-command may use getopt afresh */
	return finish(run(command, file, argc, argv));
}
