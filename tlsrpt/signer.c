#include "signer.h"

#include "common/dkim.h"
#include "dawk/helper.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What RFC 6376 5.4.1 names and we have, and what RFC 8460 and RFC 8689 read in a header. */
static const char *const signed_names[] = {
	"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
	"TLS-Report-Domain", "TLS-Report-Submitter", "TLS-Required", NULL,
};

/* ---- keyd ---- */

/* Where nothing can be said to keyd it is gone. */
static enum result join(struct signer *signer, const char *peer, int *end, struct why *why)
{
	enum result result = helper_link(&signer->control, peer, end, why);

	return result == RESULT_PEER ? why_set(why, RESULT_RETRY, "keyd has ended") : result;
}

/* The next frame of TYPE, whose first field is NUMBER. */
static enum result wait_for(struct channel *channel, enum wire_type type, uint64_t number, struct frame *f, struct why *why)
{
	uint64_t until = time_monotonic_ms() + SIGNER_MS, now;

	while ((now = time_monotonic_ms()) < until) {
		enum result result = channel_wait(channel, f, (int)(until - now), why);
		if (result == RESULT_RETRY)
			break;
		if (result != RESULT_OK)
			return why_set(why, RESULT_RETRY, "keyd has ended");
		if (f->descriptor >= 0)
			close(f->descriptor);
		if (f->type == type && f->value[0].number == number)
			return RESULT_OK;
	}
	return why_set(why, RESULT_RETRY, "keyd did not answer within %d s", SIGNER_MS / 1000);
}

static enum result take_key(struct signer *signer, const struct frame *f, const char *path, struct why *why)
{
	const struct wire_value *key = &f->value[KEY_TELL_KEY], *words = &f->value[KEY_TELL_WORDS];

	if (f->value[KEY_TELL_VERDICT].number != SIGN_OK || key->length != sizeof signer->key)
		return why_set(why, RESULT_NEVER, "tls-report-key: %.100s: %.*s", path, (int)words->length, words->bytes);
	memcpy(signer->key, key->bytes, sizeof signer->key);
	signer->algorithm = f->value[KEY_TELL_TYPE].number == KEY_ED25519 ? SIGN_ED25519 : SIGN_RSA_SHA256;
	return RESULT_OK;
}

/* FD, the key's file, goes to keyd, by a pipe that lives no longer than that. */
static enum result hand_over(struct signer *signer, int fd, const char *path, struct why *why)
{
	const struct wire_value values[KEY_OPEN_FIELDS] = {
		[KEY_OPEN_GENERATION] = WIRE_NUMBER(1), [KEY_OPEN_KEEP] = WIRE_NUMBER(1),
		[KEY_OPEN_PURPOSE] = WIRE_NUMBER(KEY_DKIM), [KEY_OPEN_NAME] = WIRE_BYTES("", 0),
	};
	struct channel opener;
	struct frame f;
	int end;
	enum result result = join(signer, "opener", &end, why);

	if (result == RESULT_OK)
		result = channel_open(&opener, NULL, end, NULL, NULL, why);
	if (result != RESULT_OK) {
		close(fd);
		return result;
	}
	result = channel_send(&opener, FRAME_KEY_OPEN, values, fd, why);
	if (result == RESULT_OK)
		result = wait_for(&opener, FRAME_KEY_TELL, 1, &f, why);
	if (result == RESULT_OK)
		result = take_key(signer, &f, path, why);
	channel_close(&opener);
	return result;
}

enum result signer_start(struct signer *signer, const struct configuration *conf, const struct sender *sender, struct why *why)
{
	enum result result;
	int fd, end;

	*signer = (struct signer){ .domain = sender->domain, .selector = conf->tls_report_selector, .control.fd = -1, .keyd.fd = -1 };
	if (!conf->tls_report_key)
		return RESULT_OK;
	result = sender_open_key(conf, &fd, why);
	if (result != RESULT_OK)
		return result;
	result = helper_start("keyd", conf->file, &signer->control, &signer->pid, why);
	if (result == RESULT_OK)
		result = join(signer, "tlsrpt", &end, why);
	if (result == RESULT_OK)
		result = channel_open(&signer->keyd, NULL, end, NULL, NULL, why);
	if (result == RESULT_OK)
		result = hand_over(signer, fd, conf->tls_report_key, why);
	else
		close(fd);
	if (result != RESULT_OK)
		signer_stop(signer);
	return result;
}

