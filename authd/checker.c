/* A checker: crypt(3) and nothing else, in a process without rights. */
#include "authd/starter.h"
#include "common/channel.h"
#include "common/log.h"
#include "common/sandbox.h"

#include <crypt.h>
#include <string.h>
#include <sysexits.h>

static bool is_same(const char *a, const char *b)
{
	size_t length = strlen(a);
	unsigned char difference = 0;

	if (length != strlen(b))
		return false;
	for (size_t i = 0; i < length; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return !difference;
}

/* Methods that fall to a guess within minutes (DES, $1$) are refused. */
static bool is_strong(const char *hash)
{
	switch (crypt_checksalt(hash)) {
	case CRYPT_SALT_INVALID:
	case CRYPT_SALT_METHOD_DISABLED:
	case CRYPT_SALT_METHOD_LEGACY:
		return false;
	default:
		return true;
	}
}

static bool matches(struct crypt_data *data, const struct frame *f)
{
	char hash[513], secret[1025];
	const char *made;
	bool is_match = false;

	if (frame_value_copy(f, CHECK_ASK_HASH, hash, sizeof hash) &&
	    frame_value_copy(f, CHECK_ASK_SECRET, secret, sizeof secret) && is_strong(hash)) {
		made = crypt_rn(secret, hash, data, (int)sizeof *data);
		is_match = made && is_same(made, hash);
	}
	explicit_bzero(secret, sizeof secret);
	explicit_bzero(data, sizeof *data);
	return is_match;
}

static enum result enter(struct why *why)
{
	struct identity identity;
	enum result result = sandbox_identity(ROLE_CHECKER, &identity, why);

	return result == RESULT_OK ? sandbox_enter(ROLE_CHECKER, &identity, NULL, 0, why) : result;
}

int checker_run(int fd)
{
	static struct crypt_data data;	/* 32 KB, too much for a stack */
	struct channel channel;
	struct why why = { 0 };
	struct frame f;

	log_open("authd");
	if (enter(&why) != RESULT_OK || channel_open(&channel, NULL, fd, NULL, NULL, &why) != RESULT_OK) {
		log_failure("no-checker", &why);
		return EX_OSERR;
	}
	while (channel_wait(&channel, &f, -1, &why) == RESULT_OK) {
		struct wire_value values[CHECK_TELL_FIELDS] = { WIRE_NUMBER(f.value[CHECK_ASK_SERIAL].number) };

		if (f.type != FRAME_CHECK_ASK)
			break;
		values[CHECK_TELL_MATCH].number = matches(&data, &f);
		if (channel_send(&channel, FRAME_CHECK_TELL, values, -1, &why) != RESULT_OK)
			break;
	}
	return EX_OK;
}
