#!/usr/bin/python3
"""A client of SCRAM-SHA-256 that can lie: scram-client.py smtp|pop3 PORT NAME PASSWORD [OPTION=VALUE]..

Speaks TLS from the first byte, logs in, prints what the server says in the end.
  mechanism=SCRAM-SHA-256-PLUS  flag=n|y|p=tls-exporter  binding=right|wrong|none  authzid=NAME  proof=wrong
  nonce=wrong  first=RAW (the client-first-message)  final=RAW  signature=ignore  times=N (logins, one connection each)
  print=salt|seconds (that the last answer took, in front of it)"""
import base64, hashlib, hmac, os, socket, sys, time
from OpenSSL import SSL

protocol, port, name, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
options = dict(o.split("=", 1) for o in sys.argv[5:])
mechanism = options.get("mechanism", "SCRAM-SHA-256")
is_plus = mechanism.endswith("-PLUS")
flag = options.get("flag", "p=tls-exporter" if is_plus else "n")


def connect():
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    plain = socket.create_connection(("127.0.0.1", port), 60)
    plain.setblocking(True)
    s = SSL.Connection(context, plain)
    s.set_connect_state()
    s.do_handshake()
    return s


class Lines:
    def __init__(self, s):
        self.s, self.data, self.seconds = s, b"", 0

    def get(self):
        while b"\n" not in self.data:
            self.data += self.s.recv(65536)
        line, self.data = self.data.split(b"\n", 1)
        return line.rstrip(b"\r").decode()

    def say(self, text):
        began = time.monotonic()
        self.s.sendall(text.encode() + b"\r\n")
        line = self.get()
        while protocol == "smtp" and line[3:4] == "-":
            line = self.get()
        self.seconds = time.monotonic() - began
        return line


def challenge(line):
    """The decoded challenge, or None: the server said something else."""
    if not line.startswith("334 " if protocol == "smtp" else "+ "):
        return None
    return base64.b64decode(line.split(" ", 1)[1]).decode()


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def log_in():
    lines = Lines(connect())
    answer = exchange(lines)
    return "%s %s" % (lines.seconds, answer) if options.get("print") == "seconds" else answer


def exchange(lines):
    lines.get()
    if protocol == "smtp":
        lines.say("EHLO client.example")
    header = flag + "," + ("a=" + options["authzid"] if "authzid" in options else "") + ","
    nonce = b64(os.urandom(12))
    bare = "n=%s,r=%s" % (name.replace("=", "=3D").replace(",", "=2C"), nonce)
    first = options.get("first", header + bare)
    answer = lines.say("AUTH %s %s" % (mechanism, b64(first)))
    server_first = challenge(answer)
    if server_first is None:
        return answer
    parts = dict(p.split("=", 1) for p in server_first.split(","))
    assert parts["r"].startswith(nonce) and len(parts["r"]) > len(nonce), server_first
    salt, iterations = base64.b64decode(parts["s"]), int(parts["i"])
    if options.get("print") == "salt":
        print(parts["s"], iterations)
    binding = b""
    if flag.startswith("p") and options.get("binding") != "none":
        binding = lines.s.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        if options.get("binding") == "wrong":
            binding = binding[::-1]
    without = "c=%s,r=%s" % (b64(header.encode() + binding), nonce if options.get("nonce") == "wrong" else parts["r"])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    message = ",".join((bare, server_first, without)).encode()
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    if options.get("proof") == "wrong":
        proof = bytes([proof[0] ^ 1]) + proof[1:]
    answer = lines.say(b64(options.get("final", without + ",p=" + b64(proof))))
    server_final = challenge(answer)
    if server_final is None:
        return answer
    wanted = b64(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256"))
    assert server_final == "v=" + wanted, server_final  # the server knows the password too
    return lines.say(options.get("last", ""))


for _ in range(int(options.get("times", "1"))):
    print(log_in())
