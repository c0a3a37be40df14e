"""ICC profiles for tests, put together tag by tag."""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.3290))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290))


def xyz_matrix(primaries):
    """Linear RGB to XYZ under the space's own white."""
    x, y = np.array(primaries).T
    columns = np.array([x / y, np.ones(4), (1 - x - y) / y])
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])


def adapted(primaries):
    """Linear RGB to XYZ under D50."""
    matrix = xyz_matrix(primaries)
    scale = np.diag(BRADFORD @ D50 / (BRADFORD @ matrix.sum(axis=1)))
    return np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ matrix


def profile(space, tags, connection=b"XYZ ", name="test"):
    """The bytes of a profile for pictures of `space` (b"RGB ")."""
    text = name.encode("ascii") + b"\0"
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": described, b"wtpt": xyz(D50), b"cprt": b"text" + bytes(4) + b"none\0", **tags}
    at, table, body = 132 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        table += tag + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = bytearray(128)
    head[8:12] = b"\x02\x40\x00\x00"
    head[12:24] = b"mntr" + space + connection
    head[36:40] = b"acsp"
    head[68:80] = xyz(D50)[8:]
    data = bytes(head) + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(data)) + data[4:]


def matrix_profile(primaries, curve, name="test"):
    """A profile of primaries and one curve, as a tag."""
    matrix = adapted(primaries)
    columns = {letter + b"XYZ": xyz(column) for letter, column in zip((b"r", b"g", b"b"), matrix.T, strict=True)}
    return profile(b"RGB ", columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve), name=name)


def xyz(values):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def gamma(exponent):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * exponent))


def table(values):
    return (
        b"curv"
        + bytes(4)
        + struct.pack(f">I{len(values)}H", len(values), *np.rint(65535 * np.array(values)).astype(int))
    )


def formula(kind, *numbers):
    return b"para" + bytes(4) + struct.pack(f">HH{len(numbers)}i", kind, 0, *(round(65536 * n) for n in numbers))


SRGB_FORMULA = formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def tables(space, colours, grid):
    """A profile made of a table: the colours (L*, a*, b*) of the corners of `grid` steps of each ink or light."""
    channels = len(space.strip())
    lab = np.array(colours, dtype=float)
    codes = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], axis=-1)
    ends = struct.pack(">2H", 0, 65535)
    body = struct.pack(">4B", channels, 3, grid, 0)
    body += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + struct.pack(">2H", 2, 2)
    body += ends * channels + np.rint(codes).astype(">u2").tobytes() + ends * 3
    return profile(space, {b"A2B0": b"mft2" + bytes(4) + body}, b"Lab ")
