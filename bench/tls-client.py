#!/usr/bin/python3
"""tls-client.py hold PORT COUNT FILE | knock PORT COUNT | send PORT BYTES clear|tls

hold: opens COUNT connections with TLS, reads each banner, writes the count to FILE and keeps them until FILE is gone.
knock: COUNT connections in clear, one after the other; reads the banner and closes.
send: a message of BYTES by SMTP, as fast as it goes; prints the seconds from DATA to its 250, and the client's CPU in it."""
import os
import socket
import ssl
import sys
import time


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def hold(port, count, file):
    tls, held = context(), []
    for _ in range(count):
        held.append(tls.wrap_socket(socket.create_connection(("127.0.0.1", port), 20)))
        held[-1].recv(4096)
    with open(file, "w", encoding="ascii") as out:
        out.write(str(len(held)))
    while os.path.exists(file):
        time.sleep(0.1)


def knock(port, count):
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.recv(4096)


def expect(file, code):
    while True:
        line = file.readline()
        if not line.startswith(code):
            sys.exit("%s expected, got %r" % (code, line))
        if line[3:4] != b"-":
            return


def send(port, size, is_tls):
    connection = socket.create_connection(("127.0.0.1", port), 60)
    file = connection.makefile("rb")
    expect(file, b"220")
    commands = [(b"EHLO bench.example", b"250")] + ([(b"STARTTLS", b"220")] if is_tls else [])
    for command, code in commands:
        connection.sendall(command + b"\r\n")
        expect(file, code)
    if is_tls:
        connection = context().wrap_socket(connection)
        file = connection.makefile("rb")
        connection.sendall(b"EHLO bench.example\r\n")
        expect(file, b"250")
    for command, code in ((b"MAIL FROM:<bob@client.example>", b"250"), (b"RCPT TO:<alice@local.example>", b"250"), (b"DATA", b"354")):
        connection.sendall(command + b"\r\n")
        expect(file, code)
    line = b"x" * 998 + b"\r\n"
    piece, left = line * 256, size
    started, cpu = time.monotonic(), time.process_time()
    connection.sendall(b"Subject: big\r\n\r\n")
    while left > 0:
        connection.sendall(piece)
        left -= len(piece)
    connection.sendall(b".\r\n")
    expect(file, b"250")
    print("%.3f %.3f" % (time.monotonic() - started, time.process_time() - cpu))


if sys.argv[1] == "hold":
    hold(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
elif sys.argv[1] == "knock":
    knock(int(sys.argv[2]), int(sys.argv[3]))
else:
    send(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "tls")
