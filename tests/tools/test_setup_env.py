"""Which set setup_env.sh takes and why, without installing anything: interpreters and pip are stand-ins."""

import shutil
import subprocess

import pytest

TOOLS = "bash env sh cat sed grep cksum sort tail dirname mkdir cp touch rm ls".split()

PYTHON = """#!/bin/sh
echo "${{0##*/}} $*" >> {log}
case "$*" in
  *"import ensurepip"*) echo {version} ;;
  "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && touch "$4/pyvenv.cfg" ;;
  "-m pip install"*k2-set2.txt | "-m pip install"*" --upgrade k2") touch {k2} ;;
  "-m pip install"*) if [ -e {fails} ]; then echo "pip: the index is not there"; exit 1; fi ;;
  "-c import k2") [ -e {k2} ] ;;
  *"import k2, torch"*) exit 1 ;;
  *"re.search"*) echo 2.4.1 ;;
  *"torch=="*) echo torch==2.4.1+cpu ;;
  *"print(\\"Python\\""*) echo "Python {version}, torch of a stand-in" ;;
esac
"""


class Machine:
    """A machine of stand-ins: which Pythons and which GPU it has."""

    def __init__(self, folder, root):
        self.folder, self.bin, self.tree = folder, folder / "bin", folder / "tree"
        self.env = self.tree / ".venv"
        shutil.copytree(root / "tools", self.tree / "tools")
        shutil.copy(root / "setup.py", self.tree)
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        self.program("uname", "#!/bin/sh\ncase $1 in -s) echo Linux ;; *) echo x86_64 ;; esac\n")

    def program(self, name, text):
        path = self.bin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def python(self, version, name=None):
        files = {"log": self.folder / "log", "fails": self.folder / "pip-fails", "k2": self.folder / "k2-is-there"}
        text = PYTHON.format(version=version, **files)
        return self.program(name or f"python{version}", text)

    def gpu(self, capability):
        self.program("nvidia-smi", f"#!/bin/sh\necho {capability}\n")

    def setup(self, *words):
        return subprocess.run(
            [str(self.tree / "tools/setup_env.sh"), *map(str, words)],
            env={"PATH": str(self.bin), "HOME": str(self.folder), "PYENV_ROOT": str(self.folder / "pyenv")},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def calls(self):
        log = self.folder / "log"
        return log.read_text() if log.exists() else ""


@pytest.fixture
def machine(tmp_path, root):
    return Machine(tmp_path, root)


def test_set_2_is_taken_on_a_cpu_with_python_3_10(machine):
    machine.python("3.10")
    machine.python("3.11")
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert "not set 1: no --k2-index is given" in done.stdout and "taking set 2" in done.stdout
    assert "set 2 is ready in" in done.stdout
    assert "[video,dev] graphviz torchaudio" in machine.calls()
    assert (machine.env / "constraints.txt").read_text() == (machine.tree / "tools/constraints-set2.txt").read_text()


def test_set_2_takes_the_one_wheel_of_k2_that_is_for_its_python(machine):
    machine.python("3.10")
    machine.setup()
    (call,) = [line for line in machine.calls().splitlines() if "k2-set2.txt" in line]
    assert "--force-reinstall --no-deps" in call, "the wheel of another Python may be there under the same version"
    assert "--hash=sha256:" in (machine.tree / "tools/k2-set2.txt").read_text()
    (machine.env / ".asl-environment").unlink()
    machine.setup()
    assert machine.calls().count("k2-set2.txt") == 1, "a k2 that can be imported stays"
    machine.setup("--set", "3", "--dir", machine.folder / "other")
    assert machine.calls().count("k2-set2.txt") == 1


def test_the_second_call_does_nothing(machine):
    machine.python("3.10")
    machine.setup()
    before = machine.calls()
    done = machine.setup()
    assert done.returncode == 0 and done.stdout.startswith("setup_env: set 2 is ready in")
    assert "pip" not in machine.calls()[len(before) :]


def test_new_pins_finish_what_is_there_in_the_same_set(machine):
    machine.python("3.10")
    machine.python("3.11")
    machine.setup("--set", "3")
    with open(machine.tree / "tools/constraints-set3.txt", "a") as f:
        f.write("# another\n")
    before = machine.calls()
    done = machine.setup()
    assert "finishing the environment" in done.stdout and "set 3 is ready" in done.stdout
    assert "venv --clear" not in machine.calls()[len(before) :]


def test_what_failed_is_shown_and_finished_next_time(machine):
    machine.python("3.10")
    (machine.folder / "pip-fails").touch()
    failed = machine.setup("--set", "2")
    assert failed.returncode == 1
    assert "pip: the index is not there" in failed.stderr and "no environment could be made" in failed.stderr
    assert not (machine.env / ".asl-environment").exists()
    (machine.folder / "pip-fails").unlink()
    done = machine.setup("--set", "2")
    assert done.returncode == 0 and "finishing the environment" in done.stdout


@pytest.mark.parametrize("capability, taken", [("7.5", 2), ("8.6", 2), ("8.9", 3), ("9.0", 3), ("12.0", 3)])
def test_a_gpu_that_torch_1_13_does_not_know_gets_set_3(machine, capability, taken):
    machine.python("3.10")
    machine.python("3.11")
    machine.gpu(capability)
    done = machine.setup()
    assert f"set {taken} is ready" in done.stdout
    assert (f"compute capability {capability}" in done.stdout) == (taken == 3)


def test_a_mac_gets_set_3(machine):
    machine.python("3.10")
    machine.program("uname", "#!/bin/sh\ncase $1 in -s) echo Darwin ;; *) echo arm64 ;; esac\n")
    done = machine.setup()
    assert "this is Darwin on arm64" in done.stdout and "set 3 is ready" in done.stdout


def test_a_shim_that_does_not_run_is_passed_over_for_pyenvs_own(machine):
    machine.program("python3.10", "#!/bin/sh\necho 'pyenv: python3.10: command not found' >&2; exit 127\n")
    machine.python("3.10", "../pyenv/versions/3.10.13/bin/python")
    done = machine.setup()
    assert "taking set 2" in done.stdout
    assert "pyenv/versions/3.10.13/bin/python" in done.stdout and done.returncode == 0


def test_no_python_that_fits_is_one_clear_error(machine):
    machine.python("3.9", "python3")
    done = machine.setup()
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "no Python of 3.10 is found" in done.stderr
    assert "give --python" in done.stderr and not machine.env.exists()


def test_a_given_python_is_the_only_one_tried(machine):
    machine.python("3.10")
    other = machine.python("3.12", "other")
    done = machine.setup("--python", other)
    assert "not set 2: " in done.stdout and "set 3 is ready" in done.stdout
    assert "other -m venv --clear" in machine.calls()


def test_a_folder_that_is_no_environment_is_left_alone(machine):
    machine.python("3.10")
    machine.env.mkdir()
    (machine.env / "thesis.tex").write_text("x")
    done = machine.setup()
    assert done.returncode == 1 and "is no Python environment" in done.stderr
    assert (machine.env / "thesis.tex").exists()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--sett", "2"], "no option '--sett'"),
        (["--set", "4"], "--set is auto, 1, 2 or 3, not '4'"),
        (["--dir"], "--dir needs a value"),
        (["2"], "no option '2'"),
    ],
)
def test_mistakes_are_refused_with_one_line(machine, words, said):
    done = machine.setup(*words)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_an_index_of_k2_wheels_gives_set_1_with_the_torch_that_the_wheel_is_for(machine):
    machine.python("3.11")
    done = machine.setup("--k2-index", "https://wheels.invalid/cpu.html")
    assert done.returncode == 0 and "set 1 is ready" in done.stdout, done.stderr
    calls = machine.calls()
    k2, torch, rest = [line for line in calls.splitlines() if "-m pip install" in line]
    assert "--no-index --find-links https://wheels.invalid/cpu.html --no-deps --pre" in k2 and k2.endswith(" k2")
    assert "torch==2.4.1" in torch and "[video,dev]" in rest
    pins = (machine.env / "constraints.txt").read_text().splitlines()
    assert [pin for pin in pins if pin.startswith("torch==")] == ["torch==2.4.1+cpu"]
    again = machine.setup()
    assert again.stdout.startswith("setup_env: set 1 is ready") and "pip" not in machine.calls()[len(calls) :]


def test_no_pin_names_a_build_and_set_1_takes_its_torch_from_k2(root):
    for number in (2, 3):
        text = (root / f"tools/constraints-set{number}.txt").read_text()
        pins = [line for line in text.splitlines() if not line.startswith("#")]
        assert all("==" in pin and "+" not in pin for pin in pins) and len(pins) > 60
        assert ("k2==1.23.4" in pins) == (number == 2)
