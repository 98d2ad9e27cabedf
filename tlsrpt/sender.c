#include "sender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum result sender_find(const struct configuration *conf, struct sender *sender, struct why *why)
{
	*sender = (struct sender){ .address = "" };
	if (conf->tls_report_contact)
		snprintf(sender->address, sizeof sender->address, "%s", conf->tls_report_contact);
	else
		snprintf(sender->address, sizeof sender->address, "postmaster@%s", conf->domains.items[0]);
	snprintf(sender->domain, sizeof sender->domain, "%s", strrchr(sender->address, '@') + 1);
	if (!conf->tls_report_key)
		return RESULT_OK;
	if (snprintf(sender->record, sizeof sender->record, "%s._domainkey.%s", conf->tls_report_selector, sender->domain) <
	    (int)sizeof sender->record && domain_is_valid(sender->record, strlen(sender->record)))
		return RESULT_OK;
	return why_set(why, RESULT_NEVER, "tls-report-key: the DNS can't hold the key of %.100s", sender->domain);
}

enum result sender_open_key(const struct configuration *conf, int *fd, struct why *why)
{
	const char *path = conf->tls_report_key;
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return why_errno(why, RESULT_NEVER, "tls-report-key: unable to open %.150s", path);
	if (fstat(*fd, &st) || !S_ISREG(st.st_mode))
		why_set(why, RESULT_NEVER, "tls-report-key: %.150s is not a file", path);
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		why_set(why, RESULT_NEVER, "tls-report-key: %.100s belongs to another account, so it is no secret: make a new one", path);
	else if (st.st_mode & 077)
		why_set(why, RESULT_NEVER, "tls-report-key: others may read or write %.100s, so it is no secret: chmod 600, or make a new one", path);
	else
		return RESULT_OK;
	close(*fd);
	*fd = -1;
	return RESULT_NEVER;
}
