#!/usr/bin/python3
"""tls-load.py PORT [--starttls] [--clients N] --until FILE

Handshake after handshake by N clients (4) until FILE exists; no session is resumed. Prints a line "COUNT FINGERPRINT" for each
certificate that was served and how often, last "failed COUNT", with the first failures on standard error."""
import argparse
import collections
import hashlib
import os
import socket
import ssl
import sys
import threading

served, failures, lock = collections.Counter(), [], threading.Lock()


def one(port, starttls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 60) as plain:
        if starttls:
            file = plain.makefile("rb")
            file.readline()
            plain.sendall(b"EHLO load.example\r\n")
            while file.readline()[3:4] == b"-":
                pass
            plain.sendall(b"STARTTLS\r\n")
            if not file.readline().startswith(b"220"):
                raise OSError("no 220")
        with context.wrap_socket(plain) as secure:
            secure.sendall(b"QUIT\r\n")
            while secure.recv(4096):
                pass
            return hashlib.sha256(secure.getpeercert(True)).hexdigest()


def client(arguments):
    while not os.path.exists(arguments.until):
        try:
            fingerprint = one(arguments.port, arguments.starttls)
            with lock:
                served[fingerprint] += 1
        except OSError as error:
            with lock:
                failures.append(error)


parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("--starttls", action="store_true")
parser.add_argument("--clients", type=int, default=4)
parser.add_argument("--until", required=True)
options = parser.parse_args()
threads = [threading.Thread(target=client, args=(options,)) for _ in range(options.clients)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for name, count in served.items():
    print(count, name)
for failure in failures[:5]:
    print(failure, file=sys.stderr)
print("failed", len(failures))
