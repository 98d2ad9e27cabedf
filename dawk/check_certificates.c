/* `dawk check`: certificates. See check.h. */
#include "cert.h"
#include "check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct certificates {
	struct check *check;
	bool is_own_name;		/* one of them is for the hostname */
	bool is_any, is_self_signed;
};

/* Does NAME, "*.example.org" or a host, stand for HOST (RFC 6125 6.4.3)? LENGTH bytes. */
static bool stands_for(const char *name, size_t length, const char *host)
{
	const char *dot = strchr(host, '.');

	if (length > 2 && name[0] == '*' && name[1] == '.' && dot)
		return strlen(dot) == length - 1 && !strncmp(name + 1, dot, length - 1);
	return strlen(host) == length && !strncmp(name, host, length);
}

static bool has_name(const struct tls_certificate *facts, const char *host)
{
	for (const char *at = facts->names; *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " ");
		if (stands_for(at, length, host))
			return true;
		at += length;
	}
	return false;
}

static void look_at(void *context, const struct cert_row *row)
{
	struct certificates *all = context;

	if (row->is_unknown) {
		check_hint("%s: only root can see whether its key fits", row->file);
	} else if (row->fault && !row->facts) {
		check_finding(all->check, "`dawk cert make` makes one that signs itself; tls-certificate and tls-key name others",
		              "%s: %s", row->file, row->fault);
	} else if (row->fault && row->is_fault) {
		check_finding(all->check, "renew it; services take new files up by themselves", "%s: %s", row->file, row->fault);
	} else if (row->fault) {
		check_finding(all->check, "renew it now, and see why nothing did so by itself", "%s: %lld days are left", row->file,
		              (long long)row->days_left);
	}
	if (!row->facts)
		return;
	all->is_any = true;
	all->is_self_signed = all->is_self_signed || row->facts->is_self_signed;
	all->is_own_name = all->is_own_name || has_name(row->facts, all->check->conf->hostname);
}

/* What lies there is as good as the accounts' passwords. */
static void check_key(struct check *check, const char *path)
{
	char mend[PATH_MAX + 32];
	struct stat st;

	if (stat(path, &st) != 0 || !(st.st_mode & 07))
		return;		/* one that is not there was told */
	snprintf(mend, sizeof mend, "chmod o= %s", path);
	check_finding(check, mend, "%s is a private key, and everybody may read or write it (mode %04o)", path,
	              (unsigned)st.st_mode & 07777);
}

/* One that `dawk tlsrpt` would stop at. */
static void check_report_key(struct check *check, const char *path)
{
	char mend[PATH_MAX + 32];
	struct stat st;

	if (stat(path, &st) != 0) {
		if (errno == ENOENT)
			check_finding(check, "`dawk tlsrpt --make-key` makes it", "%s is not there, so no reports of TLS are sent (tls-report-key)", path);
		return;
	}
	snprintf(mend, sizeof mend, "chmod 600 %s", path);
	if (st.st_mode & 077)
		check_finding(check, mend, "%s is a private key, and others may read or write it (mode %04o), so no reports of TLS are sent", path,
		              (unsigned)st.st_mode & 07777);
}

void check_certificates(struct check *check)
{
	const struct configuration *conf = check->conf;
	struct certificates all = { .check = check };

	cert_each(conf, look_at, &all);
	if (all.is_any && !all.is_own_name)
		check_hint("no certificate is for %s, by which this host calls itself", conf->hostname);
	if (all.is_self_signed)
		check_hint("a certificate signs itself: mail programs ask their users whether to trust it; INSTALL says how to get another");
	for (size_t i = 0; i < conf->tls_key.count; i++)
		check_key(check, conf->tls_key.items[i]);
	if (conf->tls_report_key)
		check_report_key(check, conf->tls_report_key);
}
