"""Picture files of any size: read in bands, written in whatever portions their rows come."""

import io
import itertools
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from mlsolve.errors import InputError, OutputError
from mlsolve.pictures import picture_files
from mlsolve.pictures.decoders import stored
from mlsolve.pictures.writers import srgb_profile, tiff
from test_images import exchanged_primaries, with_chunk


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Decoders give these small pictures in as many portions as large ones."""
    monkeypatch.setattr(stored, "CHUNK", 1)


@pytest.fixture
def codes(rng):
    return rng.integers(0, 256, (101, 83, 3)).astype(np.uint8)


def whole(path, rows=1000):
    return np.concatenate(list(picture_files.open_picture(path).bands(rows)))


def same(path, codes):
    """The file holds `codes`, uint8 or uint16, and gives them in bands of any size."""
    expected = codes.reshape(*codes.shape[:2], -1).astype(np.uint16) * (257 if codes.dtype == np.uint8 else 1)
    for rows in (1, 7, 16, 64, 1000):
        bands = list(picture_files.open_picture(path).bands(rows))
        assert all(band.dtype == np.uint16 and band.flags.c_contiguous for band in bands)
        assert [len(band) for band in bands[:-1]] == [rows] * (len(bands) - 1)
        np.testing.assert_array_equal(np.concatenate(bands), expected)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize(
    "layout",
    [
        {"tile": (32, 16)},
        {"tile": (16, 48), "bigtiff": True},
        {"tile": (32, 32), "compression": "zlib", "predictor": True},
        {"rowsperstrip": 1},
        {"rowsperstrip": 6},
        {"rowsperstrip": 20, "compression": "zlib"},
        {"rowsperstrip": 101, "bigtiff": True, "byteorder": ">"},
    ],
)
def test_tiff_layouts(tmp_path, rng, layout, planes, bits):
    deep = rng.integers(0, 2**bits, (101, 83, planes)).astype(f"u{bits // 8}")
    options = {"byteorder": "<", **layout}
    kind = "rgb" if planes == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", deep if planes == 3 else deep[..., 0], photometric=kind, **options)
    picture = picture_files.open_picture(tmp_path / "a.tif")
    assert (picture.size, picture.planes, picture.bits) == ((83, 101), planes, bits)
    same(tmp_path / "a.tif", deep)


@pytest.mark.parametrize("rows", [150, 300])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_with_large_strips(tmp_path, rng, rows, planar):
    deep = rng.integers(0, 256, (330, 20, 3)).astype(np.uint8)
    stored = np.moveaxis(deep, -1, 0) if planar == "separate" else deep
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, rowsperstrip=rows)
    same(tmp_path / "a.tif", deep)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_compressed_by_others(tmp_path, codes, compression):
    Image.fromarray(codes).save(tmp_path / "a.tif", compression=compression)
    same(tmp_path / "a.tif", codes)


def test_tiff_in_jpeg(tmp_path, codes):
    Image.fromarray(codes // 64 * 16).save(tmp_path / "a.tif", compression="jpeg", quality=100)
    found = whole(tmp_path / "a.tif") / 257
    np.testing.assert_allclose(found, np.asarray(Image.open(tmp_path / "a.tif")), atol=2)


def test_tiff_in_jpeg_with_large_strips(tmp_path, rng):
    """Of YCbCr libvips decodes a strip at once, however large."""
    codes = np.kron(rng.integers(0, 256, (22, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    picture = Image.fromarray(codes).convert("YCbCr")
    picture.save(tmp_path / "a.tif", compression="jpeg", quality=100, tiffinfo={278: 160})
    with Image.open(tmp_path / "a.tif") as opened:
        expected = np.asarray(opened.convert("RGB"))
    np.testing.assert_allclose(whole(tmp_path / "a.tif", 7) / 257, expected, atol=4)


def test_the_first_page_of_a_tiff(tmp_path, codes):
    Image.fromarray(codes).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(255 - codes)])
    with pytest.warns(UserWarning, match=r"a\.tif contains 2 pictures: only the first is read"):
        same(tmp_path / "a.tif", codes)


def test_channels_that_are_no_alpha(tmp_path, codes):
    """A TIFF tells whether a fourth channel is alpha, how, or none at all."""
    codes //= 5  # colours that are multiplied by their alpha are no larger
    four = np.dstack([codes, np.full(codes.shape[:2], 51, np.uint8)])
    for told, expected in (
        ("unspecified", codes),
        ("unassalpha", codes * 0.2 + 204),
        ("assocalpha", np.minimum(codes + 204.0, 255)),
    ):
        tifffile.imwrite(tmp_path / "a.tif", four, photometric="rgb", extrasamples=[told])
        np.testing.assert_allclose(whole(tmp_path / "a.tif") / 257, expected, atol=0.01)


def test_little_black_and_white(tmp_path, codes):
    """One bit a pixel, black or white told by 0, and four."""
    bits = codes[..., 0] > 127
    for name in ("a.png", "a.tif", "a.pbm"):
        Image.fromarray(bits).save(tmp_path / name)
        same(tmp_path / name, bits * np.uint8(255))
    tifffile.imwrite(tmp_path / "w.tif", codes[..., 0], photometric="miniswhite")
    same(tmp_path / "w.tif", 255 - codes[..., 0])
    sixteen = Image.fromarray(codes[..., 0] // 16)
    sixteen.putpalette([17 * value for value in range(16) for _ in "rgb"])
    sixteen.save(tmp_path / "p.png", bits=4)
    same(tmp_path / "p.png", np.repeat(codes[..., :1] // 16 * 17, 3, axis=2))


def test_png_wider_than_65535(tmp_path, rng):
    wide = rng.integers(0, 256, (13, 70001, 3)).astype(np.uint8)
    picture_files.save_png(tmp_path / "a.png", wide)
    assert picture_files.open_picture(tmp_path / "a.png").size == (70001, 13)
    same(tmp_path / "a.png", wide)


@pytest.mark.parametrize("largest", [1, 100, 255, 1023, 65535])
@pytest.mark.parametrize("planes", [1, 3])
def test_ppm(tmp_path, rng, planes, largest):
    values = rng.integers(0, largest + 1, (40, 30, planes))
    head = f"P{'5' if planes == 1 else '6'} # made\n# by hand\n30 40\n{largest}\n".encode()
    pixels = values.astype(">u2" if largest > 255 else "u1").tobytes()
    (tmp_path / "a.ppm").write_bytes(head + pixels)
    np.testing.assert_allclose(whole(tmp_path / "a.ppm") / 65535, values / largest, atol=0.5 / 255 / 255 + 0.002)
    assert whole(tmp_path / "a.ppm", 3).max() == round(65535 * values.max() / largest)
    (tmp_path / "a.ppm").write_bytes(head + pixels[:-1])
    with pytest.raises(InputError, match="is truncated or damaged"):
        whole(tmp_path / "a.ppm")


def test_ppm_as_text(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P3\n2 1\n255\n255 0 0 0 0 255\n")
    same(tmp_path / "a.ppm", np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8))


@pytest.mark.parametrize("bits", [8, 16])
def test_what_a_picture_tells_of_itself(tmp_path, rng, bits):
    """Bands come as stored; the size is the upright one, and the caller turns."""
    deep = rng.integers(0, 2**bits, (30, 50, 3)).astype(f"u{bits // 8}")
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    picture = picture_files.open_picture(tmp_path / "a.tif")
    assert (picture.size, picture.stored_size, picture.orientation) == ((30, 50), (50, 30), 6)
    assert (picture.planes, picture.bits) == (3, bits)
    same(tmp_path / "a.tif", deep)
    upright = picture_files.load_picture(tmp_path / "a.tif")
    np.testing.assert_allclose(upright * (2**bits - 1), np.rot90(deep, -1), atol=0.05)


def test_orientation_behind_the_pixels_of_a_png(tmp_path, codes):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(codes).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\x00\x00")
    late = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(data[:-12] + late + data[-12:])
    assert picture_files.open_picture(tmp_path / "a.png").orientation == 8


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_what_pillow_makes_of_it(tmp_path, rng, suffix):
    inks = np.kron(rng.integers(0, 256, (7, 5, 4)), np.ones((16, 16, 1))).astype(np.uint8)
    Image.fromarray(inks, mode="CMYK").save(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as opened:
        expected = np.asarray(opened.convert("RGB"))
    with pytest.warns(UserWarning, match="CMYK without a usable profile"):
        found = whole(tmp_path / f"a.{suffix}", 7)
    np.testing.assert_allclose(found / 257, expected, atol=0.51)


def test_profiles_are_applied_band_by_band(tmp_path, codes):
    """As Pillow applies them to the whole, but in 16 bits."""
    Image.fromarray(codes).save(tmp_path / "a.jpg", icc_profile=exchanged_primaries())
    with Image.open(tmp_path / "a.jpg") as opened:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(opened.info["icc_profile"]))
        expected = ImageCms.profileToProfile(opened, profile, ImageCms.createProfile("sRGB"))
    found = [whole(tmp_path / "a.jpg", rows) for rows in (1, 7, 1000)]
    np.testing.assert_allclose(found[0] / 257, np.asarray(expected), atol=1)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    assert picture_files.open_picture(tmp_path / "a.jpg").bits == 16


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 95}),
        ("a.jpg", {"progressive": True}),
        ("a.webp", {"lossless": True}),
        ("a.bmp", {}),
        ("a.ppm", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"compression": "tiff_adobe_deflate"}),
    ],
)
def test_a_cut_file_is_noticed_at_the_latest_while_it_streams(tmp_path, codes, name, options):
    path = tmp_path / name
    Image.fromarray(codes).save(path, **options)
    data = path.read_bytes()
    assert len(whole(path)) == 101
    for share in (0.3, 0.7, 0.95):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError, match=r"a\.\w+ (is truncated or damaged|is not a picture)") as error:
            whole(path, 16)
        assert "\n" not in str(error.value)


def test_a_cut_png_is_noticed_when_it_is_opened(tmp_path, codes):
    picture_files.save_png(tmp_path / "a.png", codes)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-500])
    with pytest.raises(InputError, match="the file ends within the chunk IDAT"):
        picture_files.open_picture(tmp_path / "a.png")


def test_a_damaged_png_is_noticed(tmp_path, codes):
    picture_files.save_png(tmp_path / "a.png", codes)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="is truncated or damaged"):
        whole(tmp_path / "a.png")


PEAK = """
import re, sys
from pathlib import Path
from mlsolve.pictures import picture_files
from mlsolve.system.memory import return_memory_early

