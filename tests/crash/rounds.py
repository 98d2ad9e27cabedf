#!/usr/bin/python3
"""rounds.py BIN POINTS deaths|refusals [--points N] [--from N] [--step N] [--service NAME]..: an instance of its own in a
temporary folder, each service under `points`; rounds of mail, and in each round one thing goes wrong:

  deaths	a process is killed at a system call that touches queue or mailbox, one call further each round
  refusals	a system call fails, each of those that the service makes with each error that it can give

After each round all that was answered 250 is accounted for, and the service takes and delivers mail again. Prints the counts;
exit code 1 when anything was lost, cut, or stuck."""
import argparse
import asyncio
import glob
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import account  # noqa: E402
import crash_mail  # noqa: E402
import load  # noqa: E402

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool")
SECRET = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
PATIENCE = 100	# seconds that a busy machine may take
DISK = ["ENOSPC", "EIO", "EDQUOT"]
# What a call can give, whatever it touches.
ERRORS = {
    "openat": ["EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EIO", "EDQUOT", "EINTR", "EROFS"], "mkdirat": DISK, "mkdir": DISK,
    "unlinkat": ["EIO", "EROFS"], "unlink": ["EIO"], "renameat": DISK, "renameat2": DISK + ["EROFS"],
    "write": DISK + ["EINTR", "EAGAIN", "EPIPE"], "writev": DISK + ["EINTR", "EAGAIN", "EPIPE"], "pwrite64": DISK + ["EINTR"], "fsync": DISK,
    "sync_file_range": DISK, "ftruncate": ["EIO", "EINTR"], "utimensat": ["EIO", "EROFS"], "fchmod": ["EIO"], "fchown": DISK,
    "read": ["EIO", "EINTR", "EAGAIN"], "pread64": ["EIO", "EINTR", "ENOMEM"], "fstat": ["EIO", "ENOMEM"],
    "newfstatat": ["EIO", "ENOMEM"], "faccessat2": ["EIO"], "faccessat": ["EIO"], "getdents64": ["EIO", "ENOMEM"], "lseek": ["EIO"],
    "flock": ["EINTR", "EAGAIN"], "fcntl": ["EAGAIN", "EINTR"], "close": ["EIO", "EINTR"], "mmap": ["ENOMEM", "EAGAIN"], "brk": ["ENOMEM"],
    "mprotect": ["ENOMEM"], "munmap": ["ENOMEM"], "socket": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"], "socketpair": ["EMFILE", "ENOMEM"],
    "accept4": ["EMFILE", "ENFILE", "ENOMEM", "EINTR", "EAGAIN", "ECONNABORTED"], "connect": ["EINTR", "EAGAIN", "ENOMEM"],
    "sendto": ["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPIPE", "ECONNRESET"],
    "sendmsg": ["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPIPE", "ECONNRESET"],
    "recvfrom": ["EINTR", "EAGAIN", "ENOMEM", "ECONNRESET"], "recvmsg": ["EINTR", "EAGAIN", "EMFILE", "ENOMEM", "ECONNRESET"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"], "epoll_wait": ["EINTR"], "poll": ["EINTR", "ENOMEM"], "pipe2": ["EMFILE", "ENFILE"],
    "getsockopt": ["ENOBUFS"], "setsockopt": ["ENOMEM"], "getsockname": ["ENOBUFS"], "clone": ["EAGAIN", "ENOMEM"],
    "clone3": ["EAGAIN", "ENOMEM"], "wait4": ["EINTR"], "dup3": ["EMFILE"], "dup": ["EMFILE"], "statfs": ["EIO"], "fstatfs": ["EIO"],
    "prlimit64": ["EAGAIN"], "inotify_add_watch": ["ENOSPC"], "inotify_init1": ["EMFILE"], "eventfd2": ["EMFILE"],
    "signalfd4": ["EMFILE"], "epoll_create1": ["EMFILE"], "timerfd_create": ["EMFILE"], "chdir": ["EIO"], "execve": ["ENOMEM", "EIO"],
}
# Their failures are not the suite's: a sanitizer asks for the limit of the stack whenever a thread starts, and ends when there is none.
SANITIZERS_OWN = {"mmap", "munmap", "mprotect", "brk", "clone", "prlimit64"}


def remove(path):
    """False: somebody else was faster."""
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return False


class Trouble(Exception):
    pass


class Book:
    """load.py's, kept in memory, of one round."""

    def __init__(self):
        self.sequence = crash_mail.Sequence(None)
        self.clear()

    def clear(self):
        self.answered, self.sunk, self.removed = set(), {}, {}

    def write(self, name, *words):
        if name == "answered":
            self.answered.add(words[0])
        elif name == "sunk":
            self.sunk.setdefault((words[1], words[0]), []).append(words[3])
        elif name == "removed":
            self.removed[words[1], words[0]] = words[3]


class Instance:
    def __init__(self, arguments):
        self.arguments = arguments
        self.folder = tempfile.mkdtemp(prefix="dawk-rounds.", dir=arguments.folder)
        os.chmod(self.folder, 0o755)
        self.queue, self.mail = os.path.join(self.folder, "queue"), os.path.join(self.folder, "mail")
        ports = subprocess.run([os.path.join(TOOLS, "free-ports.py"), "3"], capture_output=True, text=True, check=True).stdout.split()
        self.smtp, self.pop3, self.sink = map(int, ports)
        self.dawk = [os.path.join(arguments.bin, "dawk"), "-c", os.path.join(self.folder, "etc/dawk.conf")]
        self.expected = crash_mail.Expected()

    def make(self):
        subprocess.run(self.dawk[:1] + [
            "init", self.folder, "--domain", "local.example", "--hostname", "mail.local.example", "--smtp", "127.0.0.1:%d" % self.smtp,
            "--pop3", "127.0.0.1:%d" % self.pop3, "--set", "retry = 1s", "--set", "dnssec = no", "--set", "smtpd-workers = 1",
        ], check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.folder, "etc/users"), "a") as users:
            for name in ["u%d@local.example" % i for i in range(crash_mail.USERS)] + [crash_mail.SENDER] + crash_mail.MEMBERS:
                users.write("%s:%s::::\n" % (name, SECRET))
            users.write("box@local.example:%s:::box.mbox:\n" % SECRET)
        with open(os.path.join(self.folder, "etc/aliases"), "a") as aliases:
            aliases.write("list@local.example: %s\n" % ", ".join(crash_mail.MEMBERS))
        with open(os.path.join(self.folder, "etc/routes"), "a") as routes:
            routes.write("far.example smtp:[127.0.0.1]:%d\n" % self.sink)
        subprocess.run(self.dawk + ["update"], check=True, stdout=subprocess.DEVNULL)

    def files(self, *places):
        return [path for place in places for path in glob.glob(os.path.join(self.queue, place, "*"))]

    def queued(self):
        return self.files("new", "cur", "hold", "corrupt")

    def pull_trigger(self):
        """A lost trigger costs up to 30 s: that is known."""
        try:
            fd = os.open(os.path.join(self.queue, "trigger"), os.O_WRONLY | os.O_NONBLOCK)
            for path in glob.glob(os.path.join(self.queue, "new/*")):
                os.write(fd, os.path.basename(path).encode() + b"\n")
            os.close(fd)
        except OSError:
            pass

    def empty_mailboxes(self):
        for path in glob.glob(os.path.join(self.mail, "local.example/*/*/*")):
            remove(path)
        box = os.path.join(self.mail, "box.mbox")
        if os.path.exists(box):
            os.truncate(box, 0)

    def remove(self):
        subprocess.run([os.path.join(TOOLS, "free-ports.py"), "--release", str(self.smtp), str(self.pop3), str(self.sink)])
        shutil.rmtree(self.folder)


