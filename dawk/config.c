/* dawk config: the values in force and where each comes from. */
#include "command.h"

#include <stdio.h>
#include <string.h>

struct search {
	const char *name;	/* NULL: all */
	bool is_found;
};

static void print_row(void *context, const char *name, const char *value, const char *origin, const char *help)
{
	struct search *search = context;
	(void)help;
	if (!search->name) {
		printf("%-20s = %-36s # %s\n", name, value, origin);
	} else if (!strcmp(name, search->name)) {
		search->is_found = true;
		printf("%s\n", value);
	}
}

int command_config(struct configuration *conf, int argc, char **argv)
{
	struct search search = { .name = argc > 1 ? argv[1] : NULL };
	if (argc > 2)
		return command_usage("config", "one name at most");
	configuration_rows(conf, print_row, &search);
	if (search.name && !search.is_found)
		return command_fail("config", EX_USAGE, "there is no '%s' in the configuration; `dawk config` lists all names", search.name);
	return EX_OK;
}
