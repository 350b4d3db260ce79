#!/usr/bin/env python3
"""Makes one end of a veth pair the untagged side of a VLAN on a network device.

  tag.py DEVICE [END VLAN]…   in the namespace of all, as root, with /sys/fs/bpf mounted

What comes out of END leaves DEVICE with the tag; what comes into DEVICE with the tag goes into END
without it; all else passes by. The same as a device of the kernel's 8021q, which not every kernel
has. Offloads stay as they are: a frame of 64 KiB is tagged as a whole.

Two programs of a few instructions each, at the ingress of either device (tc-bpf(8)).
"""

import ctypes
import socket
import struct
import subprocess
import sys

SYSCALL_BPF = 321  # x86-64
PROG_LOAD, OBJ_PIN = 5, 6
SCHED_CLS = 3

VLAN_PUSH, VLAN_POP, REDIRECT = 18, 19, 23  # helpers
VLAN_PRESENT, VLAN_TCI = 20, 24  # offsets in struct __sk_buff
ETHERTYPE_TAG = socket.htons(0x8100)
TC_ACT_OK = 0


def instruction(code, to=0, source=0, offset=0, value=0):
    return struct.pack("<BBhi", code, source << 4 | to, offset, value)


def move(to, value):
    return instruction(0xB7, to, value=value)


def load(to, source, offset):
    return instruction(0x61, to, source, offset)


def keep_bits(to, mask):
    return instruction(0x57, to, value=mask)


def skip_unless_equal(register, value, count):
    return instruction(0x55, register, offset=count, value=value)


def skip_if_equal(register, value, count):
    return instruction(0x15, register, offset=count, value=value)


def call(helper):
    return instruction(0x85, value=helper)


EXIT = instruction(0x95)


def out_of(device):
    """Sends the frame out of this device."""
    return [move(1, socket.if_nametoindex(device)), move(2, 0), call(REDIRECT), EXIT]


def tagging(device, vlan):
    return [move(2, ETHERTYPE_TAG), move(3, vlan), call(VLAN_PUSH), *out_of(device)]


def untagging(ends):
    """`ends`: pairs of a device and a VLAN."""
    found = []
    for end, vlan in ends:
        this_one = [call(VLAN_POP), *out_of(end)]
        found += [skip_unless_equal(2, vlan, len(this_one)), *this_one]
    return [
        load(2, 1, VLAN_PRESENT),
        skip_if_equal(2, 0, 2 + len(found)),
        load(2, 1, VLAN_TCI),
        keep_bits(2, 0xFFF),
        *found,
        move(0, TC_ACT_OK),
        EXIT,
    ]


def bpf(command, *fields):
    """The system call, its argument as pairs of a format and a value."""
    argument = struct.pack("=" + "".join(form for form, _ in fields), *(value for _, value in fields))
    argument = ctypes.create_string_buffer(argument.ljust(128, b"\0"), 128)
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(SYSCALL_BPF, command, argument, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result


def attach(device, program):
    """Runs a program for all that comes into a device."""
    code = b"".join(program)
    code_buffer, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"MIT")
    loaded = bpf(
        PROG_LOAD,
        ("I", SCHED_CLS),
        ("I", len(program)),
        ("Q", ctypes.addressof(code_buffer)),
        ("Q", ctypes.addressof(licence)),
    )
    pin = f"/sys/fs/bpf/{device}"
    path = ctypes.create_string_buffer(pin.encode())
    bpf(OBJ_PIN, ("Q", ctypes.addressof(path)), ("I", loaded))
    tc("qdisc", "add", "dev", device, "clsact")
    tc("filter", "add", "dev", device, "ingress", "bpf", "direct-action", "object-pinned", pin)


def tc(*words):
    subprocess.run(["tc", *words], check=True)


def main():
    device, *rest = sys.argv[1:]
    ends = [(end, int(vlan)) for end, vlan in zip(rest[::2], rest[1::2], strict=True)]
    for end, vlan in ends:
        attach(end, tagging(device, vlan))
    attach(device, untagging(ends))


main()
