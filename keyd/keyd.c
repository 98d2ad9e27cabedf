/* keyd: private keys and nothing else. Its opener hands it key files as open descriptors; others ask
 * it for signatures. No message of its pipes carries a key. A helper: smtpd, pop3d and tlsrpt start it. keyd(8). */
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "keys.h"
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct client { struct channel channel; };

static struct loop *loop;

static void send_frame(struct channel *channel, enum wire_type type, const struct wire_value *values)
{
	struct why why = { 0 };

	if (channel_send(channel, type, values, -1, &why) != RESULT_OK)
		log_failure("answer-dropped", &why);
}

/* ---- from the opener ---- */

static void log_key(const struct frame *f, const struct key_facts *facts, enum result result, const struct why *why)
{
	struct log_line line;

	if (!f->value[KEY_OPEN_NAME].length)
		return;
	log_start(&line, result == RESULT_OK ? "key-loaded" : "key-refused");
	log_bytes(&line, "file", f->value[KEY_OPEN_NAME].bytes, f->value[KEY_OPEN_NAME].length);
	log_text(&line, "purpose", f->value[KEY_OPEN_PURPOSE].number == KEY_DKIM ? "dkim" : "tls");
	log_text(&line, "type", facts->type_name);
	if (facts->bits)
		log_number(&line, "bits", facts->bits);
	log_why(&line, why);
	log_end(&line);
}

static void open_key(struct channel *channel, const struct frame *f)
{
	uint64_t generation = f->value[KEY_OPEN_GENERATION].number, purpose = f->value[KEY_OPEN_PURPOSE].number;
	struct key_facts facts = { .type_name = NULL };
	struct why why = { 0 };
	enum result result = RESULT_NEVER;

	keys_keep(generation, f->value[KEY_OPEN_KEEP].number);
	if (purpose == KEY_TLS || purpose == KEY_DKIM)
		result = keys_load(f->descriptor, (enum key_purpose)purpose, generation, &facts, &why);
	else
		why_set(&why, RESULT_NEVER, "no purpose of a key");
	close(f->descriptor);
	log_key(f, &facts, result, &why);
	const struct wire_value values[KEY_TELL_FIELDS] = {
		[KEY_TELL_GENERATION] = WIRE_NUMBER(generation),
		[KEY_TELL_INDEX] = WIRE_NUMBER(f->value[KEY_OPEN_INDEX].number),
		[KEY_TELL_VERDICT] = WIRE_NUMBER(result == RESULT_OK ? SIGN_OK : SIGN_REFUSED),
		[KEY_TELL_KEY] = WIRE_BYTES((const char *)facts.id, result == RESULT_OK ? sizeof facts.id : 0),
		[KEY_TELL_TYPE] = WIRE_NUMBER(facts.type),
		[KEY_TELL_WORDS] = WIRE_BYTES(why.text, strlen(why.text)),
	};
	send_frame(channel, FRAME_KEY_TELL, values);
}

static void opener_frame(struct channel *channel, struct frame *f)
{
	if (f->type == FRAME_KEY_OPEN)
		open_key(channel, f);
	else if (f->descriptor >= 0)
		close(f->descriptor);
}

/* ---- from those who need signatures ---- */

static void client_frame(struct channel *channel, struct frame *f)
{
	static struct key_signature signature;
	struct why why = { 0 };
	enum sign_verdict verdict;

	if (f->descriptor >= 0)
		close(f->descriptor);
	if (f->type != FRAME_SIGN_ASK)
		return;
	signature.length = 0;
	verdict = keys_sign(f->value[SIGN_ASK_KEY].bytes, f->value[SIGN_ASK_KEY].length,
	                    (enum key_purpose)f->value[SIGN_ASK_PURPOSE].number, f->value[SIGN_ASK_ALGORITHM].number,
	                    f->value[SIGN_ASK_DATA].bytes, f->value[SIGN_ASK_DATA].length, &signature, &why);
	if (verdict != SIGN_OK)
		log_failure("sign-refused", &why);
	const struct wire_value values[SIGN_TELL_FIELDS] = {
		[SIGN_TELL_SERIAL] = WIRE_NUMBER(f->value[SIGN_ASK_SERIAL].number),
		[SIGN_TELL_VERDICT] = WIRE_NUMBER(verdict),
		[SIGN_TELL_SIGNATURE] = WIRE_BYTES((const char *)signature.bytes, signature.length),
	};
	send_frame(channel, FRAME_SIGN_TELL, values);
}

static void lost(struct channel *channel, const struct why *why)
{
	struct client *client = container_of(channel, struct client, channel);

	(void)why;
	free(client);
}

/* Only the opener's own link may bring keys. */
static void greet(const char *peer, unsigned index, int fd)
{
	struct client *client = calloc(1, sizeof *client);
	struct why why = { 0 };

	(void)index;
	if (!client) {
		close(fd);
		return;
	}
	if (channel_open(&client->channel, loop, fd, strcmp(peer, "opener") ? client_frame : opener_frame, lost, &why) != RESULT_OK) {
		service_link_failed(&why);
		free(client);
	}
}

static void ended(void)
{
	loop_stop(loop);
}

static enum result enter_sandbox(struct why *why)
{
	struct identity identity;
	enum result result = sandbox_identity(ROLE_KEYD, &identity, why);

	if (result == RESULT_OK)
		result = sandbox_enter(ROLE_KEYD, &identity, NULL, 0, why);
	return result;
}

int main(int argc, char **argv)
{
	static const char usage[] =
		"usage: keyd [-c FILE]\n"
		"Makes signatures with private keys over pipes; started by smtpd, pop3d and tlsrpt, not by hand.\n";
	struct configuration *conf;
	struct why why = { 0 };
	enum result result;
	int exit_code;

	if (service_start(argc, argv, "keyd", usage, &conf, &exit_code) != RESULT_OK)
		return exit_code;
	result = loop_make(&loop, &why);
	if (result == RESULT_OK)
		result = service_join(loop, greet, ended, &why);
	if (result == RESULT_OK && gnutls_global_init() < 0)
		result = why_set(&why, RESULT_STOP, "unable to start GnuTLS");
	if (result == RESULT_OK)
		result = enter_sandbox(&why);
	if (result == RESULT_OK)
		result = loop_run(loop, &why);
	if (result == RESULT_OK)
		return EX_OK;
	log_failure("unable-to-run", &why);
	return EX_OSERR;
}
