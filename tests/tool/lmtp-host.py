#!/usr/bin/python3
"""lmtp-host.py ADDRESS:PORT|/SOCKET FOLDER: aiosmtpd as a host that takes mail by LMTP (RFC 2033).

Each recipient's message becomes FOLDER/LOCAL-PART.N. `full` is deferred after the data, `never` refused there,
`nobody` refused at RCPT. Says "ready"; ends when it is told to, or after half an hour."""
import asyncio
import os
import sys

from aiosmtpd.lmtp import LMTP


class Handler:
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        replies = []
        for address in envelope.rcpt_tos:
            local = address.partition("@")[0]
            if local in ("full", "never"):
                replies.append("452 4.2.2 mailbox full" if local == "full" else "550 5.7.1 not wanted")
                continue
            Handler.count += 1
            with open(os.path.join(sys.argv[2], "%s.%d" % (local, Handler.count)), "wb") as out:
                out.write(envelope.original_content)
            replies.append("250 2.0.0 <%s> saved" % address)
        return "\r\n".join(replies)


async def main(place):
    loop = asyncio.get_running_loop()

    def make():
        return LMTP(Handler(), hostname="lmtp.example", loop=loop, decode_data=False)
    if place.startswith("/"):
        await loop.create_unix_server(make, path=place)
        os.chmod(place, 0o666)
    else:
        await loop.create_server(make, *place.rsplit(":", 1))
    print("ready", flush=True)
    await asyncio.sleep(1800)


asyncio.run(main(sys.argv[1]))
