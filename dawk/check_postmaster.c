/* `dawk check`: every local domain takes mail for its postmaster (RFC 5321 4.5.1). See check.h. */
#include "check.h"
#include "common/resolve.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* As smtpd would have it; what can't be known now is no finding. */
static bool is_taken(struct resolver *resolver, const struct address *address)
{
	struct meaning_of meaning;
	struct why why;
	char home[PATH_MAX];

	resolve(resolver, address, &meaning, &why);
	if (meaning.meaning == MEANS_UNKNOWN && meaning.maybe_system) {
		if (resolve_system_account("postmaster", &meaning, home, &why) != RESULT_END)
			return true;
		resolve_catch_all(resolver, address, &meaning, &why);
	}
	return meaning.meaning != MEANS_UNKNOWN;
}

static void check_domain(struct check *check, struct resolver *resolver, const char *domain)
{
	char text[ADDRESS_MAX + 16], mend[PATH_MAX + ADDRESS_MAX + 128];
	struct address address;
	int length = snprintf(text, sizeof text, "postmaster@%s", domain);

	if (address_parse(text, (size_t)length, &address, NULL) != RESULT_OK || is_taken(resolver, &address))
		return;
	snprintf(mend, sizeof mend, "a line `postmaster: ADDRESS` in %s holds for all domains, then `dawk update`; or `dawk user add %s`",
	         check->conf->aliases, text);
	check_finding(check, mend, "%s is no mailbox and no alias: mail for it is refused, which no domain may do (RFC 5321 4.5.1)", text);
}

void check_postmaster(struct check *check)
{
	const struct configuration *conf = check->conf;
	struct table_directory *tables;
	struct resolver *resolver = NULL;
	struct why why;
	char path[PATH_MAX];

	if (!configuration_path(conf, "tables", path, sizeof path) || table_directory_open(path, &tables, &why) != RESULT_OK)
		return;		/* told with the tables */
	if (resolver_make(conf, tables, &resolver, &why) == RESULT_OK)
		for (size_t i = 0; i < conf->domains.count; i++)
			check_domain(check, resolver, conf->domains.items[i]);
	resolver_free(resolver);
	table_directory_close(tables);
}
