/* Talks to keyd as its opener and as a worker would: key_ask KEYD CONF, then commands from standard
 * input, each answered by a line:
 *	open GENERATION KEEP PURPOSE FILE	-> told VERDICT KEY-IN-HEX WORDS (or its TYPE)
 *	sign PURPOSE ALGORITHM KEY DATA		-> signed VERDICT SIGNATURE (all in hex)
 *	smuggle FILE				a key on the worker's link; nothing is answered
 *	garbage					-> lost (the worker's link; a fresh one follows)
 *	pid					-> keyd's */
#include "common/service.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 5000, WORDS = 6 };

static struct channel control, opener, worker;
static struct why why;

static void link_to(struct channel *channel, const char *peer)
{
	struct wire_value values[CHANNEL_FIELDS] = { [CHANNEL_PEER] = WIRE_STRING(peer) };
	int ends[2];

	if (channel_pair(ends, &why) != RESULT_OK)
		exit(2);
	channel_send(&control, FRAME_CHANNEL, values, ends[1], &why);
	channel_flush(&control, &why);
	channel_open(channel, NULL, ends[0], NULL, NULL, &why);
}

static size_t from_hex(const char *hex, char *out, size_t size)
{
	size_t length = 0;
	unsigned byte;

	for (; length < size && sscanf(hex, "%2x", &byte) == 1 && strlen(hex) >= 2; hex += 2)
		out[length++] = (char)byte;
	return length;
}

static void print_hex(const struct wire_value *value)
{
	for (size_t i = 0; i < value->length; i++)
		printf("%02x", (unsigned char)value->bytes[i]);
}

static void send_key(struct channel *channel, char **word, const char *file)
{
	const struct wire_value values[KEY_OPEN_FIELDS] = {
		[KEY_OPEN_GENERATION] = WIRE_NUMBER(word ? strtoull(word[1], NULL, 10) : 1),
		[KEY_OPEN_KEEP] = WIRE_NUMBER(word ? strtoull(word[2], NULL, 10) : 1),
		[KEY_OPEN_PURPOSE] = WIRE_NUMBER(word ? strtoull(word[3], NULL, 10) : KEY_TLS),
		[KEY_OPEN_NAME] = WIRE_STRING(file),
	};
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	channel_send(channel, FRAME_KEY_OPEN, values, fd, &why);
	channel_flush(channel, &why);
}

static void open_key(char **word)
{
	struct frame f;

	send_key(&opener, word, word[4]);
	if (channel_wait(&opener, &f, ANSWER_MS, &why) != RESULT_OK || f.type != FRAME_KEY_TELL) {
		printf("silent\n");
		return;
	}
	printf("told %llu ", (unsigned long long)f.value[KEY_TELL_VERDICT].number);
	print_hex(&f.value[KEY_TELL_KEY]);
	if (f.value[KEY_TELL_VERDICT].number == SIGN_OK)
		printf(" %llu\n", (unsigned long long)f.value[KEY_TELL_TYPE].number);
	else
		printf(" %.*s\n", (int)f.value[KEY_TELL_WORDS].length, f.value[KEY_TELL_WORDS].bytes);
}

static void sign(char **word)
{
	static uint64_t serial;
	char key[WIRE_KEY_ID_MAX], data[1024];
	size_t key_length = from_hex(word[3], key, sizeof key), length = from_hex(word[4], data, sizeof data);
	const struct wire_value values[SIGN_ASK_FIELDS] = {
		[SIGN_ASK_SERIAL] = WIRE_NUMBER(++serial),
		[SIGN_ASK_PURPOSE] = WIRE_NUMBER(strtoull(word[1], NULL, 10)),
		[SIGN_ASK_ALGORITHM] = WIRE_NUMBER(strtoull(word[2], NULL, 10)),
		[SIGN_ASK_KEY] = WIRE_BYTES(key, key_length),
		[SIGN_ASK_DATA] = WIRE_BYTES(data, length),
	};
	struct frame f;

	channel_send(&worker, FRAME_SIGN_ASK, values, -1, &why);
	if (channel_wait(&worker, &f, ANSWER_MS, &why) != RESULT_OK || f.value[SIGN_TELL_SERIAL].number != serial) {
		printf("silent\n");
		return;
	}
	printf("signed %llu ", (unsigned long long)f.value[SIGN_TELL_VERDICT].number);
	print_hex(&f.value[SIGN_TELL_SIGNATURE]);
	printf("\n");
}

static void garbage(void)
{
	struct frame f;

	if (write(worker.fd, "\377\377\377\377garbage", 11) == 11 && channel_wait(&worker, &f, ANSWER_MS, &why) != RESULT_RETRY)
		printf("lost\n");
	channel_close(&worker);
	link_to(&worker, "worker");
}

static void run_command(char **word, pid_t keyd)
{
	if (!strcmp(word[0], "open"))
		open_key(word);
	else if (!strcmp(word[0], "sign"))
		sign(word);
	else if (!strcmp(word[0], "smuggle"))
		send_key(&worker, NULL, word[1]);
	else if (!strcmp(word[0], "garbage"))
		garbage();
	else if (!strcmp(word[0], "pid"))
		printf("%d\n", (int)keyd);
}

int main(int argc, char **argv)
{
	static char line[8192];
	int ends[2];
	pid_t keyd;

	if (argc != 3 || channel_pair(ends, &why) != RESULT_OK)
		return 2;
	keyd = fork();
	if (keyd == 0) {
		dup2(ends[1], SERVICE_CONTROL);
		execl(argv[1], argv[1], "-c", argv[2], (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	channel_open(&control, NULL, ends[0], NULL, NULL, &why);
	link_to(&opener, "opener");
	link_to(&worker, "worker");
	while (fgets(line, sizeof line, stdin)) {
		char *word[WORDS] = { "", "", "", "", "", "" }, *rest = line;
		for (int i = 0; i < WORDS && (word[i] = strtok_r(i ? NULL : line, " \n", &rest)); i++)
			;
		for (int i = 0; i < WORDS; i++)
			word[i] = word[i] ? word[i] : "";
		run_command(word, keyd);
		fflush(stdout);
	}
	channel_close(&control);
	waitpid(keyd, NULL, 0);
	return 0;
}
