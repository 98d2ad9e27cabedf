#!/usr/bin/python3
"""dkim-verify.py MESSAGE RECORD

Says whether the one DKIM signature of MESSAGE is right, by python3-dkim, which asks no DNS but the file RECORD: a line
NAME TXT "STRING".. as a zone file has it. Prints the signature's tags, a line each; exit code 1 when it is wrong."""
import re
import sys

import dkim


def main(path, record):
    with open(path, "rb") as file:
        message = file.read()
    with open(record, encoding="ascii") as file:
        name, kind, strings = file.read().split(None, 2)
    strings = re.findall(r'"([^"]*)"', strings)
    assert kind == "TXT" and all(len(string) <= 255 for string in strings), strings
    found = [value for key, value in dkim.DKIM(message).headers if key.lower() == b"dkim-signature"]
    assert len(found) == 1, found
    for tag in re.sub(r"\s+", "", found[0].decode()).split(";"):
        print(tag)
    known = {name.encode(): "".join(strings).encode()}
    signer = dkim.DKIM(message, minkey=1024, tlsrpt="strict")
    return 0 if signer.verify(dnsfunc=lambda asked, timeout=5: known.get(asked)) else 1


sys.exit(main(*sys.argv[1:]))
