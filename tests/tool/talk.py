#!/usr/bin/python3
"""talk.py [--bytes] [--timeout S] [--source ADDRESS] [--tls] PORT|HOST:PORT|/SOCKET

Plays the dialog on standard input against a server and prints the transcript. Exits 1 at the first
line that does not hold. Each wait is bounded (--timeout, 60 s). --tls: TLS from the first byte.

  C: text      send a line, CRLF is added    C*5: text   the same, five times
  X: text      send raw bytes with the escapes \\r \\n \\t \\0 \\xHH \\\\
  D: file      send a file as the content of DATA: CRLF line ends, dots stuffed, the final dot
  H:           half-close: no more will be sent
  T: [name]    TLS from here on, asking for name; no certificate is judged
  S: prefix    take the next reply; its first or last line must start with prefix
  S*5: prefix  take five replies
  S~ regex     take the next reply; the regular expression must be found in it
  M: prefix    take a multi-line reply of POP3, up to its lone dot
  S+ prefix    the reply taken last has a line that starts with prefix
  S- prefix    the reply taken last has no such line
  E:           the server closes the connection (replies before that are skipped)
  # ...        a comment; empty lines count for nothing

Lines to send are collected and go out together before the next expectation, so that a row of them
is a pipelined group; --bytes sends every byte by itself. In prefixes "250-" and "250 " are the same."""
import re
import select
import socket
import ssl
import sys
import time


class Failure(Exception):
    pass


def unescape(text):
    simple = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

    def one(match):
        code = match.group(1).decode("latin-1")
        return bytes([int(code[1:], 16)]) if code[0] == "x" else simple[code]
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt0\\])", one, text.encode("utf-8", "surrogateescape"))


def as_content(path):
    with open(path, "rb") as file:
        lines = file.read().replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def same(line, prefix):
    return re.sub(r"^(\d\d\d)-", r"\1 ", line).startswith(re.sub(r"^(\d\d\d)-", r"\1 ", prefix))


