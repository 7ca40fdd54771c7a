"""asl: a recipe toolkit for sign language recognition and translation."""

__version__ = "0.1.0"