class Service:
    """A service of the instance, under points."""

    def __init__(self, instance, name):
        self.instance, self.name = instance, name
        self.process, self.seen, self.hit, self.has_ended = None, asyncio.Queue(), None, True
        self.mending = asyncio.Lock()
        self.log = os.path.join(instance.folder, "log-" + name)

    def command(self, order):
        arguments = self.instance.arguments
        return [arguments.points, "-o", order, "%s:%s" % (self.instance.queue, self.instance.mail),
                os.path.join(arguments.bin, self.name), "-c", os.path.join(self.instance.folder, "etc/dawk.conf")]

    async def start(self, order="count"):
        with open(self.log, "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(order), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        self.has_ended, self.seen = False, asyncio.Queue()
        self.reading = asyncio.create_task(self.read(self.process, self.seen))
        await asyncio.wait_for(self.seen.get(), PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while not self.has_ended and not self.is_ready():
            if time.monotonic() > deadline:
                raise Trouble("%s does not get ready" % self.name)
            await asyncio.sleep(0.02)
        return not self.has_ended

    async def read(self, process, seen):
        while line := (await process.stdout.readline()).decode():
            verb, *rest = line.split()
            if verb == "seen":
                seen.put_nowait(rest)
            elif verb == "hit":
                self.hit = " ".join(rest)
            elif verb == "ended" and self.process is process:
                self.has_ended = True

    def is_ready(self):
        if self.name == "queued":
            try:
                with socket.socket(socket.AF_UNIX) as control:
                    control.connect(os.path.join(self.instance.folder, "run/queued"))
                return True
            except OSError:
                return False
        port = ":%04X " % (self.instance.smtp if self.name == "smtpd" else self.instance.pop3)
        with open("/proc/net/tcp") as table:
            return any(port in line and " 0A " in line for line in table)

    async def order(self, text):
        """The answer: how many calls counted, and which were made how often."""
        while not self.seen.empty():
            self.seen.get_nowait()
        self.hit = None
        self.process.stdin.write(text.encode() + b"\n")
        words = await asyncio.wait_for(self.seen.get(), PATIENCE)
        return int(words[0]), {name: int(count) for name, count in (word.split("=") for word in words[1:])}

    async def mend(self):
        """What a supervisor does."""
        async with self.mending:
            if self.has_ended:
                await asyncio.wait_for(self.process.wait(), PATIENCE)
                await self.start()

    async def renew(self):
        """A part that dies again and again is started later and later: that is forgotten with its service."""
        await self.end()
        await self.start()

    async def end(self):
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), PATIENCE)
        except asyncio.TimeoutError:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise Trouble("%s does not end on SIGTERM" % self.name) from None

    def cpu_seconds(self):
        total = 0
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == self.process.pid and int(path.split("/")[2]) != self.process.pid:
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")


