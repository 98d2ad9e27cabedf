#!/usr/bin/python3
"""report.py FILE: prints the facts of a delivery status notification, a line each."""
import email
import email.policy
import sys

with open(sys.argv[1], "rb") as file:
    message = email.message_from_binary_file(file, policy=email.policy.default)
if message.defects:
    print("defects:", message.defects)
print("type: %s; report-type=%s" % (message.get_content_type(), message.get_param("report-type")))
print("parts:", *(part.get_content_type() for part in message.iter_parts()))
for name in ("Return-Path", "From", "To", "Subject", "Auto-Submitted", "Date", "Message-ID"):
    print("%s: %s" % (name.lower(), message.get(name)))
text, status, returned = message.iter_parts()
print("text:", text.get_content())
blocks = status.get_payload()
for number, block in enumerate(blocks):
    for name, value in block.items():
        print("%s: %s: %s" % ("recipient %d" % number if number else "message", name.lower(), value))
content = returned.get_payload(0).as_string() if returned.get_content_type() == "message/rfc822" else returned.get_content()
for line in (content.decode() if isinstance(content, bytes) else content).splitlines():
    print("returned: " + line)
