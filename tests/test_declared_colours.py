"""Colours as files declare them, against float64 arithmetic that shares nothing with the code."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import mlsolve
from conftest import environment
from mlsolve import InputError
from mlsolve.pictures import picture_files
from mlsolve.pictures.decoders import stored
from profiles import (
    BT2020,
    D50,
    P3,
    SRGB,
    SRGB_FORMULA,
    adapted,
    formula,
    gamma,
    matrix_profile,
    profile,
    table,
    tables,
    xyz_matrix,
)

FILES = Path(__file__).parent / "files"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Decoders give these small pictures in as many portions as large ones."""
    monkeypatch.setattr(stored, "CHUNK", 1)


@pytest.fixture
def codes(rng):
    """All greys, and colours all over; 8 bits."""
    grey = np.repeat(np.arange(256)[:, np.newaxis], 3, axis=1)
    return np.concatenate([grey, rng.integers(0, 256, (20 * 32 - 256, 3))]).reshape(20, 32, 3).astype(np.uint8)


def srgb_light(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_values(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def bt709_light(values):
    return np.where(values < 4.5 * 0.018054, values / 4.5, ((values + 0.0993) / 1.0993) ** (1 / 0.45))


def shown(values, primaries, light):
    """sRGB of `values` (…, 3) in [0, 1] in a space with the white of sRGB."""
    to_srgb = np.linalg.inv(xyz_matrix(SRGB)) @ xyz_matrix(primaries)
    return srgb_values(light(np.asarray(values, dtype=float)) @ to_srgb.T)


def close(path, expected, tolerance=0.02, **options):
    """The file holds `expected` in [0, 1], to `tolerance` code values of 8 bits."""
    found = mlsolve.load_picture(path, **options)
    assert found.dtype == np.float32
    np.testing.assert_allclose(255 * found, 255 * np.asarray(expected).reshape(found.shape), atol=tolerance)


def png(path, codes, *chunks):
    """A PNG of `codes`, grey or colour, 8 or 16 bits, with chunks behind its header."""
    image = codes[..., ::-1] if codes.ndim == 3 else codes
    data = cv2.imencode(".png", np.ascontiguousarray(image))[1].tobytes()
    inserted = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    path.write_bytes(data[:33] + inserted + data[33:])
    return path


def gama(value):
    return b"gAMA", struct.pack(">I", round(100000 * value))


def chrm(primaries):
    red, green, blue, white = primaries
    return b"cHRM", struct.pack(">8I", *(round(100000 * n) for point in (white, red, green, blue) for n in point))


def iccp(data):
    return b"iCCP", b"test\0\0" + zlib.compress(data)


def cicp(primaries, transfer, matrix=0, full_range=1):
    return b"cICP", bytes([primaries, transfer, matrix, full_range])


LINEAR = matrix_profile(SRGB, gamma(1.0), "sRGB linear")


@pytest.mark.parametrize("bits", [8, 16])
def test_gamma_of_a_png(tmp_path, codes, bits):
    """gAMA 1.0 is light itself, of colours and of grey."""
    deep = codes.astype(np.uint16) * 257 if bits == 16 else codes
    close(png(tmp_path / "a.png", deep, gama(1.0)), srgb_values(codes / 255))
    close(png(tmp_path / "g.png", deep[..., 0], gama(0.5)), srgb_values((codes[..., 0] / 255) ** 2))


@pytest.mark.parametrize("value", [0.45455, 0.4545, 0.45])
def test_the_gamma_that_stands_for_srgb(tmp_path, codes, value):
    """To the last bit, with the primaries of sRGB or without."""
    for chunks in ([gama(value)], [chrm(SRGB), gama(value)], [chrm(SRGB)]):
        close(png(tmp_path / "a.png", codes, *chunks), codes / 255, 1e-4)


def test_primaries_of_a_png(tmp_path, codes):
    path = png(tmp_path / "a.png", codes, chrm(BT2020), gama(1 / 1.8))
    close(path, shown(codes / 255, BT2020, lambda values: values**1.8), 0.05)
    path = png(tmp_path / "a.png", codes, chrm(P3))
    close(path, shown(codes / 255, P3, srgb_light))


def test_impossible_primaries_are_passed_over(tmp_path, codes):
    """Those on one line, or without light; and a gamma of none."""
    for primaries in (((0.3, 0.3),) * 4, ((0.64, 0.0), *SRGB[1:])):
        close(png(tmp_path / "a.png", codes, chrm(primaries), gama(1.0)), srgb_values(codes / 255))
    close(png(tmp_path / "a.png", codes, gama(0.0)), codes / 255, 1e-4)


@pytest.mark.parametrize(
    ("numbers", "primaries", "light"),
    [
        ((1, 13), SRGB, srgb_light),
        ((12, 13), P3, srgb_light),
        ((9, 1), BT2020, bt709_light),
        ((9, 14), BT2020, bt709_light),
        ((1, 1), SRGB, bt709_light),
        ((1, 8), SRGB, lambda values: values),
        ((9, 8), BT2020, lambda values: values),
        ((12, 4), P3, lambda values: values**2.2),
    ],
)
def test_code_points_of_a_png(tmp_path, codes, numbers, primaries, light):
    path = png(tmp_path / "a.png", codes, cicp(*numbers))
    close(path, shown(codes / 255, primaries, light), 0.05)


def test_code_points_of_grey_and_of_narrow_range(tmp_path, codes):
    grey = codes[..., 0]
    close(png(tmp_path / "g.png", grey, cicp(9, 8)), srgb_values(grey / 255))
    narrow = np.clip((codes / 255 * 255 - 16) / 219, 0, 1)
    close(png(tmp_path / "n.png", codes, cicp(12, 13, full_range=0)), shown(narrow, P3, srgb_light))


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_by_name(tmp_path, codes, transfer, name):
    body = b"cicp" + bytes(4) + bytes([9, transfer, 0, 1])
    hdr = profile(b"RGB ", {b"cicp": body, b"A2B0": b"mft2" + bytes(40)})
    for path in (
        png(tmp_path / "a.png", codes, cicp(9, transfer)),
        png(tmp_path / "b.png", codes, iccp(hdr)),
        avif(tmp_path / "c.avif", codes, 9, transfer),
    ):
        with pytest.raises(InputError, match=rf"{path.name} has high dynamic range \({name}\)") as told:
            mlsolve.load_picture(path)
        assert "\n" not in str(told.value)


def test_unknown_code_points_are_passed_over_with_a_word(tmp_path, codes):
    """What stands behind them in the order of precedence counts."""
    for numbers in ((77, 13), (1, 77), (2, 2)):
        path = png(tmp_path / "a.png", codes, cicp(*numbers), gama(1.0))
        with pytest.warns(UserWarning, match=rf"a\.png: its cICP chunk has unknown code points \({numbers[0]}"):
            close(path, srgb_values(codes / 255))


def test_the_order_of_precedence(tmp_path, codes):
    """cICP, iCCP, sRGB, then gAMA and cHRM, in whatever order they lie in the file (PNG, third edition, 4.3)."""
    linear, p3 = srgb_values(codes / 255), shown(codes / 255, P3, srgb_light)
    srgb = (b"sRGB", b"\0")
    for chunks, expected in (
        ([gama(1.0), srgb, iccp(LINEAR), cicp(12, 13)], p3),
        ([cicp(12, 13), gama(1.0), iccp(LINEAR)], p3),
        ([gama(0.9), srgb, iccp(LINEAR)], linear),
        ([gama(1.0), chrm(P3), srgb], codes / 255),
        ([iccp(b"no profile at all"), gama(1.0)], linear),
        ([(b"iCCP", b"test\0\0not deflated"), gama(1.0)], linear),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            close(png(tmp_path / "a.png", codes, *chunks), expected, 0.1)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
def test_a_linear_profile_is_not_srgb_whatever_it_is_called(tmp_path, codes, suffix):
    path = tmp_path / f"a.{suffix}"
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    Image.fromarray(codes).save(path, icc_profile=LINEAR, **options)
    with Image.open(path) as opened:
        decoded = np.asarray(opened)
    # Decoders of JPEG may differ by one code value, and linear ones are far apart in the dark.
    expected = srgb_values(decoded / 255)
    found = mlsolve.load_picture(path)
    assert np.median(abs(255 * (found - expected))) < 0.02
    assert np.percentile(abs(255 * (found - expected)), 90) < (0.02 if suffix != "jpg" else 4)


def test_what_is_srgb_is_left_alone_whatever_it_is_called(tmp_path, codes):
    """By a formula, by a table, as lcms makes it; to the last bit."""
    steps = srgb_light(np.linspace(0, 1, 1024))
    for data in (
        matrix_profile(SRGB, SRGB_FORMULA, "camera"),
        matrix_profile(SRGB, table(steps), "camera"),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ):
        Image.fromarray(codes).save(tmp_path / "a.png", icc_profile=data)
        close(tmp_path / "a.png", codes / 255, 1e-4)
        assert picture_files.open_picture(tmp_path / "a.png").bits == 8


@pytest.mark.parametrize(
    ("curve", "light"),
    [
        (gamma(1.8), lambda x: x ** (461 / 256)),
        (b"curv" + bytes(8), lambda x: x),
        (table([0, 0.1, 0.5, 1]), lambda x: np.interp(x, [0, 1 / 3, 2 / 3, 1], [0, 0.1, 0.5, 1])),
        (formula(0, 2.0), lambda x: x**2),
        (formula(1, 2.0, 1.25, -0.25), lambda x: np.where(x >= 0.2, (1.25 * x - 0.25) ** 2, 0)),
        (formula(2, 2.0, 1.0, -0.1, 0.19), lambda x: np.where(x >= 0.1, (x - 0.1) ** 2, 0) + 0.19),
        (formula(3, 2.0, 0.9, 0.1, 0.3, 0.1), lambda x: np.where(x >= 0.1, (0.9 * x + 0.1) ** 2, 0.3 * x)),
        (
            formula(4, 2.0, 0.9, 0.05, 0.3, 0.1, 0.0975, 0.05),
            lambda x: np.where(x >= 0.1, (0.9 * x + 0.05) ** 2 + 0.0975, 0.3 * x + 0.05),
        ),
    ],
)
def test_curves_of_profiles(tmp_path, codes, curve, light):
    Image.fromarray(codes).save(tmp_path / "a.png", icc_profile=matrix_profile(P3, curve))
    close(tmp_path / "a.png", shown(codes / 255, P3, light), 0.1)


def test_sixteen_bits_keep_their_depth_through_a_profile(tmp_path):
    """65 thousand levels, of grey and of a colour, to a code value of 16 bits or little more."""
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    wide = matrix_profile(BT2020, gamma(1.8))
    for name, deep in (("grey", np.stack([ramp] * 3, -1)), ("colour", np.stack([ramp, ramp // 2, ramp // 3], -1))):
        path = png(tmp_path / f"{name}.png", deep, iccp(wide))
        expected = shown(deep / 65535, BT2020, lambda x: x ** (461 / 256))
        close(path, expected, 2.5 / 257)
        assert len(np.unique(mlsolve.load_picture(path)[..., 0])) > 30000
        assert picture_files.open_picture(path).bits == 16


def test_a_profile_for_other_pictures_is_passed_over(tmp_path, codes):
    grey = profile(b"GRAY", {b"kTRC": gamma(1.0)})
    inks = tables(b"CMYK", np.zeros((16, 3)), 2)
    cut = LINEAR[:300]
    without = profile(b"RGB ", {b"rTRC": gamma(1.0)})
    in_lab = LINEAR[:20] + b"Lab " + LINEAR[24:]
    for data in (grey, inks, cut, without, in_lab):
        Image.fromarray(codes).save(tmp_path / "a.png", icc_profile=data)
        with pytest.warns(UserWarning, match=r"a\.png: its colour profile is ignored \(\S.*\)"):
            close(tmp_path / "a.png", codes / 255, 1e-4)


def test_grey_with_a_profile_of_colours(tmp_path, codes):
    """As scanners write it: equal values of red, green and blue."""
    grey = codes[..., 0]
    path = png(tmp_path / "a.png", grey, iccp(matrix_profile(P3, gamma(1.0))))
    close(path, srgb_values(grey / 255))


CORNERS = [(100.0 * k / 7, 40.0 * (k & 1), -30.0 * (k >> 2)) for k in range(8)]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_profile_made_of_tables_is_left_to_lcms(tmp_path, codes, bits):
    """Close to what Pillow makes of 8 bits, and finer of 16."""
    data = tables(b"RGB ", CORNERS, 2)
    made = ImageCms.ImageCmsProfile(io.BytesIO(data))
    expected = ImageCms.profileToProfile(Image.fromarray(codes), made, ImageCms.createProfile("sRGB"))
    deep = codes.astype(np.uint16) * 257 if bits == 16 else codes
    path = png(tmp_path / "a.png", deep, iccp(data))
    close(path, np.asarray(expected) / 255, 2)
    ramp = np.arange(4096, dtype=np.uint16).reshape(16, 256) * 16
    deep = np.stack([ramp] * 3, axis=-1)
    assert len(np.unique(mlsolve.load_picture(png(tmp_path / "r.png", deep, iccp(data)))[..., 0])) > 2000


def lab_shown(lab):
    """sRGB of L*a*b* under D50."""
    lightness, a, b = np.moveaxis(lab, -1, 0)
    fy = (lightness + 16) / 116
    f = np.stack([fy + a / 500, fy, fy - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50
    return srgb_values(xyz @ np.linalg.inv(adapted(SRGB)).T)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}, {"bigtiff": True}])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", ["cielab", "icclab"])
def test_tiff_in_lab(tmp_path, rng, photometric, bits, byteorder, options):
    """L* from 0 to 100; a* and b* signed, or from -128 on."""
    lab = np.stack([rng.uniform(0, 100, (40, 30)), *rng.uniform(-60, 60, (2, 40, 30))], axis=-1)
    one = 1 if bits == 8 else 256
    if photometric == "cielab":
        scaled = np.rint(lab * [(2**bits - 1) / 100, one, one])
        raw = scaled.astype(np.int64) % 2**bits
        back = scaled / [(2**bits - 1) / 100, one, one]
    else:
        raw = np.rint((lab + np.array([0, 128, 128])) * [2.55 * one, one, one]).astype(np.int64)
        back = raw / [2.55 * one, one, one] - [0, 128, 128]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, raw.astype(f"u{bits // 8}"), photometric=photometric, byteorder=byteorder, **options)
    close(path, lab_shown(back), 0.1)
    assert picture_files.open_picture(path).bits == 16


def test_lab_with_alpha_lies_over_white(tmp_path, rng):
    lab = rng.integers(60, 200, (20, 30, 3)).astype(np.uint8)
    four = np.dstack([lab, np.full((20, 30), 51, np.uint8)])
    tifffile.imwrite(tmp_path / "a.tif", four, photometric="icclab", extrasamples=["unassalpha"])
    tifffile.imwrite(tmp_path / "b.tif", lab, photometric="icclab")
    opaque = mlsolve.load_picture(tmp_path / "b.tif")
    close(tmp_path / "a.tif", 0.2 * opaque + 0.8, 0.1)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_converted_picture_is_turned_and_read_in_bands(tmp_path, codes, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(codes).save(tmp_path / "a.png", icc_profile=LINEAR, exif=exif)
    expected = srgb_values(codes / 255)
    close(tmp_path / "a.png", np.rot90(expected, -1) if orientation == 6 else expected, 0.1)
    bands = [list(picture_files.open_picture(tmp_path / "a.png").bands(rows)) for rows in (1, 7, 100)]
    for found in bands:
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(bands[0]))


INKS = [(100 * (1 - (k & 1)) * (1 - 0.5 * (k >> 1 & 1)), 0.0, 0.0) for k in range(16)]


@pytest.fixture
def inks(tmp_path, rng):
    """A picture in CMYK without a profile, and its inks."""
    values = np.kron(rng.integers(0, 256, (3, 4, 4)), np.ones((16, 16, 1))).astype(np.uint8)
    Image.fromarray(values, mode="CMYK").save(tmp_path / "inks.tif")
    return tmp_path / "inks.tif", values


def test_inks_without_a_profile_are_ideal_ones_and_this_is_said(inks):
    path, values = inks
    left = 1 - values / 255
    with pytest.warns(UserWarning, match=r"inks\.tif is CMYK without a usable profile.*--cmyk-profile"):
        close(path, left[..., :3] * left[..., 3:], 0.01)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_profile_named_for_inks(tmp_path, inks, bits):
    path, values = inks
    data = tables(b"CMYK", INKS, 2)
    (tmp_path / "press.icc").write_bytes(data)
    made = ImageCms.ImageCmsProfile(io.BytesIO(data))
    picture = Image.fromarray(values, mode="CMYK")
    expected = ImageCms.profileToProfile(picture, made, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if bits == 16:
        tifffile.imwrite(path, values.astype(np.uint16) * 257, photometric="separated")
    close(path, np.asarray(expected) / 255, 2, cmyk_profile=tmp_path / "press.icc")
    assert picture_files.open_picture(path, tmp_path / "press.icc").bits == 16


def test_its_own_profile_comes_first(tmp_path, inks):
    _, values = inks
    own, other = tables(b"CMYK", INKS, 2), tables(b"CMYK", np.zeros((16, 3)), 2)
    (tmp_path / "other.icc").write_bytes(other)
    Image.fromarray(values, mode="CMYK").save(tmp_path / "own.tif", icc_profile=own)
    found = mlsolve.load_picture(tmp_path / "own.tif", tmp_path / "other.icc")
    np.testing.assert_array_equal(found, mlsolve.load_picture(tmp_path / "own.tif"))
    assert found.max() > 0.1


def test_what_is_no_profile_for_inks_is_refused(tmp_path, inks):
    path, _ = inks
    for name, content in (
        ("rgb.icc", LINEAR),
        ("text.icc", b"hello" * 100),
        ("cut.icc", tables(b"CMYK", INKS, 2)[:200]),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            InputError, match=rf"cmyk-profile is \S*{name}, which is not an ICC profile for CMYK"
        ) as told:
            mlsolve.load_picture(path, tmp_path / name)
        assert "\n" not in str(told.value)
    with pytest.raises(InputError, match=r"cmyk-profile is \S*missing\.icc, which is not a file: check the name"):
        mlsolve.load_picture(path, tmp_path / "missing.icc")


def avif(path, codes, primaries=None, transfer=13):
    """An AVIF, nearly lossless, that declares its colours by numbers."""
    Image.fromarray(codes).save(path, quality=100, subsampling="4:4:4")
    data = bytearray(path.read_bytes())
    at = data.index(b"colrnclx") + 8
    if primaries is not None:
        struct.pack_into(">2H", data, at, primaries, transfer)
    path.write_bytes(data)
    return path


def smooth(height=48, width=64):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([40 + 3 * x, 30 + 4 * y, 220 - 2 * x], axis=-1).astype(np.uint8)


def test_avif(tmp_path):
    codes = smooth()
    close(avif(tmp_path / "a.avif", codes), codes / 255, 3)
    plain = mlsolve.load_picture(tmp_path / "a.avif")
    close(avif(tmp_path / "b.avif", codes, 12), shown(plain, P3, srgb_light), 0.1)
    Image.fromarray(codes).save(tmp_path / "c.avif", quality=100, subsampling="4:4:4", icc_profile=LINEAR)
    close(tmp_path / "c.avif", srgb_values(codes / 255), 4)


@pytest.mark.parametrize("primaries", [None, 12])
def test_grey_avif_is_grey_however_many_planes_it_comes_in(tmp_path, primaries):
    grey = smooth()[..., 0]
    found = mlsolve.load_picture(avif(tmp_path / "a.avif", grey, primaries))
    np.testing.assert_allclose(255 * found, np.repeat(grey[..., np.newaxis], found.shape[2], axis=2), atol=3)


def test_avif_of_ten_bits_has_a_white_of_its_own(tmp_path):
    import pyvips

    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64, 1).repeat(3, axis=2).astype(np.uint16)
    image = pyvips.Image.new_from_memory(ramp.data, 64, 48, 3, "ushort").copy(interpretation="rgb16")
    image.heifsave(str(tmp_path / "a.avif"), bitdepth=10, lossless=True, compression="av1")
    close(tmp_path / "a.avif", ramp / 65535, 0.6)
    found = mlsolve.load_picture(tmp_path / "a.avif")
    assert found.max() == 1
    assert len(np.unique(found)) > 500


def test_heic():
    """What a phone takes; the file was made for this test."""
    found = mlsolve.load_picture(FILES / "photo.heic")
    with Image.open(FILES / "photo.png") as opened:
        expected = np.asarray(opened.convert("RGB"))
    assert np.percentile(abs(255 * found - expected), 98) <= 6


def test_heic_with_other_primaries(tmp_path):
    data = bytearray((FILES / "photo.heic").read_bytes())
    struct.pack_into(">2H", data, data.index(b"colrnclx") + 8, 12, 13)
    (tmp_path / "p3.heic").write_bytes(data)
    plain = mlsolve.load_picture(FILES / "photo.heic")
    close(tmp_path / "p3.heic", shown(plain, P3, srgb_light), 0.1)


def test_heic_of_a_phone():
    """Display P3 by a profile, turned by the container and by EXIF, once; an odd width. Made of `smooth`."""
    expected = np.rot90(shown(smooth(19, 25) / 255, P3, srgb_light), -1)
    close(FILES / "phone.heic", expected, 3)


def test_heic_of_ten_bits():
    """A ramp over all of them: white is white, and levels stay apart."""
    ramp = np.linspace(0, 1, 19 * 25).reshape(19, 25, 1).repeat(3, axis=2)
    close(FILES / "deep.heic", ramp, 1)
    found = mlsolve.load_picture(FILES / "deep.heic")
    assert found.max() == 1
    assert len(np.unique(found)) > 256


def test_a_cut_heic_and_a_cut_avif(tmp_path):
    avif(tmp_path / "a.avif", smooth())
    (tmp_path / "a.heic").write_bytes((FILES / "photo.heic").read_bytes())
    for path in (tmp_path / "a.avif", tmp_path / "a.heic"):
        data = path.read_bytes()
        for share in (0.3, 0.7, 0.95):
            path.write_bytes(data[: int(len(data) * share)])
            with pytest.raises(InputError, match=r"is truncated or damaged") as told:
                mlsolve.load_picture(path)
            assert "\n" not in str(told.value)


@pytest.mark.parametrize(("kind", "options"), [("gif", {}), ("webp", {"lossless": True}), ("png", {})])
def test_of_an_animation_the_first_frame_is_read_and_this_is_said(tmp_path, kind, options):
    frames = [Image.fromarray(np.full((20, 30, 3), shade, np.uint8)) for shade in (40, 120, 200)]
    frames[0].save(tmp_path / f"one.{kind}", **options)
    close(tmp_path / f"one.{kind}", np.full((20, 30, 3), 40) / 255, 0.01)
    frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:], **options)
    with pytest.warns(UserWarning, match=rf"a\.{kind} contains 3 pictures: only the first is read"):
        close(tmp_path / f"a.{kind}", np.full((20, 30, 3), 40) / 255, 0.01)


def test_a_transparent_gif_lies_over_white(tmp_path):
    codes = np.zeros((20, 30), np.uint8)
    codes[:10] = 1
    picture = Image.fromarray(codes)
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.save(tmp_path / "a.gif", transparency=0)
    expected = np.where(codes[..., np.newaxis] == 1, [200, 100, 50], 255)
    close(tmp_path / "a.gif", expected / 255, 0.01)


@pytest.mark.parametrize("lossless", [True, False])
def test_jpeg_xl(tmp_path, lossless):
    pytest.importorskip("pillow_jxl", reason="needs the extra jxl: pip install 'mlsolve[jxl]'")
    codes = smooth()
    Image.fromarray(codes).save(tmp_path / "a.jxl", lossless=lossless, quality=95)
    close(tmp_path / "a.jxl", codes / 255, 0.01 if lossless else 8)
    data = (tmp_path / "a.jxl").read_bytes()
    (tmp_path / "a.jxl").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="is truncated or damaged"):
        mlsolve.load_picture(tmp_path / "a.jxl")


def test_jpeg_xl_with_a_profile():
    """Made for this test of `smooth`, in Display P3; Pillow's plugin writes no profiles."""
    pytest.importorskip("pillow_jxl", reason="needs the extra jxl: pip install 'mlsolve[jxl]'")
    close(FILES / "p3.jxl", shown(smooth() / 255, P3, srgb_light), 0.1)


def test_jpeg_xl_without_its_package(tmp_path, monkeypatch):
    """One line that names the extra, known by the content alone."""
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    for head in (b"\xff\n", b"\0\0\0\x0cJXL \r\n\x87\n"):
        (tmp_path / "a.png").write_bytes(head + bytes(100))
        with pytest.raises(InputError, match=r"a\.png is JPEG XL.*pip install 'mlsolve\[jxl\]', or save it as PNG"):
            mlsolve.load_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [
        (0xC1, 12, "is a JPEG with 12 bits per sample, only 8 are supported: save it as 16-bit PNG or TIFF"),
        (0xC0, 12, "is a JPEG with 12 bits per sample"),
        (0xC3, 8, "is a lossless JPEG, which is not supported: save it as PNG or TIFF"),
        (0xC5, 8, "is a hierarchical JPEG"),
        (0xF7, 8, "is a JPEG-LS, which is not supported"),
    ],
)
def test_jpegs_that_are_not_read_are_not_called_damaged(tmp_path, marker, bits, words):
    buffer = io.BytesIO()
    Image.fromarray(smooth()).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(InputError) as told:
        mlsolve.load_picture(tmp_path / "a.jpg")
    assert words in str(told.value)


_LOADED = """
import sys
from mlsolve import InputError, load_picture
try:
    load_picture(sys.argv[1])
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("photometric", ["rgb", "cielab"])
@pytest.mark.parametrize("at", [2, 4])
def test_libraries_keep_their_complaints_to_themselves(tmp_path, photometric, at):
    """What libtiff says of odd tags and Pillow of their numbers would stand beside our one line."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth(), photometric=photometric, compression="zlib")
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    for number in range(struct.unpack_from("<H", data, start)[0]):
        entry = start + 2 + 12 * number
        if struct.unpack_from("<H", data, entry)[0] in (277, 278, 284):
            struct.pack_into("<H", data, entry + at, 13 if at == 2 else 2)
    path.write_bytes(data)
    command = [sys.executable, "-W", "ignore", "-c", _LOADED, path]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) <= 1


