#!/usr/bin/python3 -IS
"""free-ports.py N: prints N loopback ports, free for TCP and for UDP (name servers use both), reserved for this user's tests until
free-ports.py --release PORT.. gives them back. The ports lie below the range that the kernel hands
to outgoing connections, so that no client can take one before the daemon binds it. It runs often: only modules that load fast."""
import os
import socket
import sys
import time

FOLDER = "%s/dawk-test-ports.%d" % (os.environ.get("TMPDIR", "/tmp"), os.getuid())


def is_free(port):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(family, kind) as s:
                    s.bind((address, port))
            except OSError as error:
                if error.errno == 98:   # EADDRINUSE; no IPv6 is no reason
                    return False
    return True


def reserve(port):
    name = os.path.join(FOLDER, str(port))
    try:
        if time.time() - os.stat(name).st_mtime > 3600:
            os.unlink(name)             # of a test run that was killed
    except FileNotFoundError:
        pass
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    if is_free(port):
        return True
    os.unlink(name)
    return False


def main():
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    if sys.argv[1:2] == ["--release"]:
        for port in sys.argv[2:]:
            try:
                os.unlink(os.path.join(FOLDER, port))
            except FileNotFoundError:
                pass
        return
    ports = []
    while len(ports) < int(sys.argv[1]):
        port = 10000 + int.from_bytes(os.urandom(4), "little") % 20000
        if reserve(port):
            ports.append(port)
    print(*ports)


main()
