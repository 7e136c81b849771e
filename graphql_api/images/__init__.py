"""The summary image: its words, its drawing and its cache."""

from enum import StrEnum


class Theme(StrEnum):
    """The colours of the image."""

    LIGHT = "light"
    DARK = "dark"


SUMMARY_IMAGE_SIZE = SUMMARY_IMAGE_WIDTH, SUMMARY_IMAGE_HEIGHT = 1200, 630
"""Pixels."""
