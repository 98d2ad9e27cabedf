#!/usr/bin/python3
"""load.py FOLDER --smtp PORT [--smtp-host HOST] [--count N] [--connections N] [--local] [--sink PORT] [--pop3 PORT] [--sequence FILE]
	[--update ETC COMMAND..]

Sends the messages 0..N-1 (crash_mail.py) over many connections at once, takes what is relayed, reads and removes mail by
POP3, changes tables; and writes down what it was told, and when: the number of entries that the log of the disk (FILE, see
disk_log.h) had. What stands in FOLDER afterwards, a line each:

  answered NUMBER SEQUENCE		250 for the message; the sequence was read after the answer had come
  sunk ADDRESS NUMBER SEQUENCE US	the next hop got it whole; read before it was answered
  removed USER NUMBER BEFORE AFTER	deleted by POP3; read before QUIT was sent and after its +OK
  updated NAME SEQUENCE			an alias that `dawk update` has compiled; read after the command ended

With no --count it is the next hop alone, until it is told to end. A message whose answer is lost is not sent again."""
import argparse
import asyncio
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import crash_mail  # noqa: E402


class Book:
    """What was told, each kind in a file of its own."""

    def __init__(self, folder, sequence):
        self.sequence = sequence
        self.files = {name: open(os.path.join(folder, name), "a", buffering=1) for name in ("answered", "sunk", "removed", "updated")}

    def write(self, name, *words):
        self.files[name].write(" ".join(map(str, words)) + "\n")


# ---- the next hop ----

class Sink:
    def __init__(self, book):
        self.book, self.tried, self.expected = book, set(), crash_mail.Expected()

    def judge(self, address):
        if address.startswith("never-"):
            return b"550 5.1.1 there is no such user\r\n"
        if address.startswith("later-") and address not in self.tried:
            self.tried.add(address)
            return b"451 4.3.0 come again\r\n"
        return b"250 2.1.5 ok\r\n"

    def take(self, recipients, content):
        """Written down before it is answered: from the answer on the queue may forget it."""
        number = self.expected.number_of(content)
        for address in recipients:
            self.book.write("sunk", address, "cut" if number is None else number, self.book.sequence.now(), time.time_ns() // 1000)

    async def data(self, reader):
        lines = []
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionError
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    async def serve(self, reader, writer):
        recipients = []
        try:
            writer.write(b"220 far.example ESMTP\r\n")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-far.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb == b"RCPT":
                    address = line.split(b"<")[1].split(b">")[0].decode()
                    answer = self.judge(address)
                    recipients += [address] * answer.startswith(b"250")
                    writer.write(answer)
                elif verb == b"DATA" and not recipients:
                    writer.write(b"554 5.5.1 no recipients\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go ahead\r\n")
                    self.take(recipients, await self.data(reader))
                    writer.write(b"250 2.0.0 taken\r\n")
                elif verb == b"QUIT":
                    writer.write(b"221 2.0.0 bye\r\n")
                    break
                else:
                    writer.write(b"250 2.0.0 ok\r\n")
                    recipients = [] if verb in (b"MAIL", b"RSET") else recipients
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()


# ---- the clients ----

async def answer(reader):
    while line := await reader.readline():
        if line[3:4] != b"-":
            return int(line[:3])
    raise ConnectionError


async def send(reader, writer, number, book):
    text = crash_mail.message(number)
    steps = [b"MAIL FROM:<%s>\r\n" % crash_mail.SENDER.encode()]
    steps += [b"RCPT TO:<%s>\r\n" % address.encode() for address in crash_mail.recipients(number)] + [b"DATA\r\n"]
    for step in steps:
        writer.write(step)
        if await answer(reader) not in (250, 354):
            return
    writer.write(re.sub(rb"^\.", b"..", text, flags=re.M) + b".\r\n")
    await writer.drain()
    if await answer(reader) == 250:
        book.write("answered", number, book.sequence.now())


async def client(host, port, numbers, book):
    """One session after the other, some messages each."""
    while numbers:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            await answer(reader)
            writer.write(b"EHLO client.example\r\n")
            await answer(reader)
            for _ in range(min(20, len(numbers))):
                await send(reader, writer, numbers.pop(), book)
            writer.close()
        except (ConnectionError, OSError):
            await asyncio.sleep(0.05)
        except IndexError:
            writer.close()


async def pop3_line(reader, writer, command):
    writer.write(command + b"\r\n")
    line = await reader.readline()
    if not line.startswith(b"+OK"):
        raise ConnectionError
    return line


async def pop3_session(port, user, book):
    """Reads all, removes every other message."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    await pop3_line(reader, writer, b"USER " + user.encode())
    await pop3_line(reader, writer, b"PASS secret")
    count, removed = int((await pop3_line(reader, writer, b"STAT")).split()[1]), []
    for i in range(1, count + 1):
        await pop3_line(reader, writer, b"RETR %d" % i)
        lines = []
        while (line := await reader.readline()) != b".\r\n" and line:
            lines.append(line)
        hit = crash_mail.NUMBER.search(b"".join(lines))
        if hit and i % 2:
            await pop3_line(reader, writer, b"DELE %d" % i)
            removed.append(int(hit.group(1)))
    before = book.sequence.now()
    for number in removed:
        book.write("removed", user, number, before, "-")
    await pop3_line(reader, writer, b"QUIT")
    after = book.sequence.now()
    for number in removed:
        book.write("removed", user, number, before, after)
    writer.close()


async def read_mail(port, book):
    number = 0
    while True:
        try:
            await pop3_session(port, "u%d@local.example" % (number % crash_mail.USERS), book)
        except (ConnectionError, OSError):
            pass
        number += 1
        await asyncio.sleep(0.1)


async def change_tables(folder, command, book):
    number = 0
    while True:
        name = "extra-%d@local.example" % number
        with open(os.path.join(folder, "aliases"), "a") as aliases:
            aliases.write("%s: u1@local.example\n" % name)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        try:
            status = await process.wait()
        except asyncio.CancelledError:  # it ends before this does: its disk is taken away then
            await process.wait()
            raise
        if status == 0:
            book.write("updated", name, book.sequence.now())
        number += 1
        await asyncio.sleep(0.5)


async def main(arguments):
    book = Book(arguments.folder, crash_mail.Sequence(arguments.sequence))
    if arguments.sink:
        await asyncio.start_server(Sink(book).serve, "127.0.0.1", arguments.sink, limit=1 << 20)
        print("ready", flush=True)
    if not arguments.count:
        await asyncio.sleep(86400)
    others = []
    if arguments.pop3:
        others.append(asyncio.create_task(read_mail(arguments.pop3, book)))
    if arguments.update:
        others.append(asyncio.create_task(change_tables(arguments.update[0], arguments.update[1:], book)))
    numbers = list(range(arguments.first + arguments.count - 1, arguments.first - 1, -1))
    numbers = [number for number in numbers if number % 10 < 4 or not arguments.local]
    await asyncio.gather(*(client(arguments.smtp_host, arguments.smtp, numbers, book) for _ in range(arguments.connections)))
    await asyncio.sleep(arguments.linger)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--smtp", type=int)
    parser.add_argument("--smtp-host", default="127.0.0.1")
    parser.add_argument("--local", action="store_true", help="only mail to maildirs")
    parser.add_argument("--pop3", type=int)
    parser.add_argument("--sink", type=int)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--linger", type=float, default=3, help="seconds that the rest goes on when all is sent")
    parser.add_argument("--sequence")
    parser.add_argument("--update", nargs=argparse.REMAINDER)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(main(parser.parse_args()))
