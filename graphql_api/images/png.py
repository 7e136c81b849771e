"""PNG encoding of images with a palette."""

import struct
import zlib

from PIL import Image

from graphql_api.utils.slices import end_slice

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH, _INDEXED_COLOR = 8, 3
_LEVEL = 4
"""Takes two thirds of the time of zlib's default, 6, and gives 4 % more bytes."""
_NO_FILTER = b"\0"
"""Before each line of pixels. Filters are of no use to indexes of colours."""


def encode_png(image: Image.Image, palette: bytes) -> bytes:
    """Return an image of indexes into a palette of RGB triples as PNG.

    Pillow's own encoder takes 5 ms in one call, so that no request is served meanwhile.
    """
    header = struct.pack(">2L5B", image.width, image.height, _BIT_DEPTH, _INDEXED_COLOR, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", _compress(image)), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(data, zlib.crc32(kind)))
        for kind, data in chunks
    )


def _compress(image: Image.Image) -> bytes:
    pixels, compressor, compressed = image.tobytes(), zlib.compressobj(_LEVEL), b""
    for start in range(0, len(pixels), image.width):
        end_slice()
        compressed += compressor.compress(_NO_FILTER + pixels[start : start + image.width])
    return compressed + compressor.flush()
