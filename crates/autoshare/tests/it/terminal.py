"""Runs a program in a terminal of its own, as a person would: waits for words, types, resizes, and says what came of it.

usage: terminal.py STEPS PROGRAM ARGUMENT...   (STEPS: JSON, [["wait", TEXT] | ["type", TEXT] | ["size", ROWS, COLUMNS]])
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

DEADLINE = time.monotonic() + 60


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


steps = json.loads(sys.argv[1])
go, ready = os.pipe()
pid, fd = pty.fork()
if pid == 0:
    os.read(go, 1)
    os.execv(sys.argv[2], sys.argv[2:])
resize(fd, 33, 101)
before = termios.tcgetattr(fd)
os.write(ready, b"g")

out = b""
seen = 0
open_ = True


def hear(patience):
    global out, open_
    if open_ and select.select([fd], [], [], patience)[0]:
        try:
            got = os.read(fd, 65536)
        except OSError:
            got = b""
        out += got
        open_ = bool(got)
    return open_


for step in steps:
    if step[0] == "wait":
        while step[1].encode() not in out[seen:] and time.monotonic() < DEADLINE and hear(0.1):
            pass
        at = out.find(step[1].encode(), seen)
        if at < 0:
            break
        seen = at + len(step[1])
    elif step[0] == "type":
        os.write(fd, step[1].encode())
    elif step[0] == "size":
        resize(fd, step[1], step[2])
after = None
status = None
while time.monotonic() < DEADLINE:
    hear(0.05)
    done, raw = os.waitpid(pid, os.WNOHANG)
    if done:
        status = os.waitstatus_to_exitcode(raw)
        while hear(0.2):
            pass
        break
if status is None:
    os.kill(pid, 9)
after = termios.tcgetattr(fd)
print(json.dumps({"out": out.decode(errors="replace"), "status": status, "as_before": before == after}))
