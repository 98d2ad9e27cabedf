#!/usr/bin/env python3
"""An SMTP or LMTP server with odd manners, for tests of remoted: odd-server.py FOLDER [HABIT..]

Listens on a free port of 127.0.0.1 (or HABIT unix=PATH), writes the port to FOLDER/port, each
message to FOLDER/message.N (the bytes of DATA as they came, with the final dot), each command to
FOLDER/commands and a line for each connection to FOLDER/connections. Ends when it is told to, or after half an hour. Habits:
  lmtp no-ehlo no-pipelining no-8bitmime dsn chunking size=N   what it offers
  at=STATE:REPLY       answers REPLY there; STATE: greet ehlo helo mail rcpt data dot bdat (not the last); REPLY may hold \\r\\n
  rcpt=LOCAL:REPLY     answers REPLY to that recipient (lmtp: dot=LOCAL:REPLY after the data)
  drop=STATE           hangs up in place of an answer
  endless=STATE        sends reply lines without end
  long=STATE           sends one line without end
  slow                 a reply a byte at a time
  mute=STATE           says nothing there until it ends
  wait=STATE           answers there when there is FOLDER/go
  listen=IP:PORT       listens there
  full                 its queue of connections is full, so that attempts hang, until there is FOLDER/go
  per=N:REPLY          answers REPLY to MAIL after N messages of a connection, and hangs up if that is a 421
  once=HABIT           only on the first connection
  grey=N:REPLY         answers REPLY to the first N RCPT commands, as a host that greylists does
"""
import os
import socket
import socketserver
import sys
import threading
import time

folder, habits = sys.argv[1], sys.argv[2:]
lock = threading.Lock()
counts = {"connection": 0, "message": 0, "rcpt": 0}


def value_of(wanted, own):
    return [h.split("=", 1)[1] for h in own if h.startswith(wanted + "=")]


