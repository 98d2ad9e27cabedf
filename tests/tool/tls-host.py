#!/usr/bin/env python3
"""An SMTP server with TLS of many manners, for tests of remoted: tls-host.py FOLDER [HABIT..]

Listens on a free port of 127.0.0.1 (or HABIT at=ADDRESS:PORT), writes the port to FOLDER/port, each command to
FOLDER/commands ("clear EHLO x", "tls MAIL ..", "tls+resumed .."), each message to FOLDER/message.N. Ends when it is told to, or
after half an hour. Habits:
  cert=FILE            PEM with key and chain; offers STARTTLS
  wrapped              TLS from the first byte
  refuse               454 to STARTTLS
  inject               a reply in clear right behind the 220
  garbage hang drop    what follows the 220 in place of a handshake
  old                  TLS 1.1 and nothing newer
  tls12                TLS 1.2 and nothing newer
  no-ehlo              EHLO gets 502
  requiretls           offered under TLS
  auth=MECHANISM,..    offered under TLS; SCRAM-SHA-256, PLAIN, LOGIN
  login=USER:PASSWORD  what it wants there
  liar                 SCRAM: a wrong server signature
  busy=REPLY           what it answers to the first AUTH
  at=ADDRESS:PORT
"""
import base64
import hashlib
import hmac
import os
import socketserver
import ssl
import sys
import threading
import time

folder, habits = sys.argv[1], sys.argv[2:]
lock = threading.Lock()
counts = {"message": 0, "auth": 0}


def value(name, default=""):
    for habit in habits:
        if habit.startswith(name + "="):
            return habit.split("=", 1)[1]
    return default


def make_context():
    if not value("cert"):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(value("cert"))
    if "tls12" in habits:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if "old" in habits:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


context = make_context()


class Handler(socketserver.StreamRequestHandler):
    def say(self, text):
        self.out(text.encode() + b"\r\n")

    def out(self, data):
        self.connection.sendall(data)

    def line(self):
        data = self.input.readline(20000)
        return data.decode("utf-8", "replace").rstrip("\r\n") if data else None

    def note(self, line):
        how = "clear"
        if self.is_tls:
            how = "tls+resumed" if self.connection.session_reused else "tls"
        with lock, open(f"{folder}/commands", "a") as out:
            out.write(f"{how} {line}\n")

    def shake(self):
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.input = self.connection.makefile("rb")
        self.is_tls = True

    def offers(self):
        lines = ["tls-host.example", "PIPELINING", "8BITMIME"]
        if context and not self.is_tls:
            lines.append("STARTTLS")
        if self.is_tls and "requiretls" in habits:
            lines.append("REQUIRETLS")
        if self.is_tls and value("auth"):
            lines.append("AUTH " + value("auth").replace(",", " "))
        return "\r\n".join("250-" + o for o in lines[:-1]) + "\r\n250 " + lines[-1]

    def starttls(self):
        if "refuse" in habits:
            self.say("454 4.7.0 TLS is not available now")
            return True
        if "inject" in habits:
            self.out(b"220 go on\r\n250-tls-host.example\r\n250 AUTH PLAIN\r\n")
        else:
            self.say("220 go on")
        if "garbage" in habits:
            self.out(b"this is no TLS record\r\n" * 10)
            time.sleep(0.2)
            return False
        if "hang" in habits:
            time.sleep(60)
        if "drop" in habits:
            return False
        self.shake()
        return True

    def challenge(self, data):
        self.say("334 " + base64.b64encode(data).decode())
        return base64.b64decode(self.line() or "")

    def scram(self, first):
        bare = first.split(b",", 2)[2]
        nonce = dict(p.split(b"=", 1) for p in bare.split(b","))[b"r"] + b"tls-host"
        salt, rounds = b"0123456789ab", 4096
        user, password = value("login").split(":", 1)
        name = user.replace("=", "=3D").replace(",", "=2C")
        server_first = b"r=" + nonce + b",s=" + base64.b64encode(salt) + b",i=%d" % rounds
        final = self.challenge(server_first)
        without, proof = final.rsplit(b",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        stored = hashlib.sha256(client_key).digest()
        message = bare + b"," + server_first + b"," + without
        signature = hmac.digest(stored, message, "sha256")
        wanted = bytes(a ^ b for a, b in zip(client_key, signature))
        if base64.b64decode(proof) != wanted or not bare.startswith(b"n=" + name.encode() + b","):
            return False
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        self.challenge(b"v=" + base64.b64encode(server if "liar" not in habits else signature))
        return True

    def auth(self, words):
        with lock:
            counts["auth"] += 1
            is_first = counts["auth"] == 1
        if is_first and value("busy"):
            self.say(value("busy"))
            return not value("busy").startswith("421")
        mechanism, rest = words[1].upper(), base64.b64decode(words[2]) if len(words) > 2 else None
        user, password = value("login").split(":", 1)
        if mechanism == "PLAIN":
            is_right = rest == f"\0{user}\0{password}".encode()
        elif mechanism == "LOGIN":
            is_right = self.challenge(b"Username:") == user.encode()
            is_right = self.challenge(b"Password:") == password.encode() and is_right
        else:
            is_right = self.scram(rest)
        self.say("235 2.7.0 welcome" if is_right else "535 5.7.8 no")
        return True

    def data(self):
        self.say("354 go on")
        lines = []
        while not lines or lines[-1] != b".\r\n":
            lines.append(self.input.readline())
            if not lines[-1]:
                return False
        with lock:
            counts["message"] += 1
            with open(f"{folder}/message.{counts['message']}", "wb") as out:
                out.writelines(lines)
        self.say("250 2.0.0 taken")
        return True

    def command(self, line):
        words = line.split()
        verb = words[0].upper() if words else ""
        self.note(line if verb != "AUTH" else "AUTH " + words[1])
        if verb == "EHLO":
            self.say("502 5.5.1 what?" if "no-ehlo" in habits else self.offers())
        elif verb == "STARTTLS":
            return self.starttls()
        elif verb == "AUTH":
            return self.auth(words)
        elif verb == "DATA":
            return self.data()
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            return False
        else:
            self.say("250 2.0.0 ok")
        return True

    def handle(self):
        self.is_tls = False
        self.input = self.connection.makefile("rb")
        try:
            if "wrapped" in habits:
                self.shake()
            self.say("220 tls-host.example")
            alive = True
            while alive:
                line = self.line()
                if line is None:
                    break
                alive = self.command(line)
        except (OSError, ValueError) as trouble:
            self.note(f"trouble: {trouble}")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 128


place = value("at", "127.0.0.1:0").rsplit(":", 1)
server = Server((place[0], int(place[1])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(f"{folder}/port.new", "w") as out:
    out.write(str(server.server_address[1]))
os.rename(f"{folder}/port.new", f"{folder}/port")
time.sleep(1800)
