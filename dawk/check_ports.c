/* `dawk check`: ports. See check.h. */
#include "check.h"
#include "command.h"
#include "common/text.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_LISTEN = 0x0a };

enum { FIELD_LOCAL = 1, FIELD_STATE = 3, FIELD_INODE = 9, FIELDS };	/* of a line of net/tcp, proc(5) */

/* "0100007F", or four such words for IPv6, each in this machine's order of bytes. */
static bool read_address(const char *hex, size_t length, struct address_ip *ip)
{
	char digits[9];

	if (length != 8 && length != 32)
		return false;
	*ip = (struct address_ip){ .family = length == 8 ? 4 : 6 };
	for (size_t i = 0; i < length / 8; i++) {
		snprintf(digits, sizeof digits, "%.8s", hex + 8 * i);
		uint32_t word = (uint32_t)strtoul(digits, NULL, 16);
		memcpy(ip->bytes + 4 * i, &word, sizeof word);
	}
	ip_unmap(ip);
	return true;
}

/* Every address that B could be: "[::]" has those of IPv4, too. */
static bool has_all_of(const struct address_ip *a, const struct address_ip *b)
{
	static const struct address_ip none;

	return memcmp(a->bytes, none.bytes, sizeof a->bytes) == 0 && (a->family == 6 || b->family == 4);
}

/* Where a listener wants to be. */
struct place_wanted { struct address_ip ip; uint16_t port; };

/* "sl local:port remote:port state ...": is it a listener in the way of one at WANTED? */
static bool read_listener(const char *line, const struct place_wanted *wanted, unsigned long *inode)
{
	const char *at = line, *end = line + strlen(line), *field[FIELDS], *colon;
	struct address_ip ip;
	size_t length;

	for (int i = 0; i < FIELDS; i++)
		if (!text_next_word(&at, end, &field[i], &length))
			return false;
	colon = memchr(field[FIELD_LOCAL], ':', (size_t)(field[FIELD_LOCAL + 1] - field[FIELD_LOCAL]));
	if (!colon || strtoul(colon + 1, NULL, 16) != wanted->port || strtoul(field[FIELD_STATE], NULL, 16) != STATE_LISTEN)
		return false;
	*inode = strtoul(field[FIELD_INODE], NULL, 10);
	return read_address(field[FIELD_LOCAL], (size_t)(colon - field[FIELD_LOCAL]), &ip) &&
	       (ip_equal(&ip, &wanted->ip) || has_all_of(&ip, &wanted->ip) || has_all_of(&wanted->ip, &ip));
}

/* The inode of the socket that is in the way at WANTED, out of FILE. */
static bool find_inode_in(const char *file, const struct place_wanted *wanted, unsigned long *inode)
{
	FILE *table = fopen(file, "re");
	char line[512];
	bool found = false;

	while (table && !found && fgets(line, sizeof line, table))
		found = read_listener(line, wanted, inode);
	if (table)
		fclose(table);
	return found;
}

static bool has_inode(const char *process, unsigned long inode)
{
	char path[64], wanted[64], link[64];
	DIR *directory;
	const struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%.20s/fd", process);
	snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
	directory = opendir(path);
	while (directory && !found && (entry = readdir(directory)) != NULL) {
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, link, sizeof link - 1);
		if (length > 0) {
			link[length] = '\0';
			found = strcmp(link, wanted) == 0;
		}
	}
	if (directory)
		closedir(directory);
	return found;
}

/* The program that holds the socket INODE: its path. false: none that we may see. */
static bool find_program(unsigned long inode, char *program, size_t size, char *pid, size_t pid_size)
{
	DIR *directory = opendir("/proc");
	const struct dirent *entry;
	char path[64];
	ssize_t length = -1;

	while (directory && length < 0 && (entry = readdir(directory)) != NULL) {
		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) || !has_inode(entry->d_name, inode))
			continue;
		snprintf(path, sizeof path, "/proc/%.20s/exe", entry->d_name);
		snprintf(pid, pid_size, "%.20s", entry->d_name);
		length = readlink(path, program, size - 1);
	}
	if (directory)
		closedir(directory);
	if (length < 0)
		return false;
	program[length] = '\0';
	return true;
}

/* An upgrade leaves "PATH (deleted)" until the restart: still ours. */
static bool is_ours(const char *program, const char *name)
{
	char directory[PATH_MAX], ours[PATH_MAX + 32];

	if (command_programs_directory(directory, sizeof directory, NULL) != RESULT_OK)
		return false;
	snprintf(ours, sizeof ours, "%s/%s", directory, name);
	return strncmp(program, ours, strlen(ours)) == 0;
}

static void check_listener(struct check *check, const char *name, const char *daemon, const struct listener *listener)
{
	struct place_wanted wanted;
	struct why why;
	unsigned long inode;
	char program[PATH_MAX], pid[32], mend[512];
	int fd;

	if (listener_open(&listener->address, listener->size, &fd, &why) == RESULT_OK) {
		close(fd);
		return;
	}
	snprintf(mend, sizeof mend, "stop what holds it, or choose another one with %s", name);
	ip_from_sockaddr((const struct sockaddr *)&listener->address, &wanted.ip, &wanted.port);
	if (!find_inode_in("/proc/net/tcp", &wanted, &inode) && !find_inode_in("/proc/net/tcp6", &wanted, &inode)) {
		check_finding(check, mend, "%s: unable to %s", name, why.text);
		return;
	}
	if (!find_program(inode, program, sizeof program, pid, sizeof pid))
		check_hint("%s %s is in use; only root can see by which program", name, listener->text);
	else if (!is_ours(program, daemon))
		check_finding(check, mend, "%s %s is in use by %s (process %s)", name, listener->text, program, pid);
}

void check_ports(struct check *check)
{
	const struct configuration *conf = check->conf;
	const struct { const char *name, *daemon; const struct listener_list *list; } rows[] = {
		{ "listen-smtp", "smtpd", &conf->listen_smtp },
		{ "listen-submission", "smtpd", &conf->listen_submission },
		{ "listen-submissions", "smtpd", &conf->listen_submissions },
		{ "listen-pop3", "pop3d", &conf->listen_pop3 },
		{ "listen-pop3s", "pop3d", &conf->listen_pop3s },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t j = 0; j < rows[i].list->count; j++)
			check_listener(check, rows[i].name, rows[i].daemon, &rows[i].list->items[j]);
}
