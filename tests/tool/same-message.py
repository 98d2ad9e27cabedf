#!/usr/bin/python3
"""same-message.py [--text] ORIGINAL RECEIVED: is RECEIVED the ORIGINAL with trace fields in front?

Line ends may be CRLF or LF. Return-Path, Delivered-To and Received fields on top of RECEIVED are
set aside, all the rest must be equal byte by byte. With --text, for clients that make the header
and choose the encoding by themselves: the decoded text of RECEIVED must equal the body of ORIGINAL."""
import email
import email.policy
import re
import sys

TRACE = re.compile(rb"\A(?:(?:Return-Path|Delivered-To|X-Original-To|Received):[^\n]*\n(?:[ \t][^\n]*\n)*)+", re.I)


def read(path):
    with open(path, "rb") as file:
        return file.read().replace(b"\r\n", b"\n")


def main(arguments):
    as_text = arguments[0] == "--text"
    original, received = (read(path) for path in arguments[-2:])
    if not TRACE.match(received):
        sys.exit("no trace field on top of %s" % arguments[-1])
    if as_text:
        message = email.message_from_bytes(received, policy=email.policy.default)
        received = message.get_content().encode("utf-8").rstrip(b"\n")
        original = original.partition(b"\n\n")[2].rstrip(b"\n")
    else:
        received = TRACE.sub(b"", received, 1)
    if original == received:
        return
    pairs = zip(original.split(b"\n") + [None], received.split(b"\n") + [None])
    for number, (a, b) in enumerate(pairs, 1):
        if a != b:
            sys.exit("line %d differs:\n  sent     %r\n  received %r" % (number, a, b))
    sys.exit("%d bytes were sent, %d received" % (len(original), len(received)))


main(sys.argv[1:])
