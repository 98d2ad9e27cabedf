#!/usr/bin/python3
"""sts-host.py ADDRESS PORT FOLDER

An HTTPS host for tests: of any number of names, each with FOLDER/NAME.pem (key, certificate) and FOLDER/NAME.http, which
says what it answers, read anew each time: first a line of status and headers separated by '|', then the body. A first line
`slow` answers nothing, `drip` a byte a second, `huge` endless lines; `chunked` sends the body in chunks, `close` and `cut` without
a length, up to the end of the connection, in order or not. Each request is a line on standard output: NAME METHOD PATH
LENGTH; what was posted lies in FOLDER/NAME.posted."""
import os
import socket
import ssl
import sys
import threading
import time


def choose(folder, default):
    def by_name(connection, name, _context):
        path = os.path.join(folder, f"{name}.pem")
        if name and os.path.exists(path):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
            connection.context = context
    default.sni_callback = by_name
    return default


def read_request(stream):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = stream.recv(4096)
        if not piece:
            return None
        head += piece
    head, body = head.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    headers = {key.lower(): value.strip() for key, value in (line.split(":", 1) for line in lines[1:])}
    while len(body) < int(headers.get("content-length", 0)):
        body += stream.recv(65536)
    return lines[0].split(), headers, body


def answer(stream, folder):
    request = read_request(stream)
    if not request:
        return
    (method, path, _), headers, body = request
    name = headers.get("host", "").split(":")[0]
    print(name, method, path, len(body), headers.get("content-type", "-"), flush=True)
    if method == "POST":
        with open(os.path.join(folder, f"{name}.posted"), "wb") as file:
            file.write(body)
    with open(os.path.join(folder, f"{name}.http"), "rb") as file:
        first, _, text = file.read().partition(b"\n")
    if first == b"slow":
        time.sleep(1800)
    if first in (b"drip", b"huge"):
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nversion: STSv1\n")
        while True:
            stream.sendall(b"x: y\n" if first == b"drip" else b"mx: mail.example\n" * 1000)
            time.sleep(1 if first == b"drip" else 0)
    if first in (b"chunked", b"close", b"cut"):
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if first == b"chunked" else b"\r\n"))
        for line in text.splitlines(keepends=True):
            stream.sendall(b"%x\r\n%s\r\n" % (len(line), line) if first == b"chunked" else line)
        if first == b"chunked":
            stream.sendall(b"0\r\n\r\n")
        if first == b"close":
            stream.unwrap()
        return
    status, *more = first.decode().split("|")
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(text)}", "Connection: close", *more]
    stream.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + text)


def serve(connection, context, folder):
    try:
        connection.settimeout(120)
        with context.wrap_socket(connection, server_side=True) as stream:
            answer(stream, folder)
    except (OSError, ValueError) as error:
        print("trouble", error, flush=True)


def main(address, port, folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "default.pem"))
    choose(folder, context)
    listener = socket.create_server((address, int(port)), backlog=100)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context, folder), daemon=True).start()


main(*sys.argv[1:])
