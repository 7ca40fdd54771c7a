"""Hypotheses -> numbers: top-k accuracy, word error rate, intervals, paired tests, tables.

Everything is joined by id. All rates are in per cent. Imports only ``common``, numpy and kaldialign.
"""
