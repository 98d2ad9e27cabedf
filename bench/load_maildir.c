/* mailload wait and mkbox: maildirs counted and filled. */
#include "load.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static long count_new(void)
{
	long total = 0;
	char path[4096];
	for (int u = 0; u < option.users; u++) {
		snprintf(path, sizeof path, "%s/u%d/new", option.dir, option.first_user + u);
		DIR *d = opendir(path);
		for (struct dirent *e; d && (e = readdir(d));)
			total += e->d_name[0] != '.';
		if (d)
			closedir(d);
	}
	return total;
}

int mode_wait(void)
{
	double begin = now();
	long n = 0;
	while ((n = count_new()) < option.n && now() - begin < option.timeout && !stopping)
		usleep(n < option.n * 9 / 10 ? 200000 : 50000);
	printf("wait: files=%ld end=%.3f\n", n, now());
	return n < option.n;
}

static void mkbox(int u)
{
	static const char *sub[] = { "", "/tmp", "/new", "/cur" };
	char path[4096], host[64] = "bench";
	struct conn c = { .msg = 0 };
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/u%d%s", option.dir, u, sub[i]);
		mkdir(path, 0700);
	}
	for (long i = 0; i < option.n; i++) {
		c.msg = i, c.out.len = c.out.off = 0;
		put_message(&c);
		size_t w = 0;           /* drop the dot, store LF line ends */
		for (size_t r = 0; r + 3 < c.out.len; r++)
			if (c.out.p[r] != '\r')
				c.out.p[w++] = c.out.p[r];
		snprintf(path, sizeof path, "%s/u%d/new/%ld.M%ldP%d.%s", option.dir, u, 1700000000 + i, i, u, host);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || write(fd, c.out.p, w) != (ssize_t)w || close(fd))
			die("%s", path);
	}
	free(c.out.p);
}

int mode_mkbox(void)
{
	make_body();
	for (int u = 0; u < option.users; u++)
		mkbox(option.first_user + u);
	return 0;
}
