"""Reading right without being asked, and refusing in one line."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from mlsolve.errors import InputError, OutputError
from mlsolve.pictures import picture_files


@pytest.fixture
def codes(rng):
    """A small colour picture of large squares, so that JPEG keeps it nearly as it is."""
    return np.kron(rng.integers(0, 256, (3, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)


def write(path, picture, **options):
    picture.save(path, **options)
    return path


def close(found, codes, tolerance=0.5):
    np.testing.assert_allclose(found * 255, codes, atol=tolerance)


@pytest.mark.parametrize(("name", "tolerance"), [("a.png", 0.5), ("a.tif", 0.5), ("a.bmp", 0.5), ("a.jpg", 12)])
def test_formats(tmp_path, codes, name, tolerance):
    options = {"quality": 100, "subsampling": 0} if name.endswith("jpg") else {}
    close(picture_files.load_picture(write(tmp_path / name, Image.fromarray(codes), **options)), codes, tolerance)


def test_the_content_counts_not_the_name(tmp_path, codes):
    path = tmp_path / "pattern.jpg"
    Image.fromarray(codes).save(path, "PNG")
    close(picture_files.load_picture(path), codes)


def test_webp(tmp_path, codes):
    close(picture_files.load_picture(write(tmp_path / "a.webp", Image.fromarray(codes), lossless=True)), codes)


def test_grey_stays_grey(tmp_path, codes):
    found = picture_files.load_picture(write(tmp_path / "a.png", Image.fromarray(codes[..., 0])))
    assert found.shape == (48, 64, 1)
    close(found[..., 0], codes[..., 0])


def test_black_and_white(tmp_path, codes):
    bits = Image.fromarray(codes[..., 0] > 127)
    close(picture_files.load_picture(write(tmp_path / "a.png", bits))[..., 0], (codes[..., 0] > 127) * 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_alpha_is_laid_over_white(tmp_path, codes, mode):
    rgba = Image.fromarray(np.dstack([codes, np.where(codes[..., 0] > 127, 255, 0).astype(np.uint8)]))
    picture = rgba if mode == "RGBA" else rgba.convert(mode)
    found = picture_files.load_picture(write(tmp_path / "a.png", picture))
    assert (found[codes[..., 0] <= 127] > 0.999).all()
    expected = np.asarray(picture.convert("RGBA"))[..., : found.shape[2]]
    seen = codes[..., 0] > 127
    close(found[seen], expected[seen])


@pytest.mark.parametrize("planes", [1, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits(tmp_path, rng, planes, suffix):
    deep = rng.integers(0, 65536, (20, 30, planes)).astype(np.uint16)
    if planes == 4:
        deep[..., 3] = 65535
    path = tmp_path / f"a.{suffix}"
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[planes]
    assert cv2.imwrite(str(path), deep[..., order])
    found = picture_files.load_picture(path)
    assert found.shape == (20, 30, min(planes, 3))
    np.testing.assert_allclose(found * 65535, deep[..., :3], atol=0.05)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_exif_orientation(tmp_path, orientation, deep):
    """Stored as the camera held it, shown upright: a red top left corner wherever it was stored."""
    upright = np.full((24, 40, 3), 40, np.uint8)
    upright[:12, :20] = [250, 10, 10]
    # What turns the stored picture upright (EXIF 2.3, §4.6.4), undone.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    stored = np.ascontiguousarray(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    if deep:
        data = cv2.imencode(".png", (stored.astype(np.uint16) * 257)[..., ::-1])[1].tobytes()
        path.write_bytes(with_chunk(data, b"eXIf", exif.tobytes().removeprefix(b"Exif\x00\x00")))
    else:
        Image.fromarray(stored).save(path, exif=exif)
    close(picture_files.load_picture(path), upright)


def with_chunk(png, kind, body):
    """Put a chunk behind the header of a PNG."""
    chunk = kind + body
    return png[:33] + struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


def test_cmyk_jpeg(tmp_path):
    """Cyan, magenta, yellow and white ink come out as such."""
    inks = np.zeros((32, 128, 4), np.uint8)
    for number in range(3):
        inks[:, 32 * number : 32 * number + 32, number] = 255
    path = write(tmp_path / "a.jpg", Image.fromarray(inks, mode="CMYK"), quality=100, subsampling=0)
    with pytest.warns(UserWarning, match="CMYK without a usable profile"):
        found = picture_files.load_picture(path)[16]
    for column, colour in ((16, (0, 1, 1)), (48, (1, 0, 1)), (80, (1, 1, 0)), (112, (1, 1, 1))):
        np.testing.assert_allclose(found[column], colour, atol=0.1)


def exchanged_primaries():
    """The bytes of a profile like sRGB, under another name, whose red and blue are exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {bytes(data[at : at + 4]): at + 4 for at in range(132, 132 + 12 * data[131], 12)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    data[red : red + 8], data[blue : blue + 8] = data[blue : blue + 8], data[red : red + 8]
    return bytes(data).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))