return_memory_early()  # as a run does

def peak():  # what getrusage tells may be the parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

picture_files.load_picture(Path(sys.argv[2]))  # brings the libraries, of which the part in memory varies
before = peak()
picture = picture_files.open_picture(Path(sys.argv[1]))
rows = sum(len(band) for band in picture.bands(16))
assert rows == picture.stored_size[1]
print(peak() - before, picture.peak_memory(16))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells what a process held at the most: run it there"
)
@pytest.mark.parametrize(("suffix", "profile"), [("png", False), ("tif", False), ("png", True)])
def test_reading_holds_little(tmp_path, suffix, profile):
    """91 MB of pixels, never held, too few for libvips to put them on disc; the estimate is not too low."""
    path, size = tmp_path / f"a.{suffix}", (5500, 5500)
    row = np.random.default_rng(0).integers(0, 256, (1, 5500, 3)).astype(np.uint8)
    with (picture_files.PngWriter if suffix == "png" else picture_files.TiffWriter)(path, size, 3, 8) as writer:
        for number in range(55):
            writer.write(np.repeat(row + np.uint8(number), 100, axis=0))
    if profile:
        body = b"test\x00\x00" + zlib.compress(exchanged_primaries())
        path.write_bytes(with_chunk(path.read_bytes(), b"iCCP", body))
    Image.new("RGB", (40, 40)).save(tmp_path / f"small.{suffix}")
    command = [sys.executable, "-c", PEAK, path, tmp_path / f"small.{suffix}"]
    # What the C library keeps for threads differs from run to run: the least of three is the program's own.
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    grown, estimate = (min(int(run[k]) for run in runs) for k in (0, 1))
    # Small things are not in the estimate; a run keeps 8 MiB for them.
    assert grown <= estimate + (8 << 20) < 64 << 20


