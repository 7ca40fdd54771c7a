"""``asl doctor``: what is installed, what works, and the command that mends what does not."""

import importlib
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional

_SETUP = "tools/setup_env.sh"

REQUIRED = ("torch", "lightning", "lhotse", "numpy", "h5py", "jsonargparse", "kaldifst", "kaldi-decoder")
SHOWN = REQUIRED + ("k2", "kaldilm", "kaldialign", "pose-format", "mediapipe", "tensorboard", "matplotlib")


class Check(NamedTuple):
    """One thing that was tried: whether it works, what was seen, and what mends it."""

    name: str
    works: bool
    seen: str
    required: bool = True
    mend: str = ""


def doctor() -> int:
    """Say what is installed and what works; end with status 1 where something that is required does not.

    Tries each thing that a recipe needs (torch with its devices, the two graph engines, reading and storing
    landmarks, MediaPipe for videos) on a small example, and prints the command that mends what does not work.

    Returns:
        0, or 1 where something required is broken.
    """
    print(f"Python {platform.python_version()} on {platform.platform()}: {sys.executable}")
    print("  ".join(f"{name} {_version(name) or '-'}" for name in SHOWN))
    checks = [attempt() for attempt in ATTEMPTS]
    for check in checks:
        state = "works" if check.works else "BROKEN" if check.required else "absent"
        print(f"{state:>7}  {check.name}: {check.seen}")
        if not check.works and check.mend:
            print(f"         mend it with: {check.mend}")
    broken = [check.name for check in checks if check.required and not check.works]
    print(f"broken: {', '.join(broken)}" if broken else "everything that is required works")
    return 1 if broken else 0


def _version(package: str) -> Optional[str]:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _attempt(name: str, trial: Callable[[], str], required: bool = True, mend: str = _SETUP) -> Check:
    try:
        return Check(name, True, trial(), required)
    except Exception as e:  # whatever a broken package throws is what the user has to see
        seen = " ".join(f"{type(e).__name__}: {e}".split())
        return Check(name, False, seen[:300], required, mend)


def check_python() -> Check:
    """Python 3.10 to 3.12: mediapipe and numpy 1.26 have no wheels for others."""
    good = (3, 10) <= sys.version_info[:2] <= (3, 12)
    return Check("Python", good, platform.python_version(), True, f"{_SETUP} (it looks for Python 3.10 to 3.12)")


def check_packages() -> Check:
    """Each required package imports."""

    def trial() -> str:
        for name in REQUIRED:
            importlib.import_module(name.replace("-", "_"))
        return f"{len(REQUIRED)} packages import"

    return _attempt("required packages", trial)


def check_torch() -> Check:
    """torch computes on the CPU, and on CUDA and MPS where they are."""

    def trial() -> str:
        import torch

        devices = ["cpu"]
        if torch.cuda.is_available():
            devices += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        if getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available():
            devices.append("mps")
        for device in devices:
            assert torch.ones(2, 2, device=device).matmul(torch.ones(2, 2, device=device)).sum().item() == 8
        return f"torch {torch.__version__} on {', '.join(devices)}"

    mend = f"{_SETUP} --set 3 (torch 1.13.1 of set 2 knows GPUs up to compute capability 8.6)"
    return _attempt("torch and its devices", trial, mend=mend)


def check_k2() -> Check:
    """k2 intersects two small graphs; it may be absent, as the kaldi engine does the same on a CPU."""

    def trial() -> str:
        import k2
        import torch

        graph = k2.create_fsa_vec([k2.ctc_topo(2)])
        scores = torch.full((1, 3, 3), 1 / 3).log()
        dense = k2.DenseFsaVec(scores, torch.tensor([[0, 0, 3]], dtype=torch.int32))
        lattice = k2.intersect_dense(graph, dense, output_beam=10.0)
        assert k2.shortest_path(lattice, use_double_scores=True).num_arcs > 0
        return f"k2 {_version('k2')}"

    mend = f"{_SETUP} --set 2 (Python 3.10, Linux), or tools/install_k2.sh --index URL for torch 2"
    # one that is installed and does not work is worse than none: --engine auto would have taken it
    return _attempt("graph engine k2", trial, required=_version("k2") is not None, mend=mend)


def check_kaldi() -> Check:
    """kaldifst compiles a graph and kaldi_decoder decodes a frame through it."""

    def trial() -> str:
        import kaldi_decoder
        import kaldifst
        import numpy as np

        graph = kaldifst.compile("0 1 1 1 0\n1 0\n", acceptor=False)
        log_probs = np.log(np.full((1, 2), 0.5, dtype=np.float32))
        decoder = kaldi_decoder.FasterDecoder(graph, kaldi_decoder.FasterDecoderOptions(max_active=100))
        decoder.decode(kaldi_decoder.DecodableCtc(log_probs))
        assert decoder.reached_final()
        return f"kaldifst {_version('kaldifst')}, kaldi-decoder {_version('kaldi-decoder')}"

    return _attempt("graph engine kaldi", trial)


def check_storage() -> Check:
    """An array with NaN goes through lhotse's HDF5 storage unchanged."""

    def trial() -> str:
        import tempfile

        import lhotse
        import numpy as np

        array = np.array([[0.5, np.nan]], dtype=np.float32)
        with tempfile.TemporaryDirectory() as folder:
            with lhotse.NumpyHdf5Writer(f"{folder}/a") as writer:
                key = writer.write("clip", array)
            found = lhotse.features.io.get_reader("numpy_hdf5")(writer.storage_path).read(key)
        np.testing.assert_array_equal(found, array)
        return f"lhotse {lhotse.__version__}, h5py {_version('h5py')}"

    return _attempt("storing landmarks", trial)


def check_mediapipe() -> Check:
    """MediaPipe's Holistic model opens; only needed to take landmarks from videos."""

    def trial() -> str:
        import mediapipe

        # the wheels from 0.10.30 on hold no models any more
        with mediapipe.solutions.holistic.Holistic(model_complexity=1):
            return f"mediapipe {_version('mediapipe')}"

    def quiet_trial() -> str:
        """What MediaPipe's C++ side logs says nothing to the user: it goes nowhere while this runs."""
        kept = os.dup(2)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            try:
                return trial()
            finally:
                os.dup2(kept, 2)
                os.close(kept)

    mend = "python -m pip install -c tools/constraints-set3.txt mediapipe opencv-contrib-python; "
    mend += "on Debian also: apt-get install libgl1 libglib2.0-0"
    return _attempt("landmarks from videos", quiet_trial, required=False, mend=mend)


def check_space() -> Check:
    """There is room to store features and checkpoints."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return Check("disk", free > 1, f"{free:.0f} GB free here", True, "free some space: landmarks and checkpoints need it")


ATTEMPTS: List[Callable[[], Check]] = [
    check_python,
    check_packages,
    check_torch,
    check_kaldi,
    check_k2,
    check_storage,
    check_mediapipe,
    check_space,
]
