#!/usr/bin/env python3
"""memory-holds.py PID HEX: exit code 0 if the writable memory of process PID holds these bytes, in
either order (libraries keep numbers as words of their machine), else 1."""
import sys

pid, needle = sys.argv[1], bytes.fromhex(sys.argv[2])[-32:]
found = False
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
    for line in maps:
        span, rights = line.split()[:2]
        if not rights.startswith("rw"):
            continue
        start, end = (int(part, 16) for part in span.split("-"))
        if end - start > 1 << 28:  # the shadow of a sanitizer, which holds no bytes of the program
            continue
        try:
            memory.seek(start)
            content = memory.read(end - start)
        except (OSError, ValueError, OverflowError):
            continue
        if needle in content or needle[::-1] in content:
            found = True
sys.exit(0 if found else 1)
