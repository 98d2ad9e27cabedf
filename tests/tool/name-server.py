#!/usr/bin/python3
"""name-server.py PORT FILE

A name server for tests on 127.0.0.1, UDP alone. FILE: lines NAME TYPE VALUE (A, AAAA, PTR, CNAME, MX "10 HOST",
TXT), read anew for each question; `NAME silent` never answers, `NAME servfail` says SERVFAIL. What is not there does
not exist (NXDOMAIN)."""
import ipaddress
import socket
import struct
import sys

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}


def wire_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def rdata(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        preference, host = value.split()
        return struct.pack("!H", int(preference)) + wire_name(host)
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    return wire_name(value)


def records(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, kind, *value = line.split(None, 2) or ("", "")
            if name:
                yield name.lower().rstrip("."), kind, "".join(value).strip()


def answer(query, path):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    question, asked = query[12:at + 5], struct.unpack("!H", query[at + 1:at + 3])[0]
    name = ".".join(labels).lower()
    known = [(kind, value) for owner, kind, value in records(path) if owner == name]
    if any(kind == "silent" for kind, _ in known):
        return None
    if any(kind == "servfail" for kind, _ in known):
        return query[:2] + struct.pack("!HHHHH", 0x8582, 1, 0, 0, 0) + question
    found = [(TYPES[kind], rdata(kind, value)) for kind, value in known if TYPES[kind] in (asked, TYPES["CNAME"])]
    head = query[:2] + struct.pack("!HHHHH", 0x8580 | (0 if known else 3), 1, len(found), 0, 0)
    return head + question + b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for kind, data in found)


def main(port, path):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", port))
    print("ready", flush=True)
    while True:
        query, client = server.recvfrom(4096)
        try:
            reply = answer(query, path)
        except (IndexError, struct.error, ValueError):
            continue
        if reply:
            server.sendto(reply, client)


main(int(sys.argv[1]), sys.argv[2])
