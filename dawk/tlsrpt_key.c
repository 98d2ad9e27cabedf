#include "tlsrpt_key.h"

#include "command.h"
#include "layout.h"
#include "common/base64.h"
#include "common/file.h"
#include "common/tls.h"
#include "tlsrpt/sender.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	KEY_BITS = 2048,		/* RFC 8301 3.2: at least; more does not fit everybody's DNS */
	KEY_FILE_MAX = 65536,		/* as keyd has it */
	STRING_MAX = 255,		/* of a TXT record, RFC 1035 3.3.14 */
};

/* What has to be set for a key to have a place and a name. */
static int find_sender(const struct configuration *conf, struct sender *sender)
{
	struct why why = { 0 };

	if (!conf->tls_report_key)
		return command_fail("tlsrpt", EX_CONFIG, "%s has no tls-report-key: name the file there, as in \"tls-report-key = keys/tlsrpt.key\"",
		                    conf->file);
	if (sender_find(conf, sender, &why) != RESULT_OK)
		return command_fail("tlsrpt", EX_CONFIG, "%s", why.text);
	return EX_OK;
}

/* ---- the record ---- */

static void print_record(const struct sender *sender, const struct tls_public_key *key)
{
	char text[64 + BASE64_SIZE(TLS_PUBLIC_KEY_MAX)];
	size_t length = (size_t)snprintf(text, sizeof text, "v=DKIM1; k=%s; s=tlsrpt; p=", key->type == KEY_RSA ? "rsa" : "ed25519"), at;

	length += base64_encode(key->bytes, key->length, text + length);
	printf("%s. TXT", sender->record);
	for (at = 0; at < length; at += STRING_MAX)
		printf(" \"%.*s\"", STRING_MAX, text + at);
	putchar('\n');
}

static enum result read_public(const struct configuration *conf, struct tls_public_key *key, struct why *why)
{
	static char bytes[KEY_FILE_MAX];
	struct why inner = { 0 };
	ssize_t length;
	int fd;
	enum result result = sender_open_key(conf, &fd, why);

	if (result != RESULT_OK)
		return result;
	length = read(fd, bytes, sizeof bytes);
	close(fd);
	if (length < 0)
		return why_errno(why, RESULT_NEVER, "tls-report-key: unable to read %.150s", conf->tls_report_key);
	result = tls_public_key(bytes, (size_t)length, key, &inner);
	explicit_bzero(bytes, sizeof bytes);
	if (result != RESULT_OK)
		return why_set(why, result, "tls-report-key: %.100s: %s", conf->tls_report_key, inner.text);
	return RESULT_OK;
}

int tlsrpt_key_print_record(const struct configuration *conf)
{
	struct sender sender;
	struct tls_public_key key;
	struct why why = { 0 };
	enum result result;
	int code = find_sender(conf, &sender);

	if (code != EX_OK)
		return code;
	result = read_public(conf, &key, &why);
	if (result != RESULT_OK)
		return command_fail("tlsrpt", why.errno_value == EACCES ? EX_NOPERM : EX_CONFIG, "%s", why.text);
	if (!key.length)
		return command_fail("tlsrpt", EX_CONFIG, "tls-report-key: %s: Ed25519 and RSA keys sign mail, no others", conf->tls_report_key);
	if (key.type == KEY_RSA && key.bits < KEY_BITS)
		command_fail("tlsrpt", EX_OK, "%s has %u bits, %d are recommended (RFC 8301)", conf->tls_report_key, key.bits, KEY_BITS);
	print_record(&sender, &key);
	return EX_OK;
}

/* ---- making one ---- */

/* The name appears once the file is whole, and only where there is none: link(2) does not replace. */
static enum result write_key(int folder, const char *name, const char *key, struct why *why)
{
	char beside[NAME_MAX + 8];
	bool is_written;
	int fd;

	snprintf(beside, sizeof beside, "%.240s.%d", name, (int)getpid());
	fd = openat(folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_errno(why, RESULT_NEVER, "unable to make a file");
	is_written = file_write(fd, key, strlen(key)) && fchmod(fd, 0600) == 0 && fsync(fd) == 0;
	if (!is_written)
		why_errno(why, RESULT_NEVER, "unable to write it");
	close(fd);
	if (is_written && linkat(folder, beside, folder, name, 0)) {
		why_errno(why, RESULT_NEVER, "unable to name it");
		is_written = false;
	}
	unlinkat(folder, beside, 0);
	if (is_written && fsync(folder))
		return why_errno(why, RESULT_NEVER, "unable to make its folder durable");
	return is_written ? RESULT_OK : RESULT_NEVER;
}

/* The folder of PATH, made where it is missing, and the name in it. */
static enum result open_folder(const char *path, int *folder, const char **name, struct why *why)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	enum result result = RESULT_OK;

	snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
	*name = slash + 1;
	if (slash == path)
		snprintf(directory, sizeof directory, "/");
	else if (access(directory, F_OK))
		result = layout_make_directory(directory, 0700, why);
	if (result != RESULT_OK)
		return result;
	*folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *folder < 0 ? why_errno(why, RESULT_NEVER, "unable to open its folder") : RESULT_OK;
}

static enum result make(const char *path, struct why *why)
{
	const char *name;
	char *key;
	int folder;
	enum result result = open_folder(path, &folder, &name, why);

	if (result != RESULT_OK)
		return result;
	result = tls_rsa_key_make(KEY_BITS, &key, why);
	if (result == RESULT_OK) {
		result = write_key(folder, name, key, why);
		explicit_bzero(key, strlen(key));
		free(key);
	}
	close(folder);
	return result;
}

int tlsrpt_key_make(const struct configuration *conf)
{
	struct sender sender;
	struct stat st;
	struct why why = { 0 };
	int code = find_sender(conf, &sender);

	if (code != EX_OK)
		return code;
	if (lstat(conf->tls_report_key, &st) == 0)
		return command_fail("tlsrpt", EX_CANTCREAT, "%s is there already and stays as it is; `dawk tlsrpt --record` prints its record",
		                    conf->tls_report_key);
	if (make(conf->tls_report_key, &why) != RESULT_OK)
		return command_fail("tlsrpt", why.errno_value == EACCES ? EX_NOPERM : EX_CANTCREAT, "%s: %s", conf->tls_report_key, why.text);
	return tlsrpt_key_print_record(conf);
}
