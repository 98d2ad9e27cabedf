#include "password.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <stdbool.h>
#include <unistd.h>

/* One line without its end, byte by byte: what follows is not ours to take. */
static enum result read_line(int fd, char *out, struct why *why)
{
	size_t length = 0;
	for (;;) {
		char c;
		ssize_t got = read(fd, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return why_errno(why, RESULT_RETRY, "unable to read the password");
		if (got == 0 || c == '\n')
			break;
		if (!c || length == PASSWORD_MAX)
			return why_set(why, RESULT_NEVER, "a password has at most %d bytes and no NUL", PASSWORD_MAX);
		out[length++] = c;
	}
	if (length && out[length - 1] == '\r')
		length--;
	out[length] = 0;
	if (!length)
		return why_set(why, RESULT_NEVER, "an empty password is refused; give one at the prompt or as a line of standard input");
	return RESULT_OK;
}

static enum result ask(int terminal, const char *prompt, const char *address, char *out, struct why *why)
{
	struct termios before, silent;
	dprintf(terminal, "%s %s: ", prompt, address);
	if (tcgetattr(terminal, &before) < 0)
		return why_errno(why, RESULT_NEVER, "unable to switch the terminal's echo off");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	if (tcsetattr(terminal, TCSAFLUSH, &silent) < 0)
		return why_errno(why, RESULT_NEVER, "unable to switch the terminal's echo off");
	enum result result = read_line(terminal, out, why);
	tcsetattr(terminal, TCSAFLUSH, &before);
	dprintf(terminal, "\n");
	return result;
}

static enum result ask_twice(const char *address, char *out, struct why *why)
{
	char again[PASSWORD_MAX + 1];
	int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (terminal < 0)
		return why_errno(why, RESULT_NEVER, "unable to ask at the terminal");
	enum result result = ask(terminal, "password for", address, out, why);
	if (result == RESULT_OK)
		result = ask(terminal, "once more, for", address, again, why);
	if (result == RESULT_OK && strcmp(out, again))
		result = why_set(why, RESULT_NEVER, "the two passwords differ; nothing is changed");
	explicit_bzero(again, sizeof again);
	close(terminal);
	return result;
}

enum result password_read(const char *address, char *out, struct why *why)
{
	return isatty(STDIN_FILENO) ? ask_twice(address, out, why) : read_line(STDIN_FILENO, out, why);
}

enum result password_hash(const char *password, char *out, struct why *why)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *data = calloc(1, sizeof *data);
	if (!data)
		return why_set(why, RESULT_RETRY, "out of memory");
	const char *hash = NULL;
	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting))
		hash = crypt_rn(password, setting, data, sizeof *data);
	bool is_made = hash && snprintf(out, PASSWORD_HASH_MAX, "%s", hash) < PASSWORD_HASH_MAX;
	explicit_bzero(data, sizeof *data);
	free(data);
	return is_made ? RESULT_OK : why_set(why, RESULT_NEVER, "this system's crypt(3) can't make a yescrypt hash");
}
