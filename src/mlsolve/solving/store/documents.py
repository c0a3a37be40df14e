"""Documents: plain values in JSON with a checksum, written completely or not at all."""

import json
import os
from contextlib import suppress
from typing import Any, Final

import google_crc32c

from ...system.files import partial_name
from .folder import Folder, write_all
from .refusals import damaged

SUFFIX: Final = ".json"


def save(folder: Folder, name: str, document: dict[str, Any], durable: bool) -> None:
    """Write a document of plain values, atomically and durably, unless it is there already.

    durable: whether the folders on the way to it must be durable, too. OSError is passed on.
    """
    body = json.dumps(document, ensure_ascii=False)
    data = json.dumps({"crc32c": google_crc32c.value(body.encode()), "document": body}).encode()
    with suppress(OSError):
        if folder.read(name + SUFFIX) == data:
            return
    above, _, last = name.rpartition("/")
    if above:
        folder.make(above, durable)
    partial = f"{above}/{partial_name(last + SUFFIX)}" if above else partial_name(last + SUFFIX)
    try:
        with folder.create(partial) as file:
            write_all(file, data)
            os.fsync(file.fileno())
        folder.replace(partial, name + SUFFIX)
    except BaseException:
        folder.discard(partial)
        raise
    folder.sync(above)


def load(folder: Folder, name: str) -> dict[str, Any]:
    """Return a document. Raises StoreError if it is damaged; OSError if it cannot be read."""
    path, data = folder.path / (name + SUFFIX), folder.read(name + SUFFIX)
    try:
        found = json.loads(data)
        body = found["document"].encode()
        if google_crc32c.value(body) != found["crc32c"]:
            raise ValueError("its checksum is wrong")
        document: dict[str, Any] = json.loads(body)
        return document
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from None