def test_colour_profile(tmp_path, codes):
    """A picture in another colour space is brought to sRGB; one in sRGB is left alone."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = write(tmp_path / "s.png", Image.fromarray(codes), icc_profile=srgb)
    close(picture_files.load_picture(same), codes)
    other = write(tmp_path / "x.png", Image.fromarray(codes), icc_profile=exchanged_primaries())
    close(picture_files.load_picture(other), codes[..., ::-1], 2)


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_colour_profile_of_palettes_and_with_alpha(tmp_path, codes, mode):
    picture = Image.fromarray(codes).convert(mode)
    expected = np.asarray(picture.convert("RGB"))[..., ::-1]
    close(
        picture_files.load_picture(write(tmp_path / "a.png", picture, icc_profile=exchanged_primaries())),
        expected,
        2,
    )


def test_colour_profile_of_grey(tmp_path, codes):
    """A linear grey profile: code 55 is 55/255 of the light, which sRGB writes as 128."""
    grey = Image.fromarray(np.full_like(codes[..., 0], 55))
    found = picture_files.load_picture(write(tmp_path / "a.png", grey, icc_profile=linear_grey()))
    assert found.shape == (48, 64, 1)
    close(found[..., 0], 128, 3)


def linear_grey():
    """The bytes of the least grey profile: white point, a curve that is a line, a name."""
    name = b"desc" + bytes(4) + struct.pack(">I", 7) + b"linear\x00" + bytes(12 + 67)
    entries = {
        b"desc": name + bytes(-len(name) % 4),
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": b"curv" + bytes(4) + struct.pack(">I", 0),
    }
    at, table, body = 132 + 12 * len(entries), b"", b""
    for tag, content in entries.items():
        table += tag + struct.pack(">II", at + len(body), len(content))
        body += content
    head = bytearray(128)
    head[8:12] = b"\x02\x10\x00\x00"
    head[12:24] = b"mntrGRAYXYZ "
    head[36:40] = b"acsp"
    head[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    data = bytes(head) + struct.pack(">I", len(entries)) + table + body
    return struct.pack(">I", len(data)) + data[4:]


def test_colour_profile_of_16_bits(tmp_path, codes):
    path = tmp_path / "a.png"
    data = cv2.imencode(".png", (codes.astype(np.uint16) * 257)[..., ::-1])[1].tobytes()
    body = b"test\x00\x00" + zlib.compress(exchanged_primaries())
    path.write_bytes(with_chunk(data, b"iCCP", body))
    close(picture_files.load_picture(path), codes[..., ::-1], 2)


def test_a_broken_profile_is_passed_over(tmp_path, codes):
    path = write(tmp_path / "a.png", Image.fromarray(codes), icc_profile=b"no profile")
    with pytest.warns(UserWarning, match="its colour profile is ignored"):
        close(picture_files.load_picture(path), codes)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.bmp", "a.webp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_a_cut_file(tmp_path, rng, name, share):
    path = write(tmp_path / name, Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"is truncated or damaged|is not a picture") as error:
        picture_files.load_picture(path)
    assert "\n" not in str(error.value)


def test_a_cut_16_bit_file(tmp_path, rng):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), rng.integers(0, 65536, (64, 64, 3)).astype(np.uint16))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="is truncated or damaged"):
        picture_files.load_picture(path)


def test_no_picture(tmp_path):
    for name, content, words in (
        ("empty.png", b"", "is empty"),
        ("text.png", b"hello" * 100, "is not a picture"),
        ("pdf.jpg", b"%PDF-1.7\n" + bytes(500), "is not a picture"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words) as error:
            picture_files.load_picture(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
    with pytest.raises(InputError, match="does not exist"):
        picture_files.load_picture(tmp_path / "missing.png")
    with pytest.raises(InputError, match="is a folder"):
        picture_files.load_picture(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match="is not a regular file"):
            picture_files.load_picture(tmp_path / "pipe")


def test_decoders_do_not_talk_on_standard_error(tmp_path, rng, capfd):
    """A refusal is one line, and a picture that can be read is read in silence."""
    deep = tmp_path / "deep.tif"
    assert cv2.imwrite(str(deep), rng.integers(0, 65536, (20, 30, 4)).astype(np.uint16))
    picture_files.load_picture(deep)
    data = deep.read_bytes()
    for length in (20, 40, 200):
        (tmp_path / "cut.tif").write_bytes(data[:length])
        with pytest.raises(InputError):
            picture_files.load_picture(tmp_path / "cut.tif")
    assert capfd.readouterr().err == ""


def test_float_pixels_are_refused_by_name(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((20, 20), 0.5, np.float32)).save(path)
    with pytest.raises(InputError, match="has pixels of type F: save it as 8- or 16-bit"):
        picture_files.load_picture(path)


def test_png_is_written_whole_and_the_same(tmp_path, codes):
    picture_files.save_png(tmp_path / "a.png", codes)
    picture_files.save_png(tmp_path / "b.png", codes)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    close(picture_files.load_picture(tmp_path / "a.png"), codes)
    assert Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())).info["srgb"] == 0
    picture_files.save_png(tmp_path / "g.png", codes[..., :1])
    assert picture_files.load_picture(tmp_path / "g.png").shape == (48, 64, 1)
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        picture_files.save_png(tmp_path / "no" / "a.png", codes)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.png", "b.png", "g.png"]
