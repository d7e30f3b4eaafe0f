"""What a library or wasm file says of itself: for which system and CPU it is, what it needs, what it offers."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

ELF_MACHINES = {62: "x86_64", 183: "arm64"}
PE_MACHINES = {0x8664: "x86_64", 0xAA64: "arm64"}
MACH_MACHINES = {0x01000007: "x86_64", 0x0100000C: "arm64"}


@dataclass
class Binary:
    """One file. `marks`: parts that the system wants to see, by name."""

    system: str
    machine: str
    needs: list[str] = field(default_factory=list)  # other libraries
    imports: list[str] = field(default_factory=list)  # functions of others
    exports: list[str] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)


def read_binary(path: Path) -> Binary:
    """Reads ELF, PE, Mach-O or wasm."""
    data = path.read_bytes()
    if data[:4] == b"\x7fELF":
        return _elf(data)
    if data[:2] == b"MZ":
        return _pe(data)
    if data[:4] == b"\xcf\xfa\xed\xfe":
        return _mach(data)
    assert data[:8] == b"\0asm\1\0\0\0", f"{path} is no library"
    return _wasm(data)


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _elf(data: bytes) -> Binary:
    assert data[4:6] == b"\2\1", "64 bits, little endian"
    machine = struct.unpack_from("<H", data, 18)[0]
    headers, sections = struct.unpack_from("<QQ", data, 32)
    size, count, section_size, section_count = struct.unpack_from("<HHHH", data, 54)
    found = Binary("linux", ELF_MACHINES.get(machine, str(machine)))
    for i in range(count):
        kind, flags = struct.unpack_from("<II", data, headers + i * size)
        if kind == 0x6474E551:  # PT_GNU_STACK
            found.marks.add("executable stack" if flags & 1 else "stack")
    table = [struct.unpack_from("<IIQQQQIIQQ", data, sections + i * section_size) for i in range(section_count)]
    for _, kind, _, _, at, length, link, *_ in table:
        names = table[link][4] if link < len(table) else 0
        if kind == 6:  # SHT_DYNAMIC
            for tag, value in struct.iter_unpack("<qQ", data[at : at + length]):
                if tag == 1:  # DT_NEEDED
                    found.needs.append(_text(data, names + value))
        if kind == 11:  # SHT_DYNSYM
            for name, _, _, section, _, _ in struct.iter_unpack("<IBBHQQ", data[at + 24 : at + length]):
                (found.exports if section else found.imports).append(_text(data, names + name))
    return found


def _pe(data: bytes) -> Binary:
    at = struct.unpack_from("<I", data, 60)[0]
    assert data[at : at + 4] == b"PE\0\0"
    machine, sections, _, _, _, optional, _ = struct.unpack_from("<HHIIIHH", data, at + 4)
    assert struct.unpack_from("<H", data, at + 24)[0] == 0x20B, "64 bits"
    found = Binary("windows", PE_MACHINES.get(machine, str(machine)))
    flags = struct.unpack_from("<H", data, at + 24 + 70)[0]
    found.marks |= {name for bit, name in ((0x40, "any address"), (0x100, "no executable data")) if flags & bit}
    exports, _, imports, _ = struct.unpack_from("<IIII", data, at + 24 + 112)
    table = [struct.unpack_from("<8sIIII", data, at + 24 + optional + 40 * i) for i in range(sections)]

    def place(address: int) -> int:
        return next(address - start + where for _, size, start, _, where in table if start <= address < start + max(size, 1))

    if imports:
        found.needs.append("something")
    if exports:
        count, _, names = struct.unpack_from("<III", data, place(exports) + 24)
        found.exports = [_text(data, place(struct.unpack_from("<I", data, place(names) + 4 * i)[0])) for i in range(count)]
    return found


def _mach(data: bytes) -> Binary:
    machine, _, kind, commands = struct.unpack_from("<IIII", data, 4)
    assert kind == 6, "a library"
    found = Binary("macos", MACH_MACHINES.get(machine, str(machine)))
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", data, at)
        if command == 0xC:  # LC_LOAD_DYLIB
            found.needs.append(_text(data, at + struct.unpack_from("<I", data, at + 8)[0]))
        if command == 2:  # LC_SYMTAB
            symbols, count, names, _ = struct.unpack_from("<IIII", data, at + 8)
            for name, kind, _, _, _ in struct.iter_unpack("<IBBHQ", data[symbols : symbols + 16 * count]):
                if kind & 1 and not kind & 0xE0:  # external, no debugging
                    (found.exports if kind & 0xE else found.imports).append(_text(data, names + name)[1:])
        found.marks |= {{0x1D: "signature", 0x1B: "uuid", 0x32: "version", 0x24: "version"}.get(command, "other")}
        at += size
    return found


def _wasm(data: bytes) -> Binary:
    found, at = Binary("wasm", "wasm32"), 8

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def text() -> str:
        nonlocal at
        length = number()
        at += length
        return data[at - length : at].decode()

    while at < len(data):
        section, size = data[at], 0
        at += 1
        size = number()
        end = at + size
        if section == 2:  # imports; the memory alone
            for _ in range(number()):
                found.imports.append(f"{text()}.{text()}")
                assert data[at] == 2, "a memory"
                at += 1
                shared = number()
                number()
                if shared & 1:
                    number()
        if section == 7:
            for _ in range(number()):
                found.exports.append(text())
                at += 1
                number()
        at = end
    return found