class Handler(socketserver.StreamRequestHandler):
    def say(self, text):
        data = (text + "\r\n").encode()
        if "slow" not in self.own:
            self.wfile.write(data)
            return
        for i in range(len(data)):
            self.wfile.write(data[i:i + 1])
            self.wfile.flush()
            time.sleep(0.002)

    def answer(self, state, text, key=None):
        """False: the connection is over."""
        if state in value_of("drop", self.own):
            return False
        if state in value_of("mute", self.own):
            self.rfile.read()       # until the other side ends
            return False
        while state in value_of("wait", self.own) and not os.path.exists(f"{folder}/go"):
            time.sleep(0.01)
        if state in value_of("endless", self.own):
            while True:
                self.wfile.write(b"250-and so on\r\n" * 100)
        if state in value_of("long", self.own):
            while True:
                self.wfile.write(b"250 " + b"x" * 4000)
        for place, reply in (h.split(":", 1) for h in value_of("at", self.own)):
            if place == state:
                text = reply.replace("\\r\\n", "\r\n")
        for place, reply in (h.split(":", 1) for h in value_of(state, self.own)):
            if place == key:
                text = reply
        self.say(text)
        self.last = text
        return True

    def ehlo(self):
        if "no-ehlo" in self.own:
            return self.answer("ehlo", "502 5.5.1 what?")
        offers = ["odd.example"]
        offers += [] if "no-pipelining" in self.own else ["PIPELINING"]
        offers += [] if "no-8bitmime" in self.own else ["8BITMIME"]
        offers += ["SIZE " + v for v in value_of("size", self.own)]
        offers += ["DSN"] if "dsn" in self.own else []
        offers += ["CHUNKING"] if "chunking" in self.own else []
        lines = ["250-" + o for o in offers[:-1]] + ["250 " + offers[-1]]
        return self.answer("ehlo", "\r\n".join(lines))

    def data(self):
        if not self.answer("data", "354 go on" if self.recipients else "503 5.5.1 no recipients"):
            return False
        if not self.last.startswith("354"):
            return True
        body = bytearray()
        while not (body == b".\r\n" or body.endswith(b"\r\n.\r\n")):
            line = self.rfile.readline()
            if not line:
                return False
            body += line
        return self.take(body)

    def take(self, body):
        with lock:
            counts["message"] += 1
            with open(f"{folder}/message.{counts['message']}", "wb") as out:
                out.write(body)
        self.messages += 1
        targets = self.recipients if "lmtp" in self.own else [None]
        self.recipients = []
        return all(self.answer("dot", "250 2.0.0 taken", local) for local in targets)

    def bdat(self, words):
        size = int(words[1])
        chunk = self.rfile.read(size)
        if len(chunk) < size:
            return False
        if not self.recipients:
            return self.answer("vain", "503 5.5.1 no recipients")
        self.chunks += chunk
        if words[2:] != ["LAST"]:
            return self.answer("bdat", "250 2.0.0 %d octets" % size)
        body, self.chunks = self.chunks, bytearray()
        return self.take(body)

    def command(self, line):
        verb = line[:4].upper()
        with lock, open(f"{folder}/commands", "a") as out:
            out.write(line + "\n")
        if verb in ("EHLO", "LHLO"):
            return self.ehlo()
        if verb == "HELO":
            return self.answer("helo", "250 odd.example")
        if verb == "BDAT":
            return self.bdat(line.split())
        if verb in ("MAIL", "RSET"):
            self.recipients, self.chunks = [], bytearray()
        for most, reply in (h.split(":", 1) for h in value_of("per", self.own) if verb == "MAIL"):
            if self.messages >= int(most):
                self.say(reply)
                return not reply.startswith("421")
        if verb == "MAIL":
            return self.answer("mail", "250 2.1.0 ok")
        if verb == "RCPT":
            local = line.split("<")[1].split("@")[0]
            for times, reply in (h.split(":", 1) for h in value_of("grey", self.own)):
                with lock:
                    counts["rcpt"] += 1
                    is_early = counts["rcpt"] <= int(times)
                if is_early:
                    self.say(reply)
                    return True
            alive = self.answer("rcpt", "250 2.1.5 ok", local)
            if alive and self.last.startswith("25"):
                self.recipients.append(local)
            return alive
        if verb == "DATA":
            return self.data()
        if verb == "QUIT":
            self.say("221 2.0.0 bye")
            return False
        return self.answer(verb.lower(), "250 2.0.0 ok")

    def handle(self):
        with lock:
            counts["connection"] += 1
            first = counts["connection"] == 1
        self.own = [h[5:] if h.startswith("once=") else h for h in habits if first or not h.startswith("once=")]
        self.recipients, self.last, self.chunks, self.messages = [], "", bytearray(), 0
        with lock, open(f"{folder}/connections", "a") as out:
            out.write("connected\n")
        try:
            alive = self.answer("greet", "220 odd.example")
            while alive:
                line = self.rfile.readline()
                if not line:
                    break
                alive = self.command(line.decode("utf-8", "replace").rstrip("\r\n"))
        except OSError:
            pass


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 0 if "full" in habits else 128


def serve():
    if "full" in habits:
        fill = [socket.socket() for _ in range(3)]
        for each in fill:
            each.setblocking(False)
            each.connect_ex(server.server_address)
        tell_port()
        while not os.path.exists(f"{folder}/go"):
            time.sleep(0.01)
        for each in fill:
            each.close()
        server.socket.listen(128)
    server.serve_forever()


def tell_port():
    with open(f"{folder}/port.new", "w") as out:
        out.write("" if path else str(server.server_address[1]))
    os.rename(f"{folder}/port.new", f"{folder}/port")


class Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


path, place = value_of("unix", habits), (value_of("listen", habits) or ["127.0.0.1:0"])[0].split(":")
server = Unix(path[0], Handler) if path else Tcp((place[0], int(place[1])), Handler)
if path:
    os.chmod(path[0], 0o777)
threading.Thread(target=serve, daemon=True).start()
if "full" not in habits:
    tell_port()
time.sleep(1800)
