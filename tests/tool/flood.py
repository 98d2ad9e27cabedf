#!/usr/bin/python3
"""flood.py PORT COUNT ANSWERED [RECIPIENT..]: sends COUNT numbered messages over 8 connections at a
time until each has got its 250, through any loss of connection; writes "number N" of each answered one
to the file ANSWERED as it comes. A message whose answer was lost is sent again. Bounded: 300 s."""
import smtplib
import sys
import threading
import time

port, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
recipients = sys.argv[4:] or ["alice@local.example", "bob@local.example"]
deadline = time.monotonic() + 300
lock = threading.Lock()
waiting = list(range(count, 0, -1))
answered = open(path, "w", buffering=1)


def take():
    with lock:
        return waiting.pop() if waiting else None


def send(number):
    """True once it is answered 250; reconnects for each message after a loss."""
    text = "Subject: flood\r\n\r\nnumber %d\r\n%s\r\n" % (number, ("x" * 70 + "\r\n") * 40)
    session = getattr(local, "session", None)
    try:
        if session is None:
            session = local.session = smtplib.SMTP("127.0.0.1", port, local_hostname="flood.example", timeout=20)
        session.sendmail("bob@client.example", [recipients[number % len(recipients)]], text)
        return True
    except (smtplib.SMTPException, OSError):
        if session is not None:
            session.close()
        local.session = None
        time.sleep(0.02)
        return False


def work():
    while time.monotonic() < deadline:
        number = take()
        if number is None:
            break
        while time.monotonic() < deadline:
            if send(number):
                with lock:
                    answered.write("number %d\n" % number)
                break


local = threading.local()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(0 if time.monotonic() < deadline else 1)
