#!/usr/bin/env python3
"""Plays an opener and a scheduler that speaks nonsense: bad-scheduler.py PROGRAM CONF [silent].

Starts PROGRAM with a control socket on descriptor 3, hands it a pipe to the "scheduler", sends bytes there that are no
frame (silent: closes the pipe instead, as a dead scheduler does) and waits at most 100 seconds for the end of the program,
which is how it gets a fresh pipe. Prints "ended CODE" or "alive".
"""
import array
import os
import socket
import struct
import subprocess
import sys

CHANNEL, VERSION = 1, 1


def frame(kind, has_descriptor, *fields):
    body = bytes([VERSION, kind, has_descriptor])
    for field in fields:
        body += struct.pack("=Q", field) if isinstance(field, int) else struct.pack("=I", len(field)) + field
    return struct.pack("=I", len(body)) + body


control, theirs = socket.socketpair()
scheduler, pipe = socket.socketpair()
child = subprocess.Popen([sys.argv[1], "-c", sys.argv[2]], pass_fds=[3], preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
theirs.close()
control.sendmsg([frame(CHANNEL, 1, b"scheduler", 0)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [pipe.fileno()]))])
pipe.close()
if "silent" not in sys.argv:
    scheduler.sendall(b"\xff" * 64)
    while scheduler.recv(4096):
        pass
scheduler.close()
try:
    print("ended", child.wait(100))
except subprocess.TimeoutExpired:
    print("alive")
    child.kill()
    child.wait()
