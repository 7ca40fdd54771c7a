"""What a body, a hand and a face are: points, parts, mirror pairs, reading, normalising, augmenting, drawing.

A clip's landmarks are one array ``(frames, points, dims)``, NaN where a point was not found; the name of a
layout (``layouts``) says which points these are. ``reading`` takes them from a corpus owner's files,
``tracking`` makes left and right hands of detection slots, ``quality`` says how far they can be relied on,
``drawing``, ``pictures`` and ``movies`` show them.
"""
