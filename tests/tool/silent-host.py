#!/usr/bin/python3
"""silent-host.py ADDRESS PORT: a host to which connections are neither made nor refused, as behind a firewall.

Its listen queue is full: the kernel drops what asks for more. Says "ready"; ends when it is told to, or after
half an hour."""
import socket
import sys
import time

family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
listener = socket.socket(family)
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen(0)
filling = [socket.socket(family) for _ in range(3)]
for one in filling:
    one.setblocking(False)
    one.connect_ex((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
time.sleep(1800)