def parts(height):
    return ([height], [1] * height, [height // 3, height - height // 3])


@pytest.mark.parametrize(("width", "height"), [(300, 271), (17, 15), (256, 256), (513, 530), (1, 1)])
@pytest.mark.parametrize(("planes", "bits"), list(itertools.product((1, 3), (8, 16))))
@pytest.mark.parametrize("writer", [picture_files.PngWriter, picture_files.TiffWriter])
def test_what_is_written_is_read(tmp_path, rng, writer, planes, bits, width, height):
    """By us, Pillow and tifffile; the same bytes in whatever portions it came, with resolution and profile."""
    deep = rng.integers(0, 2**bits, (height, width, planes)).astype(f"u{bits // 8}")
    deep[: height // 2] = np.linspace(0, 2**bits - 1, width)[:, np.newaxis]
    path, written = tmp_path / "a", set()
    for portions in parts(height):
        with writer(path, (width, height), planes, bits, dpi=360) as file:
            for part in np.split(deep, np.cumsum(portions)[:-1]):
                file.write(part)
        written.add(path.read_bytes())
    assert len(written) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    picture = picture_files.open_picture(path)
    assert (picture.size, picture.planes, picture.bits) == ((width, height), planes, bits)
    same(path, deep)
    with Image.open(path) as opened:
        opened.load()
        assert opened.size == (width, height)
        np.testing.assert_allclose([float(value) for value in opened.info["dpi"]], 360, atol=0.02)
        if bits == 8:
            np.testing.assert_array_equal(np.asarray(opened).reshape(deep.shape), deep)
        if writer is picture_files.PngWriter:
            assert opened.info["srgb"] == 0
        else:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(opened.info["icc_profile"]))
            assert "sRGB" in ImageCms.getProfileDescription(profile)
    if writer is picture_files.TiffWriter:
        np.testing.assert_array_equal(tifffile.imread(path).reshape(deep.shape), deep)


def test_a_png_is_one_stream_of_parts(tmp_path, rng):
    """It ends with its checksum and nothing behind it; flat parts become small, noise hardly larger."""
    for codes, share in (
        (np.full((700, 301, 3), 200, np.uint8), 0.02),
        (rng.integers(0, 256, (700, 301, 3)).astype(np.uint8), 1.01),
    ):
        picture_files.save_png(tmp_path / "a.png", codes)
        data, at, content = (tmp_path / "a.png").read_bytes(), 8, b""
        while at < len(data):
            (length,), name = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
            if name == b"IDAT":
                content += data[at + 8 : at + 8 + length]
            at += 12 + length
        stream = zlib.decompressobj()
        rows = np.frombuffer(stream.decompress(content), np.uint8).reshape(700, 904)
        assert stream.eof
        assert stream.unused_data == b""
        np.testing.assert_array_equal(rows[:, 0], [1 if row % 128 == 0 else 4 for row in range(700)])
        assert len(data) < share * codes.nbytes + 100


def test_large_tiffs_are_big(tmp_path, rng, monkeypatch):
    deep = rng.integers(0, 65536, (270, 300, 3)).astype(np.uint16)
    monkeypatch.setattr(tiff, "BIG", deep.nbytes - 1)
    with picture_files.TiffWriter(tmp_path / "a.tif", (300, 270), 3, 16, dpi=72.5) as file:
        file.write(deep)
    with tifffile.TiffFile(tmp_path / "a.tif") as opened:
        assert opened.is_bigtiff
        assert opened.pages[0].resolution == (72.5, 72.5)
        np.testing.assert_array_equal(opened.pages[0].asarray(), deep)
    same(tmp_path / "a.tif", deep)


def test_profiles_do_not_tell_the_time():
    for profile in (srgb_profile.srgb_profile(), srgb_profile.grey_profile()):
        year = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.creation_date.year
        assert year == 2000


def test_grey_means_what_it_means_in_srgb():
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    grey = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile.grey_profile()))
    found = ImageCms.profileToProfile(ramp, grey, ImageCms.createProfile("sRGB"), outputMode="RGB")
    np.testing.assert_array_equal(np.asarray(found)[..., 0], np.asarray(ramp))


