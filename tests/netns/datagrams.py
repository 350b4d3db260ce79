#!/usr/bin/env python3
"""Long datagrams there and back, so that both ways are fragments.

  datagrams.py serve NAME PORT ADDRESS…          answers with its name and what it was sent
  datagrams.py ask ADDRESS PORT COUNT BYTES      says which server answered how many

A server has a socket for each of its addresses, for an answer has to come from the one that was
asked. Whoever asks waits for each answer, and takes another port for every tenth datagram.
"""

import collections
import contextlib
import os
import selectors
import socket
import sys

ANSWER_SECONDS = 2
DATAGRAMS_PER_PORT = 10
NAME_BYTES = 2


def open_socket(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM)


def serve(name, port, addresses):
    waiting = selectors.DefaultSelector()
    for address in addresses:
        own = open_socket(address)
        own.bind((address, port))
        waiting.register(own, selectors.EVENT_READ)
    while True:
        for ready, _ in waiting.select():
            datagram, client = ready.fileobj.recvfrom(65535)
            # To some there is no way back.
            with contextlib.suppress(OSError):
                ready.fileobj.sendto(name.encode() + datagram, client)


def ask(address, port, count, length):
    answers = collections.Counter()
    for number in range(count):
        if number % DATAGRAMS_PER_PORT == 0:
            own = open_socket(address)
            own.settimeout(ANSWER_SECONDS)
            own.connect((address, port))
        answers[answer_to(own, os.urandom(length))] += 1
    print(*(f"{name}:{times}" for name, times in sorted(answers.items())))
    return sum(times for name, times in answers.items() if name.startswith("g")) == count


def answer_to(own, datagram):
    """Who answered to it, or why that is no answer."""
    try:
        own.send(datagram)
        answer = own.recv(65535)
    except OSError as trouble:
        return f"({trouble})"
    return answer[:NAME_BYTES].decode() if answer[NAME_BYTES:] == datagram else "(another datagram)"


def main():
    what, *rest = sys.argv[1:]
    if what == "serve":
        serve(rest[0], int(rest[1]), rest[2:])
    address, port, count, length = rest
    sys.exit(0 if ask(address, int(port), int(count), int(length)) else 1)


main()
