#include "tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum result fill_pair(struct tls_pair *pair, const char *certificate, const char *key, struct why *why)
{
	if (snprintf(pair->certificate, sizeof pair->certificate, "%s", certificate) >= (int)sizeof pair->certificate ||
	    snprintf(pair->key, sizeof pair->key, "%s", key) >= (int)sizeof pair->key)
		return why_set(why, RESULT_NEVER, "the path of a certificate is too long");
	return RESULT_OK;
}

enum result tls_pair_self_signed(const struct configuration *conf, struct tls_pair *pair, struct why *why)
{
	char keys[3072], certificate[4096], key[4096];

	if (!configuration_path(conf, "keys", keys, sizeof keys))
		return why_set(why, RESULT_NEVER, "the path of the keys is too long");
	snprintf(certificate, sizeof certificate, "%s/%s", keys, TLS_SELF_SIGNED_CERTIFICATE);
	snprintf(key, sizeof key, "%s/%s", keys, TLS_SELF_SIGNED_KEY);
	return fill_pair(pair, certificate, key, why);
}

static enum result find_self_signed(const struct configuration *conf, struct tls_pairs *pairs, struct why *why)
{
	enum result result = tls_pair_self_signed(conf, &pairs->items[0], why);

	if (result == RESULT_OK && access(pairs->items[0].certificate, F_OK) && errno == ENOENT)
		return RESULT_END;
	pairs->count = result == RESULT_OK;
	return result;
}

enum result tls_pairs_find(const struct configuration *conf, struct tls_pairs *pairs, struct why *why)
{
	size_t count = conf->tls_certificate.count;
	enum result result = RESULT_OK;

	*pairs = (struct tls_pairs){ calloc(count ? count : 1, sizeof *pairs->items), 0 };
	if (!pairs->items)
		return why_errno(why, RESULT_RETRY, "no memory for certificates");
	if (!count)
		result = find_self_signed(conf, pairs, why);
	for (; pairs->count < count && result == RESULT_OK; pairs->count++)
		result = fill_pair(&pairs->items[pairs->count], conf->tls_certificate.items[pairs->count],
		                   conf->tls_key.items[pairs->count], why);
	if (result != RESULT_OK)
		tls_pairs_free(pairs);
	return result;
}

void tls_pairs_free(struct tls_pairs *pairs)
{
	free(pairs->items);
	*pairs = (struct tls_pairs){ NULL, 0 };
}

/* ---- reading ---- */

static enum result read_all(int fd, const char *path, char *bytes, size_t size, size_t *length, struct why *why)
{
	ssize_t n = 1;

	for (*length = 0; *length < size && n > 0; *length += n > 0 ? (size_t)n : 0)
		n = read(fd, bytes + *length, size - *length);
	if (n < 0)
		return why_errno(why, result_of_errno(errno), "unable to read %s", path);
	if (*length == size)
		return why_set(why, RESULT_NEVER, "%s is longer than %d bytes", path, TLS_CERTIFICATE_FILE_MAX);
	bytes[*length] = 0;
	return RESULT_OK;
}

enum result tls_file_read(const char *path, char **bytes, size_t *length, struct why *why)
{
	enum { SIZE = TLS_CERTIFICATE_FILE_MAX + 1 };
	enum result result = RESULT_NEVER;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*bytes = NULL;
	if (fd < 0)
		return why_errno(why, result_of_errno(errno), "unable to open %s", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		why_set(why, RESULT_NEVER, "%s is not a file", path);
	else if (!(*bytes = malloc(SIZE)))
		result = why_errno(why, RESULT_RETRY, "no memory for %s", path);
	else
		result = read_all(fd, path, *bytes, SIZE, length, why);
	close(fd);
	if (result != RESULT_OK && *bytes) {
		explicit_bzero(*bytes, SIZE);
		free(*bytes);
		*bytes = NULL;
	}
	return result;
}

enum result tls_file_certificate(const char *path, char **bytes, size_t *length, struct tls_certificate *facts, struct why *why)
{
	struct why inner = { 0 };
	enum result result = tls_file_read(path, bytes, length, why);

	if (!*bytes)
		return result;
	if (memmem(*bytes, *length, "PRIVATE KEY-----", 16)) {
		explicit_bzero(*bytes, *length);
		result = why_set(why, RESULT_NEVER, "%s holds a private key: put the key into a file of its own", path);
	} else if ((result = tls_certificate_read(*bytes, *length, facts, &inner)) != RESULT_OK) {
		why_set(why, result, "%s: %s", path, inner.text);
	}
	if (result == RESULT_OK)
		return RESULT_OK;
	free(*bytes);
	*bytes = NULL;
	return result;
}
