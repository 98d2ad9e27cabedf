#!/usr/bin/python3
"""weak-server.py smtp|pop3 ADDRESS CERTIFICATE: a mail server with every weakness that `dawk attack` looks for. Prints its port.

It relays for anybody, ends messages at bare newlines, obeys inside TLS what came before it and in refused chunks, tells by words
and by time who exists, takes passwords in clear, speaks TLS 1.0 and with anybody, and knows no limit."""
import re
import socket
import ssl
import sys
import threading
import time

kind, address, certificate = sys.argv[1:4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
context.minimum_version = ssl.TLSVersion.TLSv1
END = re.compile(rb"\r?\n\.\r?\n|\r\.\r|\r\n\0?\.\0?\r\n")


class Session:
    def __init__(self, connection):
        self.connection, self.buffer, self.recipients, self.is_tls = connection, b"", 0, False

    def say(self, *lines):
        self.connection.sendall(b"".join(line.encode() + b"\r\n" for line in lines))

    def more(self):
        part = self.connection.recv(65536)
        if not part:
            raise ConnectionError
        self.buffer += part

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def content(self):
        while not END.search(self.buffer):
            self.more()
        self.buffer = self.buffer[END.search(self.buffer).end():]

    def start_tls(self):
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.is_tls = True      # and what is in the buffer stays

    def judge(self, user):
        """A known name costs a hash."""
        if "postmaster" in user:
            time.sleep(1)   # more than a busy machine adds
            return "wrong password"
        return "no such user"

    def smtp(self):
        self.say("220 weak.example ESMTP")
        while True:
            line = self.line()
            verb = line.upper().split(" ")[0]
            if verb in ("EHLO", "HELO"):
                self.say("250-weak.example", "250-SIZE", "250-CHUNKING", "250-PIPELINING", "250-SMTPUTF8", "250-AUTH PLAIN LOGIN", "250 STARTTLS")
            elif verb == "RCPT":
                self.recipients += 1
                unknown = "no-such-user" in line
                self.say("550 no such user" if unknown else "250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                self.content()
                self.say("250 queued")
            elif verb == "BDAT":
                words = line.split()
                size = int(words[1], 0)
                if not self.recipients:
                    self.say("503 no recipients")       # and the chunk is read as commands
                    continue
                size = max(0, size & 0xffffffff)
                while len(self.buffer) < size:
                    self.more()
                chunk, self.buffer = self.buffer[:size], self.buffer[size:]
                if END.search(chunk):
                    self.buffer = chunk[END.search(chunk).end():] + self.buffer
                self.say("250 ok")
            elif verb == "VRFY":
                self.say("550 no such user" if "no-such-user" in line else "250 <postmaster@weak.example>")
            elif verb == "EXPN":
                self.say("250-<alice@weak.example>", "250 <bob@weak.example>")
            elif verb == "AUTH":
                if "LOGIN" in line.upper():
                    self.say("334 VXNlcm5hbWU6")
                else:
                    import base64
                    self.say("535 " + self.judge(base64.b64decode(line.split()[2]).decode()))
            elif verb == "STARTTLS":
                self.say("220 go on")
                self.start_tls()
            elif verb == "QUIT":
                self.say("221 bye")
                return
            elif verb in ("MAIL", "RSET", "NOOP"):
                self.say("250 ok")
            else:
                self.say("500 what?")

    def pop3(self):
        user = ""
        self.say("+OK weak")
        while True:
            line = self.line()
            verb = line.upper().split(" ")[0]
            if verb == "CAPA":
                self.say("+OK", "USER", "STLS", "SASL PLAIN", ".")
            elif verb == "USER":
                user = line[5:]
                self.say("+OK %s has a mailbox" % user if "postmaster" in user or "injected" in user or "nobody@" in user else "-ERR no such user")
            elif verb == "PASS":
                self.say("-ERR " + self.judge(user))
            elif verb == "AUTH":
                self.say("+ ")
                self.line()
                self.say("-ERR no")
            elif verb == "STLS":
                self.say("+OK go on")
                self.start_tls()
            elif verb == "QUIT":
                self.say("+OK bye")
                return
            elif verb == "NOOP":
                self.say("+OK")
            else:
                self.say("-ERR what?")


def serve(connection):
    session = Session(connection)
    try:
        getattr(session, kind)()
        session.connection.close()
    except (OSError, ConnectionError, ValueError, IndexError):
        pass


listener = socket.create_server((address, 0), backlog=512)
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
