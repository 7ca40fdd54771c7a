"""What C and C++ libraries print on standard error: taken where it is known, passed on where it is not."""

import contextlib
import os
import sys
import tempfile
import threading
from typing import Iterator, List, Pattern

_ONE_AT_A_TIME = threading.Lock()  # a process has but one standard error, its threads share it


class NativeMessages:
    """Keeps standard error (the file, whoever writes to it) while a block runs.

    Lines that ``known`` matches go into ``lines``; all others are printed when the block ends, so nothing that is
    not known is hidden. A process that is aborted inside a block takes its last words with it: keep blocks short.
    A thread that comes to such a block while another is inside of one waits.

    Args:
        known: pattern of the lines to take.
    """

    def __init__(self, known: Pattern[str]):
        self.lines: List[str] = []
        self._known = known
        self._file = tempfile.TemporaryFile(buffering=0)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Run a block."""
        with _ONE_AT_A_TIME:
            sys.stderr.flush()
            shown = os.dup(2)
            os.dup2(self._file.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(shown, 2)
                os.close(shown)
                if os.fstat(self._file.fileno()).st_size:
                    self._sort()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _sort(self) -> None:
        self._file.seek(0)
        text = self._file.read().decode("utf-8", "replace")
        self._file.seek(0)
        self._file.truncate()
        for line in text.splitlines(keepends=True):
            if self._known.match(line):
                self.lines.append(line.strip())
            else:
                sys.stderr.write(line)
        sys.stderr.flush()