def interrupted(writer, rows, error):
    with writer as file:
        file.write(rows)
        raise error


@pytest.mark.parametrize("writer", [picture_files.PngWriter, picture_files.TiffWriter])
def test_whole_or_nothing(tmp_path, writer, codes):
    path = tmp_path / "a"
    path.write_bytes(b"before")
    for error in (KeyboardInterrupt, RuntimeError):
        with pytest.raises(error):
            interrupted(writer(path, (83, 101), 3, 8), codes[:50], error)
    with pytest.raises(ValueError, match="50 of 101 rows were written"), writer(path, (83, 101), 3, 8) as file:
        file.write(codes[:50])
    for rows, words in (
        (codes[..., :1], r"give \(h, 83, 3\) uint8"),
        (codes.astype(np.uint16), "give"),
        (np.vstack([codes, codes[:1]]), "rows exceed the height of 101"),
    ):
        with pytest.raises(ValueError, match=words), writer(path, (83, 101), 3, 8) as file:
            file.write(rows)
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        writer(tmp_path / "no" / "a", (83, 101), 3, 8).__enter__()
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    with pytest.raises(OutputError, match="a side may be 1 to 2147483647"):
        writer(path, (2**31, 1), 3, 8)


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="no /dev/full here, which is a disk without room: run it on Linux"
)
@pytest.mark.parametrize("writer", [picture_files.PngWriter, picture_files.TiffWriter])
def test_a_full_disc_is_told_in_one_line(tmp_path, rng, writer, monkeypatch):
    noise = rng.integers(0, 256, (600, 2000, 3)).astype(np.uint8)

    def beside(path):
        partial = path.with_name("partial")
        partial.symlink_to("/dev/full")
        return partial

    monkeypatch.setattr("mlsolve.system.files.partial_beside", beside)
    with (
        pytest.raises(OutputError, match="a cannot be written: No space left") as error,
        writer(tmp_path / "a", (2000, 600), 3, 8) as file,
    ):
        file.write(noise)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_libvips_is_loaded_when_a_file_is_opened():
    script = "import sys, mlsolve.pictures.picture_files; print('pyvips' in sys.modules, 'tifffile' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