/* It ends by itself once its control pipe does: this process has no right to kill it. Its end of the other pipe closes
 * when it is gone; one that hangs is not waited for. */
void signer_stop(struct signer *signer)
{
	struct frame f;
	struct why why;
	bool is_gone = false;

	channel_close(&signer->control);
	if (signer->keyd.fd >= 0) {
		is_gone = channel_wait(&signer->keyd, &f, SIGNER_MS, &why) == RESULT_END;
		channel_close(&signer->keyd);
	}
	if (signer->pid > 0)
		waitpid(signer->pid, NULL, is_gone ? 0 : WNOHANG);
	signer->pid = 0;
}

static enum result ask(struct signer *signer, const unsigned char hash[DKIM_HASH_SIZE], struct frame *f, struct why *why)
{
	const struct wire_value values[SIGN_ASK_FIELDS] = {
		[SIGN_ASK_SERIAL] = WIRE_NUMBER(++signer->serial),
		[SIGN_ASK_PURPOSE] = WIRE_NUMBER(KEY_DKIM),
		[SIGN_ASK_ALGORITHM] = WIRE_NUMBER(signer->algorithm),
		[SIGN_ASK_KEY] = WIRE_BYTES((const char *)signer->key, sizeof signer->key),
		[SIGN_ASK_DATA] = WIRE_BYTES((const char *)hash, DKIM_HASH_SIZE),
	};
	enum result result = channel_send(&signer->keyd, FRAME_SIGN_ASK, values, -1, why);

	if (result == RESULT_OK)
		result = wait_for(&signer->keyd, FRAME_SIGN_TELL, signer->serial, f, why);
	if (result == RESULT_OK && (f->value[SIGN_TELL_VERDICT].number != SIGN_OK || !f->value[SIGN_TELL_SIGNATURE].length))
		result = why_set(why, RESULT_RETRY, "keyd makes no signature");
	return result;
}

/* ---- the message ---- */

static bool start_field(const struct signer *signer, const stralloc *message, stralloc *field, unsigned char hash[DKIM_HASH_SIZE])
{
	const struct dkim_wish wish = {
		.domain = signer->domain, .selector = signer->selector, .algorithm = signer->algorithm,
		.now_seconds = time_real_us() / 1000000, .names = signed_names,
	};
	const char *empty = memmem(message->s, message->len, "\r\n\r\n", 4);
	size_t header = empty ? (size_t)(empty - message->s) + 2 : message->len, skip = empty ? 2 : 0;
	unsigned char body_hash[DKIM_HASH_SIZE];
	struct dkim_body body;

	dkim_body_start(&body);
	dkim_body_add(&body, message->s + header + skip, message->len - header - skip);
	dkim_body_end(&body, body_hash);
	return dkim_field_start(&wish, message->s, header, body_hash, field, hash);
}

enum result signer_sign(struct signer *signer, stralloc *message, struct why *why)
{
	unsigned char hash[DKIM_HASH_SIZE];
	stralloc field = { 0 };
	struct why inner = { 0 };
	struct frame f;
	enum result result = RESULT_OK;

	if (!signer->pid)
		return RESULT_OK;
	if (!start_field(signer, message, &field, hash))
		result = why_set(why, RESULT_RETRY, "no memory for a signature");
	else if (ask(signer, hash, &f, &inner) != RESULT_OK)
		result = why_set(why, RESULT_RETRY, "it can't be signed: %s", inner.text);
	else if (!dkim_field_end(&field, f.value[SIGN_TELL_SIGNATURE].bytes, f.value[SIGN_TELL_SIGNATURE].length) ||
	         !text_append(&field, message->s, message->len))
		result = why_set(why, RESULT_RETRY, "no memory for a signature");
	if (result == RESULT_OK) {
		stralloc_free(message);
		*message = field;
	} else {
		stralloc_free(&field);
	}
	return result;
}
