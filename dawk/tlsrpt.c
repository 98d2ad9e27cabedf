/* dawk tlsrpt: the daily reports of TLS to other domains. The work is done by a program of its own. */
#include "command.h"
#include "tlsrpt_key.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run_program(struct configuration *conf, int argc, char **argv)
{
	char directory[PATH_MAX], program[PATH_MAX + 8];
	char **arguments = calloc((size_t)argc + 3, sizeof *arguments);
	struct why why = { 0 };
	enum result result = command_programs_directory(directory, sizeof directory, &why);

	if (result != RESULT_OK || !arguments) {
		free(arguments);
		return result != RESULT_OK ? command_fail_why("tlsrpt", result, &why) : command_fail("tlsrpt", EX_TEMPFAIL, "no memory");
	}
	snprintf(program, sizeof program, "%s/tlsrpt", directory);
	arguments[0] = program;
	arguments[1] = "-c";
	arguments[2] = conf->file;
	memcpy(arguments + 3, argv + 1, (size_t)argc * sizeof *arguments);	/* with the NULL at their end */
	fflush(stdout);
	execv(program, arguments);
	free(arguments);
	return command_fail("tlsrpt", EX_UNAVAILABLE, "unable to run %s: %s", program, strerror(errno));
}

/* What has to do with the key alone, and with nobody's network, is done here. */
int command_tlsrpt(struct configuration *conf, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool makes = !strcmp(argv[i], "--make-key");
		if ((makes || !strcmp(argv[i], "--record")) && argc > 2)
			return command_usage("tlsrpt", "%s goes with nothing else", argv[i]);
		if (makes || !strcmp(argv[i], "--record"))
			return makes ? tlsrpt_key_make(conf) : tlsrpt_key_print_record(conf);
	}
	return run_program(conf, argc, argv);
}
