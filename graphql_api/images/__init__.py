"""The summary image: its words, its drawing and its cache."""

SUMMARY_IMAGE_SIZE = SUMMARY_IMAGE_WIDTH, SUMMARY_IMAGE_HEIGHT = 1200, 630
"""Pixels."""