class Rounds:
    def __init__(self, arguments):
        self.arguments = arguments
        self.instance = Instance(arguments)
        self.services = {name: Service(self.instance, name) for name in ("queued", "smtpd", "pop3d")}
        self.book, self.first = Book(), crash_mail.LISTS_FROM
        self.counts = {"rounds": 0, "hit": 0, "answered": 0, "lost": 0, "twice": 0, "stuck": 0, "busy": 0, "ended": 0, "swept": 0}
        self.hits = {}
        self.bad = False

    async def start(self):
        self.instance.make()
        self.hop = await asyncio.start_server(load.Sink(self.book).serve, "127.0.0.1", self.instance.sink, limit=1 << 20)
        for service in self.services.values():
            await service.start()

    async def end(self):
        for service in self.services.values():
            await service.end()
        self.hop.close()
        for service in self.services.values():
            with open(service.log, errors="replace") as log:
                # LeakSanitizer is off, but where the refused call was the sanitizer's own look for its options
                said = [line.strip() for line in log if "Sanitizer" in line and "LeakSanitizer" not in line or "runtime error:" in line]
            if said:
                self.say_bad("a sanitizer spoke: " + said[0])
        if not self.bad or not self.arguments.keep:
            self.instance.remove()

    def say_bad(self, text):
        self.bad = True
        print("  " + text, flush=True)

    # ---- a round ----

    async def send(self, number):
        """Once; a service that is just being mended is waited for."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.instance.smtp)
                await load.answer(reader)
                writer.write(b"EHLO client.example\r\n")
                await load.answer(reader)
                await load.send(reader, writer, number, self.book)
                writer.close()
                return
            except ConnectionRefusedError:
                await self.services["smtpd"].mend()
                await asyncio.sleep(0.05)
            except (ConnectionError, ValueError, OSError):
                return

    async def fetch(self, user):
        try:
            await load.pop3_session(self.instance.pop3, user, self.book)
        except (ConnectionError, ValueError, OSError, IndexError):
            pass

    async def settle(self, seconds):
        """Until the queue is empty; what has ended is started again."""
        begin = time.monotonic()
        has_pulled = False
        while self.instance.queued():
            for service in self.services.values():
                await service.mend()
            age = time.monotonic() - begin
            if age > seconds:
                return False
            if age > 2.5 and not has_pulled:
                self.instance.pull_trigger()
                has_pulled = True
            await asyncio.sleep(0.03)
        # what no client was answered for, and a state whose message is gone, are swept later on
        for path in self.instance.files("tmp", "state"):
            self.counts["swept"] += remove(path)
        return True

    def check(self, what):
        found = account.Found(self.instance.folder, self.instance.expected)
        bad = list(found.strange)
        for number in self.book.answered:
            for address in crash_mail.places(number):
                key = number, address
                if address.startswith("never-"):
                    is_safe = number in found.reports
                else:
                    is_safe = key in found.boxes or key in self.book.sunk or key in self.book.removed
                if not is_safe:
                    self.counts["lost"] += 1
                    bad.append("lost: %d for %s" % key)
        bad += ["removed by POP3 and there: %d of %s" % key for key, after in self.book.removed.items() if after != "-" and key in found.boxes]
        bad += ["the next hop got a part: %s" % address for number, address in self.book.sunk if number == "cut"]
        copies = list(found.boxes.values()) + list(self.book.sunk.values())
        self.counts["twice"] += sum(len(times) - 1 for times in copies) + sum(count - 1 for count in found.reports.values())
        self.counts["answered"] += len(self.book.answered)
        for line in bad:
            self.say_bad("%s: %s" % (what, line))

    async def round(self, what, kinds, reads=False, seconds=PATIENCE):
        """Mail of these KINDS (crash_mail.recipients), all at once, until the queue is empty."""
        self.book.clear()
        await asyncio.wait_for(asyncio.gather(*(self.send(self.first + kind) for kind in kinds)), 2 * PATIENCE)
        self.first += 10
        if not await self.settle(seconds):
            self.counts["stuck"] += 1
            self.say_bad("%s: the queue does not empty: %s" % (what, " ".join(self.instance.queued())))
            raise Trouble("stuck")
        if reads:
            users = sorted({address for kind in kinds for address in crash_mail.recipients(self.first - 10 + kind) if address[0] == "u"})
            await asyncio.wait_for(asyncio.gather(*(self.fetch(user) for user in users)), PATIENCE)
        for service in self.services.values():
            self.counts["ended"] += service.has_ended
            await service.mend()
        self.check(what)
        self.instance.empty_mailboxes()
        self.counts["rounds"] += 1

    async def sane(self, what):
        """The suite does its work again."""
        await self.round(what + ", afterwards", [0, 4])
        if not {self.first - 10, self.first - 6} <= self.book.answered:
            self.say_bad("%s: the suite takes no mail afterwards" % what)

    async def order(self, service, text):
        try:
            return await service.order(text)
        except (asyncio.TimeoutError, ConnectionError, OSError):
            await service.mend()
            return await service.order(text)

    async def note_hit(self, service):
        hit = service.hit
        if hit:
            self.counts["hit"] += 1
            call = "%s %s" % (service.name, hit.split()[0])
            self.hits[call] = self.hits.get(call, 0) + 1
            await service.renew()
        return hit

    # ---- deaths ----

    async def deaths_of(self, service, kinds, verb, which, budget):
        await self.round("first", kinds, service.name == "pop3d")	# which makes mailboxes
        await self.order(service, "count " + which)
        await self.round("second", kinds, service.name == "pop3d")
        last, _ = await self.order(service, "count")
        number, misses, rounds = self.arguments.first, 0, 0
        while number <= last and rounds < budget and misses < 5:
            await self.order(service, "%s %d %s" % (verb, number, which))
            what, begin = "%s: %s at call %d" % (service.name, verb, number), time.monotonic()
            await self.round(what, kinds, service.name == "pop3d")
            hit = await self.note_hit(service)
            if self.arguments.verbose:
                print("  %.2f s: %s: %s" % (time.monotonic() - begin, what, hit), flush=True)
            misses = 0 if hit else misses + 1
            number += max(self.arguments.step, last // self.arguments.points_max)
            rounds += 1
        await self.order(service, "count")
        print("%s, %s at each of %d calls that %s, mail of kinds %s: %d rounds" % (
            service.name, "killed" if verb == "kill" else "all killed", last, "change the disk" if which else "touch queue or mailbox",
            "".join(map(str, kinds)), rounds), flush=True)

    async def deaths(self):
        for kinds, verb, which in (([0, 1, 3, 4, 6, 8, 9], "kill", "changes"), ([0, 5, 7], "kill", "changes"), ([0, 3, 4, 8, 9], "all", "changes"),
                                   ([0, 2, 8], "kill", "changes"), ([2, 3, 8], "all", "changes"), ([0, 3, 4, 8, 9], "kill", ""),
                                   ([5, 7, 8, 9, 0, 3], "kill", ""), ([2], "kill", "")):
            if "".join(map(str, kinds)) not in (self.arguments.kinds or "".join(map(str, kinds))):
                continue
            for name in self.arguments.service or ("smtpd", "queued", "pop3d"):
                if self.arguments.verb in (None, verb):
                    await self.deaths_of(self.services[name], kinds, verb, which, self.arguments.points_max)
        if not self.arguments.service:
            await self.commands()
        await self.sane("deaths")

    # ---- deaths of the admin's commands ----

    async def command(self, order, folder, *words):
        """`dawk WORDS` under points: what was hit."""
        process = await asyncio.create_subprocess_exec(
            self.arguments.points, "-o", order, folder, *self.instance.dawk, *words, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        lines = (await asyncio.wait_for(process.communicate(), PATIENCE))[0].decode().split("\n")
        hits = [line[4:] for line in lines if line.startswith("hit ")]
        if hits:
            call = "dawk %s" % hits[0].split()[0]
            self.hits[call] = self.hits.get(call, 0) + 1
            self.counts["hit"] += 1
        return bool(hits)

    def command_step(self):
        """All points, or a sample where rounds are few."""
        return 1 if self.arguments.points_max > 200 else 7

    def lacking(self, count):
        with open(os.path.join(self.instance.folder, "etc/tables/aliases.cdb"), "rb") as file:
            table = file.read()
        return [number for number in range(count) if b"extra-%d@local.example" % number not in table]

    async def updates(self):
        """Tables are whole whenever `dawk update` dies, and what was compiled before is in there."""
        folder, number, tried, is_hit = os.path.join(self.instance.folder, "etc"), 0, 0, True
        while is_hit:
            with open(os.path.join(folder, "aliases"), "a") as aliases:
                aliases.write("extra-%d@local.example: u1@local.example\n" % tried)
            is_hit = await self.command("kill %d changes" % (number + 1), folder, "update")
            explained = subprocess.run(self.instance.dawk + ["explain", "u1@local.example"], stdout=subprocess.DEVNULL)
            again = subprocess.run(self.instance.dawk + ["update"], stdout=subprocess.DEVNULL)
            if self.lacking(tried) or explained.returncode or again.returncode or self.lacking(tried + 1):
                self.say_bad("dawk update, killed at call %d: the tables lack something" % (number + 1))
            number += self.command_step()
            tried += 1
        print("dawk update, killed at %d of its calls that change the disk" % (tried - 1), flush=True)

    async def queue_command(self, verb):
        """On disk, without queued: the message stays in one place, whole, unless it was to be removed."""
        number, tried, is_hit = 0, 0, True
        while is_hit:
            self.book.clear()
            await self.send(self.first)
            name = os.path.basename(self.instance.files("new")[0])
            if verb != "hold":
                subprocess.run(self.instance.dawk + ["queue", "hold", name], stdout=subprocess.DEVNULL)
            is_hit = await self.command("kill %d changes" % (number + 1), self.instance.queue, "queue", verb, name)
            found = [path for path in self.instance.queued() if path.endswith(name)]
            whole = [path for path in found if self.is_whole(path)]
            if len(found) != len(whole) or len(found) not in ((0, 1) if verb == "remove" else (1,)):
                self.say_bad("dawk queue %s, killed at call %d: found %s" % (verb, number + 1, " ".join(found)))
            for path in self.instance.files("new", "cur", "hold", "state"):
                os.unlink(path)
            number += self.command_step()
            tried += 1
            self.first += 10
        print("dawk queue %s on disk, killed at %d of its calls that change the disk" % (verb, tried - 1), flush=True)

    def is_whole(self, path):
        with open(path, "rb") as file:
            text = file.read()
        return text.endswith(b"\nend dawk\n") and self.instance.expected.number_of(text[:text.rindex(b"\nlength ")]) is not None

    async def commands(self):
        await self.updates()
        await self.services["queued"].end()
        for verb in ("hold", "release", "retry", "remove"):
            await self.queue_command(verb)
        await self.services["queued"].start()

    # ---- refusals ----

    async def refuse(self, service, call, error, number, kinds):
        what = "%s: %s number %d fails with %s" % (service.name, call, number, error)
        await self.order(service, "fail %d %s %s" % (number, call, error))
        begin = time.monotonic()
        await self.round(what, kinds, service.name == "pop3d")
        if self.arguments.verbose:
            print("  %.2f s: %s: %s" % (time.monotonic() - begin, what, service.hit), flush=True)
        if await self.note_hit(service) and self.counts["rounds"] % 20 == 0:
            await self.sane(what)
        if self.counts["rounds"] % 50 == 0:
            await self.check_idle(what)

    def is_sanitized(self):
        with open(os.path.join(self.arguments.bin, "smtpd"), "rb") as program:
            text = program.read()
        return b"__asan_init" in text or b"__tsan_init" in text

    async def check_idle(self, what):
        """What has just begun uses some; what turns in circles does not end."""
        for _ in range(10):
            before = {name: service.cpu_seconds() for name, service in self.services.items()}
            await asyncio.sleep(1)
            used = {name: service.cpu_seconds() - before[name] for name, service in self.services.items()}
            if max(used.values()) <= 0.3:
                return
        self.counts["busy"] += 1
        self.say_bad("%s: processor seconds used in a second in which there is nothing to do: %s" % (what, used))

    async def refusals(self):
        kinds, chance = [0, 1, 3, 4, 6, 8, 9], random.Random(1)
        for name in self.arguments.service or ("smtpd", "queued", "pop3d"):
            service = self.services[name]
            await self.order(service, "count")
            await self.round("first", kinds, name == "pop3d")
            _, made = await self.order(service, "count")
            plan = [(call, error, number) for call, count in made.items() if not (self.is_sanitized() and call in SANITIZERS_OWN) for error in ERRORS.get(call, [])
                    for number in sorted({1, 2, count // 2 + 1, count})[:self.arguments.each]]
            chance.shuffle(plan)
            for call, error, number in plan[:self.arguments.points_max]:
                await self.refuse(service, call, error, number, kinds)
            await self.order(service, "count")
            print("%s: %d of %d refusals tried, of %s" % (name, min(len(plan), self.arguments.points_max), len(plan), " ".join(sorted(made))), flush=True)
        await self.check_idle("refusals")
        await self.sane("refusals")

    async def run(self):
        try:
            await self.start()
            await getattr(self, self.arguments.what)()
        except Trouble as trouble:
            self.say_bad(str(trouble))
        try:
            await self.end()
        except Trouble as trouble:
            self.say_bad(str(trouble))
        print("%s:" % self.arguments.what, " ".join("%s=%d" % item for item in self.counts.items()))
        print(" ", " ".join("%s=%d" % item for item in sorted(self.hits.items())).replace(" ", ", "))
        return 1 if self.bad else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin")
    parser.add_argument("points")
    parser.add_argument("what", choices=["deaths", "refusals", "commands"])
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--points-max", type=int, default=1 << 30, help="rounds of each kind")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--each", type=int, default=2, help="how many of each call's occurrences")
    parser.add_argument("--service", action="append")
    parser.add_argument("--kinds", help="of mail, as 028; these alone")
    parser.add_argument("--verb", choices=["kill", "all"], help="one process, or all of the service")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--keep", action="store_true")
    sys.exit(asyncio.run(Rounds(parser.parse_args()).run()))


main()
