/* Log lines: one event a line to standard error, `event key=value ...`. Used by all.
 * Values are printed bare when they hold only safe characters, else in double quotes with
 * backslash escapes (\" \\ \xHH), so that a line never holds a control character and never
 * lies about its keys. Never a password, never content. The supervisor adds the time. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "result.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { LOG_LINE_MAX = 2048 };	/* longer lines are cut and end in " cut=yes" */

struct log_line {
	size_t length;
	char text[LOG_LINE_MAX];
};

/* Sets the name that begins each line of this process: "smtpd". NAME must outlive the process. */
void log_open(const char *name);
/* For a service: a log reader that stands still, as one does whose disk is full, must not stop the mail. A
 * pipe as standard error becomes non-blocking, for all who share it; a terminal, shared with strangers, does not. */
void log_never_wait(void);

/* Starts LINE: "NAME EVENT" (the process name, then the event). EVENT is one word with hyphens. */
void log_start(struct log_line *line, const char *event);
void log_text(struct log_line *line, const char *key, const char *value);	/* value NUL-ended; NULL adds nothing */
void log_bytes(struct log_line *line, const char *key, const void *value, size_t length);
void log_number(struct log_line *line, const char *key, uint64_t value);
void log_seconds(struct log_line *line, const char *key, uint64_t milliseconds);	/* printed as 1.234 */
/* Adds why="..." when there is text. */
void log_why(struct log_line *line, const struct why *why);
/* Puts the line into the process's log buffer, which the loop writes once a turn, and which is written
 * at once when it is full. Never waits: while nobody reads, 64 KB of lines are kept, those beyond are counted
 * and told by "NAME log-lost lines=N" once somebody reads again. */
void log_end(struct log_line *line);
/* Writes what standard error takes now. loop_run calls it before each wait. false: some of it waits for a reader. */
bool log_try_flush(void);
/* Writes out what is buffered; waits a second at most. For a program without a loop, and before an exit. */
void log_flush(void);

/* A whole line with only a reason: "queued unable-to-start why=...". Flushes at once. */
void log_failure(const char *event, const struct why *why);

#endif
