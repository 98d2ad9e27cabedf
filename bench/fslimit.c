/* fslimit - what the file system allows for durable small files (5 kB by default).
 * usage: fslimit [-d DIR] [-s SIZE] [-n FILES] [-j THREADS] [-b BATCH] [-m METHODS]   prints one row per method: name threads files/s
 * BATCH (50, at most 512): how many files the methods that batch commit together. METHODS: the digits of those to run. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_MAX = 512, THREADS_MAX = 200 };
static const char *dir = ".";
static long nfiles = 4000, size = 5000, batch = 50;
static char *data;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t bar;

static void die(const char *s) { perror(s); exit(1); }

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int mk(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != size)
		die(name);
	return fd;
}

struct job { int method, id; long n; const char *base; };

static void many(struct job *j, int dfd)
{
	char a[300], b[300];
	int fds[BATCH_MAX];
	for (long i = 0; i < j->n; ) {
		snprintf(a, sizeof a, "%s/t%d/%ld", j->base, j->id, i);
		snprintf(b, sizeof b, "%s/q%d/%ld", j->base, j->id, i);
		int fd, k;
		switch (j->method) {
		case 0:         /* create, write, fsync */
		case 1:         /* the same, then rename and fsync of the target directory */
		case 2:         /* the same with link and unlink (maildir tmp to new), no directory fsync */
			fd = mk(a);
			if (fsync(fd))
				die("fsync");
			close(fd);
			if (j->method == 1 && (rename(a, b) || fsync(dfd)))
				die("rename");
			if (j->method == 2 && (link(a, b) || unlink(a)))
				die("link");
			i++;
			break;
		case 3:         /* BATCH files: start write-out of all, then fsync each */
		case 4:         /* BATCH files: one syncfs */
		case 5:         /* as 3, each renamed before its fsync, one directory fsync per batch */
		case 6:         /* as 3, then rename each, then one directory fsync: no name before its bytes */
		case 7:         /* as 4, then rename each, then one directory fsync */
			for (k = 0; k < batch && i + k < j->n; k++) {
				snprintf(a, sizeof a, "%s/t%d/%ld", j->base, j->id, i + k);
				fds[k] = mk(a);
				if (j->method != 4 && j->method != 7)
					sync_file_range(fds[k], 0, 0, SYNC_FILE_RANGE_WRITE);
				if (j->method == 5) {
					snprintf(b, sizeof b, "%s/q%d/%ld", j->base, j->id, i + k);
					if (rename(a, b))
						die("rename");
				}
			}
			if ((j->method == 4 || j->method == 7) && syncfs(fds[0]))
				die("syncfs");
			for (int m = 0; m < k; m++) {
				if (j->method != 4 && j->method != 7 && fsync(fds[m]))
					die("fsync");
				close(fds[m]);
			}
			for (int m = 0; j->method >= 6 && m < k; m++) {
				snprintf(a, sizeof a, "%s/t%d/%ld", j->base, j->id, i + m);
				snprintf(b, sizeof b, "%s/q%d/%ld", j->base, j->id, i + m);
				if (rename(a, b))
					die("rename");
			}
			if (j->method >= 5 && fsync(dfd))
				die("fsync");
			i += k;
			break;
		}
	}
}

/* journal: every thread appends a record; one fdatasync serves all that waited (group commit when shared) */
static int jfd;
static long written, synced;
static int syncing;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void journal(struct job *j)
{
	for (long i = 0; i < j->n; i++) {
		pthread_mutex_lock(&lock);
		if (pwrite(jfd, data, size, written * size) != size)
			die("pwrite");
		long mine = ++written;
		while (synced < mine) {
			if (syncing) {
				pthread_cond_wait(&cond, &lock);
				continue;
			}
			syncing = 1;
			long upto = written;
			pthread_mutex_unlock(&lock);
			if (fdatasync(jfd))
				die("fdatasync");
			pthread_mutex_lock(&lock);
			syncing = 0, synced = upto;
			pthread_cond_broadcast(&cond);
		}
		pthread_mutex_unlock(&lock);
	}
}

static void *run(void *p)
{
	struct job *j = p;
	char d[300];
	int dfd = -1;
	if (j->method < 8) {
		snprintf(d, sizeof d, "%s/t%d", j->base, j->id);
		mkdir(d, 0700);
		snprintf(d, sizeof d, "%s/q%d", j->base, j->id);
		mkdir(d, 0700);
		dfd = open(d, O_RDONLY | O_DIRECTORY);
	}
	pthread_barrier_wait(&bar);
	if (j->method < 8)
		many(j, dfd);
	else
		journal(j);
	return NULL;
}

int main(int argc, char **argv)
{
	static const char *name[] = { "create+write+fsync", "..+rename+dirfsync", "..+link+unlink", "batch sync_file_range+fsync",
		"batch syncfs", "batch s_f_r+rename+fsync+dirfsync",
		"batch s_f_r+fsync+rename+dirfsync", "batch syncfs+rename+dirfsync", "journal append+fdatasync", "journal preallocated" };
	const char *methods = "0123456789";
	int ch, only = 0, m, t;
	while ((ch = getopt(argc, argv, "d:s:n:j:b:m:")) != -1)
		switch (ch) {
		case 'd': dir = optarg; break;
		case 's': size = strtol(optarg, NULL, 10); break;
		case 'n': nfiles = strtol(optarg, NULL, 10); break;
		case 'j': only = strtol(optarg, NULL, 10); break;
		case 'b': batch = strtol(optarg, NULL, 10); break;
		case 'm': methods = optarg; break;
		default: return 2;
		}
	if (batch < 1 || batch > BATCH_MAX || only < 0 || only > THREADS_MAX)
		return 2;
	data = malloc(size);
	memset(data, 'x', size);
	for (m = 0; m < 10; m++)
		for (t = 0; t < 2 && strchr(methods, '0' + m); t++) {
			int threads = only ? only : t ? 50 : 1;
			if (only && t)
				break;
			char base[256], cmd[600];
			snprintf(base, sizeof base, "%s/fslimit.%d", dir, (int)getpid());
			if (mkdir(base, 0700))
				die(base);
			if (m >= 8) {
				snprintf(cmd, sizeof cmd, "%s/journal", base);
				jfd = open(cmd, O_RDWR | O_CREAT, 0600);
				written = synced = 0;
				if (m == 9) {   /* written once before, so that fdatasync has no metadata to log */
					for (long i = 0; i < nfiles + threads; i++)
						if (pwrite(jfd, data, size, i * size) != size)
							die("pwrite");
					fsync(jfd);
				}
			}
			sync();
			pthread_t th[THREADS_MAX];
			struct job jobs[THREADS_MAX];
			pthread_barrier_init(&bar, NULL, threads + 1);
			for (int i = 0; i < threads; i++) {
				jobs[i] = (struct job){ m, i, nfiles / threads, base };
				pthread_create(&th[i], NULL, run, &jobs[i]);
			}
			pthread_barrier_wait(&bar);
			double t0 = now();
			for (int i = 0; i < threads; i++)
				pthread_join(th[i], NULL);
			printf("%-38s %3d thr %8.0f files/s\n", name[m], threads, nfiles / threads * threads / (now() - t0));
			fflush(stdout);
			snprintf(cmd, sizeof cmd, "rm -rf '%s'", base);
			if (m >= 8)
				close(jfd);
			if (system(cmd))
				return 1;
		}
	return 0;
}
