"""PNG bytes: lossless, no metadata, the same for the same pixels."""

from __future__ import annotations

import io

from PIL import Image

from ganlab.images import UInt8Array

COMPRESSION = {"folder": 1, "zip": 0, "npy": 0}
"""zlib level by set format; StyleGAN's zip holds uncompressed PNG."""


def png_bytes(image: UInt8Array, level: int) -> bytes:
    """One uint8 ``(H, W, 3)`` image as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=level)
    return buffer.getvalue()


def file_name(index: int, sub_folders: bool) -> str:
    """``img00000042.png``; in a zip below a folder per thousand, as StyleGAN's dataset tool names them."""
    name = f"img{index:08d}.png"
    return f"{index // 1000:05d}/{name}" if sub_folders else name
