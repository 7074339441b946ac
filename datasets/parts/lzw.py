"""The format `.Z` of Unix compress: LZW with codes of 9 to 16 bits, lowest bit first.

Welch, "A technique for high-performance data compression", Computer 1984. The standard library doesn't read it.
"""

_MAGIC, _BLOCK, _CLEAR = b"\x1f\x9d", 0x80, 256


def decompress(data: bytes) -> bytes:
    """The unpacked bytes; ValueError where `data` is of another format or has a code that no encoder writes."""
    if data[:2] != _MAGIC or len(data) < 3 or not 9 <= data[2] & 0x1F <= 16:
        raise ValueError(f"its first three bytes are {data[:3].hex() or 'absent'}, which is no .Z file")
    most, block = data[2] & 0x1F, bool(data[2] & _BLOCK)
    start = [bytes([value]) for value in range(256)] + ([b""] if block else [])
    table, width, last, out, at = start.copy(), 9, b"", [], 3
    while at < len(data):
        # Codes come eight at a time, in `width` bytes; when the width changes, the rest of the eight is padding.
        chunk, at = data[at : at + width], at + width
        bits = int.from_bytes(chunk, "little")
        for i in range(len(chunk) * 8 // width):
            code = bits >> (i * width) & ((1 << width) - 1)
            if block and code == _CLEAR:
                table, width, last = start.copy(), 9, b""
                break
            if code > len(table) or (code == len(table) and not last):
                raise ValueError(f"it has the code {code} where {len(table)} are known, so it is damaged")
            entry = table[code] if code < len(table) else last + last[:1]
            out.append(entry)
            if last and len(table) < 1 << most:
                table.append(last + entry[:1])
            last = entry
            if len(table) == 1 << width and width < most:
                width += 1
                break
    return b"".join(out)
