#include "password.h"
#include "common/text.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <stdbool.h>
#include <unistd.h>

static volatile sig_atomic_t caught;	/* a signal that came while the echo was off; 0 */

static void note_signal(int number)
{
	caught = number;
}

/* Waits for a byte. The signals that are blocked may come here and nowhere else, so that none is missed. */
static bool wait_for_input(int fd, const sigset_t *while_waiting)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	while (!caught && ppoll(&waiting, 1, NULL, while_waiting) < 0)
		if (errno != EINTR)
			return false;
	return !caught;
}

/* One line without its end, byte by byte: what follows is not ours to take. */
static enum result read_line(int fd, const sigset_t *while_waiting, char *out, struct why *why)
{
	size_t length = 0;
	for (;;) {
		char c;
		if (while_waiting && !wait_for_input(fd, while_waiting))
			return why_set(why, RESULT_NEVER, "interrupted; nothing is changed");
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

static const int ending_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
enum { ENDING_SIGNALS = sizeof ending_signals / sizeof *ending_signals };

/* Who ends the program at the prompt finds the terminal as it was. The signals come while read_line waits, and
 * take effect when the echo is on. */
static enum result read_silent(int terminal, const struct termios *silent, const struct termios *before, char *out, struct why *why)
{
	struct sigaction old[ENDING_SIGNALS], note = { .sa_handler = note_signal };
	sigset_t ending, mask;
	caught = 0;
	sigemptyset(&ending);
	for (int i = 0; i < ENDING_SIGNALS; i++) {
		sigaddset(&ending, ending_signals[i]);
		sigaction(ending_signals[i], &note, &old[i]);
	}
	sigprocmask(SIG_BLOCK, &ending, &mask);
	enum result result = RESULT_NEVER;
	if (tcsetattr(terminal, TCSAFLUSH, silent) < 0)
		why_errno(why, RESULT_NEVER, "unable to switch the terminal's echo off");
	else
		result = read_line(terminal, &mask, out, why);
	tcsetattr(terminal, TCSAFLUSH, before);
	for (int i = 0; i < ENDING_SIGNALS; i++)
		sigaction(ending_signals[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (caught)
		raise(caught);
	return result;
}

static enum result ask(int terminal, const char *prompt, const char *address, char *out, struct why *why)
{
	struct termios before, silent;
	dprintf(terminal, "%s %s: ", prompt, address);
	if (tcgetattr(terminal, &before) < 0)
		return why_errno(why, RESULT_NEVER, "unable to switch the terminal's echo off");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	enum result result = read_silent(terminal, &silent, &before, out, why);
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
	return isatty(STDIN_FILENO) ? ask_twice(address, out, why) : read_line(STDIN_FILENO, NULL, out, why);
}

static enum result make_hash(const char *password, const char *method, unsigned long cost, char *out, struct why *why)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *data = calloc(1, sizeof *data);
	if (!data)
		return why_set(why, RESULT_RETRY, "out of memory");
	const char *hash = NULL;
	if (crypt_gensalt_rn(method, cost, NULL, 0, setting, sizeof setting))
		hash = crypt_rn(password, setting, data, sizeof *data);
	bool is_made = hash && snprintf(out, PASSWORD_HASH_MAX, "%s", hash) < PASSWORD_HASH_MAX;
	explicit_bzero(data, sizeof *data);
	free(data);
	return is_made ? RESULT_OK : why_set(why, RESULT_NEVER, "this system's crypt(3) can't make a hash of method %s", method);
}

enum result password_hash(const char *password, char *out, struct why *why)
{
	return make_hash(password, "$y$", 0, out, why);
}

enum result password_make(char *out, char *hash, struct why *why)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";	/* none that look alike */
	enum { GROUPS = 5, GROUP = 4 };
	for (int i = 0; i < GROUPS * (GROUP + 1); i++)
		out[i] = i % (GROUP + 1) == GROUP ? '-' : letters[random_below(sizeof letters - 1)];
	out[GROUPS * (GROUP + 1) - 1] = '\0';
	return make_hash(out, "$6$", 1000, hash, why);
}

/* Those of DES have no '$' in front; crypt(3) would take any two letters for the salt of one. */
static bool is_des(const char *hash, size_t length)
{
	static const char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	return length == 13 ? strspn(hash, letters) == length : length == 20 && *hash == '_' && strspn(hash + 1, letters) == length - 1;
}

enum hash_worth password_judge_hash(const char *hash, size_t length)
{
	char copy[CRYPT_OUTPUT_SIZE];
	if (!length || *hash == '*' || *hash == '!')
		return HASH_NONE;
	if (length >= sizeof copy)
		return HASH_WRONG;
	memcpy(copy, hash, length);
	copy[length] = '\0';
	if (*copy != '$')
		return is_des(copy, length) ? HASH_WEAK : HASH_WRONG;
	int salt = crypt_checksalt(copy);
	return salt == CRYPT_SALT_INVALID ? HASH_WRONG : salt == CRYPT_SALT_METHOD_LEGACY ? HASH_WEAK : HASH_GOOD;
}
