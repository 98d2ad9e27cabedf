#!/usr/bin/python3
"""A file server that has gone away: mounts itself by FUSE over FOLDER; whoever touches what lies there waits until it ends.

    dead-mount.py [--takes] FOLDER

Prints "dead" once it is mounted. Who waits can be killed, as with NFS; with --takes nobody can, as with a disk that hangs: the
kernel has handed the request over and wants its answer. Ends, and unmounts, on SIGTERM: the folder is as it was, and who waits
gets an error."""
import ctypes
import os
import signal
import struct
import sys

INIT, HEADER = 26, struct.Struct("=IIQQIIIHH")	# length opcode unique node uid gid pid
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def greet(device):
    """The kernel says INIT first; the version is all that it needs to know."""
    request = os.read(device, 1 << 17)
    _, opcode, unique = HEADER.unpack_from(request)[:3]
    assert opcode == INIT, opcode
    body = struct.pack("=IIIIHHIIHHI28x", 7, 31, 1 << 16, 0, 12, 9, 1 << 16, 1, 0, 0, 0)
    os.write(device, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)


def main():
    takes, folder = sys.argv[1] == "--takes", os.fsencode(sys.argv[-1])
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = b"fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other,default_permissions" % device
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    check(libc.mount(b"dead", folder, b"fuse.dead", 6, options))	# nosuid, nodev
    greet(device)
    if takes:
        import threading
        threading.Thread(target=take_all, args=(device,), daemon=True).start()
    print("dead", flush=True)
    signal.sigwait([signal.SIGTERM])
    check(libc.umount2(folder, MNT_DETACH))
    os._exit(0)


def take_all(device):
    try:
        while True:
            os.read(device, 1 << 17)
    except OSError:	# unmounted
        pass


main()