class Dialog:
    def __init__(self, target, timeout, one_by_one, source):
        self.timeout, self.one_by_one = timeout, one_by_one
        self.outgoing, self.incoming, self.reply = b"", b"", []
        self.ended = False
        if target.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(target)
        else:
            host, _, port = target.rpartition(":")
            self.socket = socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), timeout,
                                                   (source, 0) if source else None)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def receive(self):
        more = b"go on"
        while more:
            try:
                more = self.socket.recv(1 << 16)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except (ConnectionError, ssl.SSLError):
                more = b""
            self.incoming += more
            self.ended = self.ended or not more

    def start_tls(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.flush()
        if self.incoming:
            raise Failure("the server spoke before the handshake: %r" % self.incoming)
        self.socket = context.wrap_socket(self.socket, server_hostname=name or None, do_handshake_on_connect=False)
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                self.socket.do_handshake()
                print("T: %s %s" % (self.socket.version(), self.socket.cipher()[0]))
                return
            except ssl.SSLWantReadError:
                waiting = [self.socket], [], []
            except ssl.SSLWantWriteError:
                waiting = [], [self.socket], []
            except ssl.SSLError as error:
                raise Failure("the handshake failed: %s" % error) from error
            if not any(select.select(*waiting, max(deadline - time.monotonic(), 0))):
                raise Failure("the handshake takes too long")

    def flush(self):
        """Sends, and takes in meanwhile what the server says, so that neither waits for the other."""
        deadline = time.monotonic() + self.timeout
        while self.outgoing:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure("the server does not read what is sent")
            watched = [] if self.ended else [self.socket]
            readable, writable, _ = select.select(watched, [self.socket], [], left)
            if readable:
                self.receive()
            if writable:
                try:
                    sent = self.socket.send(self.outgoing[:1] if self.one_by_one else self.outgoing)
                    self.outgoing = self.outgoing[sent:]
                    deadline = time.monotonic() + self.timeout
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
                except (ConnectionError, ssl.SSLError):
                    self.outgoing, self.ended = b"", True

    def line(self):
        deadline = time.monotonic() + self.timeout
        while b"\n" not in self.incoming:
            left = deadline - time.monotonic()
            if self.ended:
                raise Failure("the server closed the connection")
            if left <= 0:
                raise Failure("no reply in %g seconds" % self.timeout)
            if select.select([self.socket], [], [], left)[0]:
                self.receive()
        line, _, self.incoming = self.incoming.partition(b"\n")
        if not line.endswith(b"\r"):
            raise Failure("a line without CR: %r" % line)
        text = line[:-1].decode("utf-8", "surrogateescape")
        print("S: " + text)
        return text

    def take_reply(self):
        self.flush()
        self.reply = [self.line()]
        while re.match(r"\d\d\d-", self.reply[-1]):
            self.reply.append(self.line())

    def take_multiline(self):
        self.flush()
        self.reply = [self.line()]
        while self.reply[0].startswith("+OK"):
            line = self.line()
            if line == ".":
                return
            self.reply.append(line[1:] if line.startswith(".") else line)

    def take_end(self):
        self.flush()
        deadline = time.monotonic() + self.timeout
        while not self.ended:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure("the connection is still open")
            if select.select([self.socket], [], [], left)[0]:
                self.receive()
        for line in self.incoming.splitlines():
            print("S: " + line.decode("utf-8", "surrogateescape"))
        self.incoming = b""

    def send(self, data, shown):
        self.outgoing += data
        print(shown if len(shown) < 400 else shown[:400] + "... (%d)" % len(shown))

    def half_close(self):
        self.flush()
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
        except OSError:
            pass

    def play(self, row):
        match = re.match(r"([CXDHSMET])(?:\*(\d+))?([:~+-])(?: |$)(.*)", row, re.S)
        if not match:
            raise Failure("talk does not know this kind of line")
        what, times, kind, text = match.group(1), int(match.group(2) or 1), match.group(3), match.group(4)
        data = text.encode("utf-8", "surrogateescape")
        for _ in range(times):
            if what == "C":
                self.send(data + b"\r\n", row)
            elif what == "X":
                self.send(unescape(text), row)
            elif what == "D":
                self.send(as_content(text), row)
            elif what == "H":
                self.half_close()
            elif what == "T":
                self.start_tls(text)
            elif what == "E":
                self.take_end()
            else:
                self.expect(what, kind, text)

    def expect(self, what, kind, text):
        if what == "M":
            self.take_multiline()
        elif kind in ":~":
            self.take_reply()
        if kind == "~":
            holds = re.search(text, "\n".join(self.reply), re.M)
        elif kind == ":":
            holds = same(self.reply[0], text) or (what == "S" and same(self.reply[-1], text))
        else:
            holds = any(same(line, text) for line in self.reply) == (kind == "+")
        if not holds:
            raise Failure("not what was expected")


def main(arguments):
    timeout, one_by_one, source, is_tls = 60.0, False, None, False
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)
        if option == "--bytes":
            one_by_one = True
        elif option == "--timeout":
            timeout = float(arguments.pop(0))
        elif option == "--tls":
            is_tls = True
        elif option == "--source":
            source = arguments.pop(0)
        else:
            sys.exit("talk: unknown option %s\n%s" % (option, __doc__))
    if len(arguments) != 1:
        sys.exit(__doc__)
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    number = row = 0
    try:
        dialog = Dialog(arguments[0], timeout, one_by_one, source)
        if is_tls:
            dialog.start_tls("")
        for number, row in enumerate(sys.stdin, 1):
            row = row.rstrip("\n")
            if row and not row.startswith("#"):
                dialog.play(row)
        dialog.flush()
    except (Failure, OSError) as failure:
        print("talk: line %d, %r: %s" % (number, row, failure))
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
