"""The mail of the crash kit: message NUMBER, its recipients and its bytes, known to who sends it and to who looks for it.

Recipients: uN@local.example have maildirs, box@local.example an mbox; far-N@far.example is taken at once by the next hop,
later-N@far.example at the second try, never-N@far.example never: that one is reported to SENDER. list@local.example has so many
members that queued makes messages of its own from it."""
import base64
import mmap
import os
import random
import re
import struct

USERS = 20
SENDER = "sender@local.example"
NUMBER = re.compile(rb"^X-Number: (\d+)\r?$", re.M)
MEMBERS = ["m%d@local.example" % i for i in range(101)]
LISTS_FROM = 10000000	# numbers from here on may go to the list
START = b"From: <" + SENDER.encode() + b">"


def recipients(number):
    if number >= LISTS_FROM and number % 10 == 2:
        return ["list@local.example"]
    user = ["u%d@local.example" % ((number * 7 + i * 5) % USERS) for i in range(3)]
    return {
        3: user,
        4: ["far-%d@far.example" % number],
        5: ["later-%d@far.example" % number],
        6: [user[0], "far-%d@far.example" % number],
        7: [user[0], "later-%d@far.example" % number],
        8: ["never-%d@far.example" % number],
        9: ["box@local.example"],
    }.get(number % 10, user[:1])


def places(number):
    """Where it has to arrive."""
    to = recipients(number)
    return MEMBERS if to == ["list@local.example"] else to


def message(number):
    """As the client has it, with CRLF."""
    chance = random.Random(number)
    size = 300000 if number % 211 == 57 else 60000 if number % 37 == 5 else chance.randrange(400, 7000)
    text = base64.encodebytes(chance.randbytes(size * 3 // 4)).split(b"\n")
    text = [b"." * (i % 9 == 0) + line for i, line in enumerate(text)]
    head = [
        START, b"To: undisclosed:;", b"Subject: number %d" % number, b"X-Number: %d" % number,
        b"Date: Sun, 22 Nov 2026 02:00:00 +0000", b"Message-ID: <%d@client.example>" % number, b"",
    ]
    return b"\r\n".join(head + text + [b"end of %d" % number, b""])


class Expected:
    """Whole or not: what was found, against what was sent."""

    def __init__(self):
        self.known = {}

    def number_of(self, found):
        """Of a message with CRLF or LF that has its trace in front; None: it is not whole, or none of ours."""
        at = found.find(START)
        hit = NUMBER.search(found, at) if at >= 0 else None
        if not hit:
            return None
        number = int(hit.group(1))
        ends = b"\r\n" if found.endswith(b"\r\n") else b"\n"
        key = number, ends
        if key not in self.known:
            text = message(number)
            self.known[key] = text if ends == b"\r\n" else text.replace(b"\r\n", b"\n")
        return number if found[at:] == self.known[key] else None


class Sequence:
    """How many entries the log of the disk has; 0 for ever without one."""

    def __init__(self, path):
        self.bytes = bytes(8)
        if path:
            fd = os.open(path, os.O_RDONLY)
            self.bytes = mmap.mmap(fd, 8, prot=mmap.PROT_READ)

    def now(self):
        return struct.unpack_from("=Q", self.bytes)[0]
