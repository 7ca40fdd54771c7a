"""What every room needs: errors, atomic files, hashing, seeds, JSON lines, the stage runner, version shims.

Imports nothing of ours and nothing heavier than the standard library (torch only inside ``compat``).
"""