def test_the_command_line_names_a_profile(mlsolve, inks, tmp_path):
    """For a run, which remembers it, for its estimate, and for a guide made of a photo."""
    (tmp_path / "press.icc").write_bytes(tables(b"CMYK", INKS, 2))
    run = ("run", "inks.tif", "-g", "rosette:1", "--size", 24, "--iterations", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        ideal = mlsolve(*run, "--out", "ideal")
    assert ideal.status == 0
    assert ideal.err.count("mlsolve: warning: inks.tif is CMYK without a usable profile") == 1
    named = ("--cmyk-profile", "press.icc")
    done = mlsolve(*run, *named, "--out", "named")
    assert (done.status, "warning" in done.err) == (0, False)
    assert (tmp_path / "ideal" / "layer-1.png").read_bytes() != (tmp_path / "named" / "layer-1.png").read_bytes()
    assert mlsolve("verify", "named").status == 0
    assert mlsolve("run", "--job", "named/job.toml", "--out", "again").status == 0
    for name in ("layer-1.png", "job.toml"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "named" / name).read_bytes()
    assert mlsolve("estimate", "inks.tif", *named).status == 0
    assert (
        mlsolve("guide", "kaleidoscope", "--photo", "inks.tif", *named, "--size", 24, "--out", "k.png").status == 0
    )
    refused = mlsolve(*run, "--cmyk-profile", "inks.tif", "--out", "c")
    assert (refused.status, len(refused.err.splitlines())) == (2, 1)
    assert "cmyk-profile is inks.tif, which is not an ICC profile for CMYK" in refused.err


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("bits", [8, 16])
def test_signed_lab_with_alpha_and_in_planes(tmp_path, rng, bits, planar):
    lab = rng.integers(60, 200, (20, 30, 3)) - [0, 128, 128]
    one = 1 if bits == 8 else 256
    highest = 2**bits - 1
    raw = np.rint(lab * [highest / 255, one, one]).astype(np.int64) % 2**bits
    back = np.stack([lab[..., 0] * 100 / 255, lab[..., 1], lab[..., 2]], axis=-1)
    for alpha in (1.0, 0.6):
        four = np.dstack([raw, np.full((20, 30), round(alpha * highest))]).astype(f"u{bits // 8}")
        stored = np.moveaxis(four, -1, 0) if planar == "separate" else four
        tifffile.imwrite(
            tmp_path / "a.tif", stored, photometric="cielab", planarconfig=planar, extrasamples=["unassalpha"]
        )
        close(tmp_path / "a.tif", alpha * lab_shown(back) + 1 - alpha, 0.2)


@pytest.mark.parametrize("photometric", ["rgb", "cielab"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiled_tiff_that_is_cut_or_damaged_is_noticed(tmp_path, rng, photometric, compression):
    """Of a tile that is missing libvips would make a black one."""
    codes = rng.integers(0, 256, (100, 120, 3)).astype(np.uint8)
    path = tmp_path / "a.tif"
    options = {"extratags": [(65000, "s", 0, "odd", True), (306, "s", 0, "no date", True)]}
    tifffile.imwrite(path, codes, photometric=photometric, tile=(32, 32), compression=compression, **options)
    whole = path.read_bytes()
    assert mlsolve.load_picture(path).shape == (100, 120, 3)
    for share in (0.2, 0.6, 0.97):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match="is truncated or damaged") as told:
            mlsolve.load_picture(path)
        assert str(told.value).count("a.tif") == 1
    if compression:
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
        with pytest.raises(InputError, match="is truncated or damaged"):
            mlsolve.load_picture(path)


def test_a_damaged_layer_of_ours_is_noticed(tmp_path, rng):
    codes = rng.integers(0, 256, (300, 280, 3)).astype(np.uint8)
    with picture_files.TiffWriter(tmp_path / "a.tif", (280, 300), 3, 8) as writer:
        writer.write(codes)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tile = file.pages[0].dataoffsets[2]
    # Where a tile begins: libtiff does not ask for the checksum behind it.
    data[tile : tile + 50] = bytes(50)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match="is truncated or damaged"):
        mlsolve.load_picture(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "curve",
    [
        gamma(0.0),
        formula(0, -1.0),
        formula(1, 2.0, 0.0, 0.1),
        formula(3, -2.4, 0.9, 0.1, 0.3, 0.1),
        table([0.5] * 9),
    ],
)
def test_a_curve_that_makes_no_light_is_passed_over(tmp_path, codes, curve):
    Image.fromarray(codes).save(tmp_path / "a.png", icc_profile=matrix_profile(SRGB, curve))
    with pytest.warns(UserWarning, match=r"a\.png: its colour profile is ignored"):
        close(tmp_path / "a.png", codes / 255, 1e-4)


def test_profiles_that_are_no_devices_are_passed_over(tmp_path, codes):
    """Links between devices, abstract profiles, names of colours; and primaries that are hardly any."""
    flat = ((0.64, 0.33), (0.64, 0.3301), (0.15, 0.06), (0.3127, 0.3290))
    spoiled = [LINEAR[:12] + kind + LINEAR[16:] for kind in (b"link", b"abst", b"nmcl")]
    for data in (*spoiled, matrix_profile(flat, gamma(1.0))):
        Image.fromarray(codes).save(tmp_path / "a.png", icc_profile=data)
        with pytest.warns(UserWarning, match=r"a\.png: its colour profile is ignored"):
            close(tmp_path / "a.png", codes / 255, 1e-4)


def test_one_number_that_is_unspecified_is_that_of_srgb(tmp_path, codes):
    close(png(tmp_path / "a.png", codes, cicp(12, 2)), shown(codes / 255, P3, srgb_light), 0.05)
    close(png(tmp_path / "b.png", codes, cicp(2, 8)), srgb_values(codes / 255))
    deep = np.resize(np.array([16, 126, 235], np.uint16) * 256, (12, 14, 1)).repeat(3, axis=2).astype(np.uint16)
    close(png(tmp_path / "n.png", deep, cicp(1, 13, full_range=0)), np.clip((deep / 256 - 16) / 219, 0, 1))


def test_a_header_that_claims_too_much_is_told_with_its_name(tmp_path):
    head = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    sizes = struct.pack("<IiiHHIIiiII", 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0)
    (tmp_path / "a.bmp").write_bytes(head + sizes + bytes(100))
    with pytest.raises(InputError, match=r"a\.bmp (claims|is truncated)"):
        mlsolve.load_picture(tmp_path / "a.bmp")
