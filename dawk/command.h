/* The sub-commands of `dawk` and what they share: how they fail, how they write. dawk.c holds the
 * table of them; each stands in a file of its own name. */
#ifndef DAWK_COMMAND_H
#define DAWK_COMMAND_H

#include "common/configuration.h"
#include "common/result.h"
#include <sysexits.h>

#define COMMAND_CONFIGURATION "/etc/dawk/dawk.conf"

/* Each gets its own arguments with argv[0] the sub-command's name, has written to standard output
 * or said on standard error why not, and returns an exit code as in sysexits(3). CONF belongs to
 * the caller. -h is answered by main. */
int command_init(struct configuration *conf, int argc, char **argv);	/* conf is NULL: there is none yet */
int command_user(struct configuration *conf, int argc, char **argv);
int command_update(struct configuration *conf, int argc, char **argv);	/* --quiet: silent when all went well (init, user call it so) */
int command_check(struct configuration *conf, int argc, char **argv);
int command_cert(struct configuration *conf, int argc, char **argv);
int command_config(struct configuration *conf, int argc, char **argv);
int command_explain(struct configuration *conf, int argc, char **argv);
int command_queue(struct configuration *conf, int argc, char **argv);
int command_attack(struct configuration *conf, int argc, char **argv);
int command_audit(struct configuration *conf, int argc, char **argv);
int command_status(struct configuration *conf, int argc, char **argv);
int command_tlsrpt(struct configuration *conf, int argc, char **argv);

/* The exit code for RESULT: 0, 75 (try later), 65 (will not work), 71 (this process can't go on). */
int command_code(enum result result);

/* The same, and 77 where WHY says that a right is missing. */
int command_code_why(enum result result, const struct why *why);

/* Writes "dawk COMMAND: TEXT" and a newline to standard error; returns CODE, so that a failure is a
 * line: return command_fail("user", EX_USAGE, "..."). */
int command_fail(const char *command, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with the text of WHY and the code of command_code_why. */
int command_fail_why(const char *command, enum result result, const struct why *why);
/* A wrong call: says what was wrong with it and how to see the usage. Returns EX_USAGE. */
int command_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As fprintf, what others said included: it may hold what must not reach a terminal, which becomes '?'. The lines stay. */
void print_shown(FILE *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes LENGTH bytes to FILE as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD, control characters
 * and what turns the direction of a text \u escapes. */
void json_string(FILE *file, const char *bytes, size_t length);

/* DIR of the running program, NUL-ended, without trailing slash: the suite's programs lie together. */
enum result command_programs_directory(char *out, size_t size, struct why *why);

#endif
