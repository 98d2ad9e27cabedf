#!/usr/bin/python3
"""account.py FOLDER INSTANCE: accounts for each message that load.py was told is safe. FOLDER is load.py's, INSTANCE what
`dawk init` made. Reads lines from standard input, and answers each with a line:

  cut SEQUENCE US [WINDOW_MS]	as the disk was found when the power went after SEQUENCE entries of its log, at US microseconds
				since 1970: each message answered before it is, for each recipient, whole in the mailbox, or whole
				in the queue, or taken by the next hop before, or reported
  end [WINDOW_MS]		the same now that the queue has become empty: nothing may still stand there

The answer: "ok" or "bad", then numbers (name=value). After "bad" lines follow on standard error, each a message that is lost,
cut, or in a place where it should not be. What stands in mailbox and queue both is delivered twice: that is counted, and bad
when the delivery is older than WINDOW_MS."""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import crash_mail  # noqa: E402

FINAL = {b"delivered", b"relayed", b"forwarded", b"expanded", b"failed"}
LATE = 1 << 62


def lines_of(folder, name):
    try:
        with open(os.path.join(folder, name)) as file:
            return [line.split() for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


class Told:
    """What load.py wrote down."""

    def __init__(self, folder):
        self.answered = {int(number): int(sequence) for number, sequence in lines_of(folder, "answered")}
        self.sunk, self.sunk_cut, self.removed, self.updated = {}, [], {}, {}
        for address, number, sequence, us in lines_of(folder, "sunk"):
            if number == "cut":
                self.sunk_cut.append(address)
            else:
                self.sunk.setdefault((int(number), address), []).append((int(sequence), int(us)))
        for user, number, before, after in lines_of(folder, "removed"):
            known = self.removed.setdefault((int(number), user), [LATE, LATE])
            known[0] = min(known[0], int(before))
            known[1] = min(known[1], LATE if after == "-" else int(after))
        for name, sequence in lines_of(folder, "updated"):
            self.updated[name.encode()] = int(sequence)


class Found:
    """What is on the disk."""

    def __init__(self, instance, expected):
        self.boxes = {}		# (number, user): microseconds of each delivery
        self.reports = {}	# number: how many
        self.waiting = {}	# (number, address): still to be tried
        self.queued = set()	# numbers
        self.strange = []
        self.cut_tails = 0
        self.expected = expected
        self.read_queue(os.path.join(instance, "queue"))
        self.read_mailboxes(os.path.join(instance, "mail"))

    # ---- the queue ----

    def read_queue(self, queue):
        for place in ("new", "cur", "hold", "corrupt"):
            for path in glob.glob(os.path.join(queue, place, "*")):
                with open(path, "rb") as file:
                    self.read_queued(queue, path, place, file.read())

    def read_queued(self, queue, path, place, text):
        parts = self.split(text)
        if place in ("hold", "corrupt") or not parts:
            self.strange.append("%s: %s" % (path, "not whole" if not parts else "moved out of the way"))
            return
        envelope, content = parts
        addresses = [line[10:].decode() for line in envelope.split(b"\n") if line.startswith(b"recipient ")]
        if b"\nreport" in envelope:
            self.read_report(path, content)
            return
        number = self.expected.number_of(content)
        wanted = crash_mail.recipients(number or 0)
        is_part = b"\nparent " in envelope and set(addresses) <= set(crash_mail.places(number or 0))
        if number is None or (sorted(addresses) != sorted(wanted) and not is_part):
            self.strange.append("%s: not as it was sent" % path)
            return
        self.queued.add(number)
        final = self.read_state(os.path.join(queue, "state", os.path.basename(path)))
        for index, address in enumerate(addresses):
            if index not in final:
                self.waiting[number, address] = True

    def split(self, text):
        """Envelope and content of a whole file, see dawk-queue(5)."""
        head = re.match(rb"dawk 1 (\d{10}) \d{7}\n", text)
        end = re.search(rb"\nlength (\d{20})\nend dawk\n\Z", text)
        if not head or not end:
            return None
        start = head.end() + int(head.group(1))
        return (text[head.end():start], text[start:end.start()]) if int(end.group(1)) == end.start() - start else None

    def read_state(self, path):
        try:
            with open(path, "rb") as file:
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return set()
        words = [line.split(b" ") for line in lines if b"\0" not in line]
        return {int(word[0]) for word in words if len(word) > 4 and word[0].isdigit() and word[1] in FINAL}

    # ---- mailboxes ----

    def read_mailboxes(self, mail):
        for path in glob.glob(os.path.join(mail, "*.mbox")):
            self.read_mbox(path, os.path.basename(path).replace(".mbox", "@local.example"))
        for folder in glob.glob(os.path.join(mail, "local.example", "*")):
            user = os.path.basename(folder) + "@local.example"
            for path in glob.glob(os.path.join(folder, "new", "*")) + glob.glob(os.path.join(folder, "cur", "*")):
                with open(path, "rb") as file:
                    self.read_mail(path, user, file.read())

    def read_mail(self, path, user, text):
        seconds, us = re.match(r"(\d+)\.M(\d+)P", os.path.basename(path)).groups()
        if b"\nContent-Type: multipart/report" in text[:4000]:
            self.read_report(path, text)
            return
        number = self.expected.number_of(text)
        if number is None or user not in crash_mail.places(number):
            self.strange.append("%s: not as it was sent" % path)
            return
        self.boxes.setdefault((number, user), []).append(int(seconds) * 1000000 + int(us))

    def read_report(self, path, text):
        hit = crash_mail.NUMBER.search(text)
        if not hit or not text.rstrip(b"\r\n").endswith(b"--"):
            self.strange.append("%s: a report that is not whole" % path)
            return
        number = int(hit.group(1))
        self.reports[number] = self.reports.get(number, 0) + 1

    def read_mbox(self, path, user):
        """An append that the power cut is the one thing that may stand there in part."""
        with open(path, "rb") as file:
            parts = re.split(rb"(?:\A|\n)From [^\n]*\d\d\d\d\n", file.read())
        for part in parts[1:]:
            number = self.expected.number_of(part[:-1] if part.endswith(b"\n\n") else part)
            if number is None:
                self.cut_tails += 1
            else:
                self.boxes.setdefault((number, user), []).append(0)


class Account:
    def __init__(self, folder, instance):
        self.folder, self.instance, self.expected = folder, instance, crash_mail.Expected()
        self.told = Told(folder)

    def sunk_before(self, key, cut):
        return [us for sequence, us in self.told.sunk.get(key, []) if sequence <= cut]

    def is_safe(self, found, number, address, cut):
        key = number, address
        if key in found.waiting or key in found.boxes:
            return True
        if address.startswith("never-"):
            return number in found.queued or number in found.reports
        return bool(self.sunk_before(key, cut)) or self.told.removed.get(key, [LATE])[0] <= cut

    def check_tables(self, cut):
        """What `dawk update` has compiled stays compiled, and the table is whole."""
        wanted = [name for name, sequence in self.told.updated.items() if sequence <= cut]
        if not wanted:
            return []
        with open(os.path.join(self.instance, "etc/tables/aliases.cdb"), "rb") as file:
            table = file.read()
        return ["aliases.cdb lacks %s" % name.decode() for name in wanted if name not in table]

    def twice(self, found, cut, cut_us):
        """Milliseconds since the delivery of each recipient that will be delivered to again."""
        ages = []
        for key in found.waiting:
            times = [us for us in found.boxes.get(key, []) if us] + self.sunk_before(key, cut)
            if times:
                ages.append((cut_us - max(times)) // 1000)
        return ages

    def answer(self, found, bad, numbers):
        bad += found.strange + ["the next hop got a part: %s" % address for address in self.told.sunk_cut]
        print("bad" if bad else "ok", *("%s=%s" % item for item in numbers.items()), flush=True)
        for line in bad:
            print(line, file=sys.stderr, flush=True)

    def came_back(self, found, cut):
        return sum(1 for key, (_, after) in self.told.removed.items() if after <= cut and key in found.boxes)

    def cut(self, cut, cut_us, window_ms=LATE):
        found = Found(self.instance, self.expected)
        answered = [number for number, sequence in self.told.answered.items() if sequence <= cut]
        lost = ["lost: %d for %s" % (number, address) for number in answered for address in crash_mail.recipients(number)
                if not self.is_safe(found, number, address, cut)]
        ages = self.twice(found, cut, cut_us)
        bad = lost + self.check_tables(cut)
        bad += ["delivered twice without a crash: %d for %s" % key for key, times in found.boxes.items() if len(times) > 1]
        bad += ["delivered again after %d ms" % age for age in ages if age > window_ms]
        self.answer(found, bad, {
            "answered": len(answered), "waiting": len(found.waiting), "lost": len(lost), "twice": len(ages),
            "oldest_ms": max(ages, default=0), "came_back": self.came_back(found, cut), "cut_tails": found.cut_tails})

    def end(self, cut, window_ms=LATE):
        self.told = Told(self.folder)
        found = Found(self.instance, self.expected)
        answered = [number for number, sequence in self.told.answered.items() if sequence <= cut]
        lost = ["lost: %d for %s" % (number, address) for number in answered for address in crash_mail.recipients(number)
                if not self.is_safe(found, number, address, cut)]
        bad = lost + ["still in the queue: %d" % number for number in found.queued]
        twice = sum(len(times) - 1 for times in found.boxes.values())
        twice += sum(max(len(self.sunk_before(key, cut)) - 1, 0) for key in self.told.sunk)
        twice += sum(count - 1 for count in found.reports.values())
        self.answer(found, bad, {
            "answered": len(answered), "lost": len(lost), "twice": twice, "reports": len(found.reports), "cut_tails": found.cut_tails})


def main():
    account = Account(*sys.argv[1:3])
    for line in sys.stdin:
        verb, *numbers = line.split()
        getattr(account, {"cut": "cut", "end": "end"}[verb])(*map(int, numbers))


if __name__ == "__main__":
    main()
