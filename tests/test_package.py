"""The package as a whole: what an import loads, that the public names are there, and what a missing extra says."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import winograd
from winograd.__main__ import COMMANDS

PACKAGE = Path(winograd.__file__).parent
HEAVY = (
    *("torch", "sympy", "matplotlib", "numpy", "av", "scipy", "mpmath", "ml_dtypes"),
    *("hypothesis", "joblib", "tqdm", "dask", "distributed", "sqlite3"),
)
MAX_IMPORT_MS = 150


def run_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    return set(json.loads(run_python(f"import json, sys; {statement}; print(json.dumps(list(sys.modules)))")))


def test_import_loads_nothing_heavy() -> None:
    assert not loaded_by("import winograd").intersection(HEAVY)


def test_the_check_above_sees_a_heavy_import() -> None:
    assert "sympy" in loaded_by("import winograd; winograd.toom_cook")


def test_exact_rooms_and_accuracy_load_no_torch() -> None:
    names = ("toom_cook", "nest", "emit", "measure_error", "error_bound", "search_points", "conv3d")
    assert "torch" not in loaded_by("import winograd; " + "; ".join(f"winograd.{name}" for name in names))


def test_names_of_networks_are_known_without_torch() -> None:
    program = """
import winograd.networks
assert "c3d" in winograd.networks.list_networks()
try:
    winograd.networks.create("c3dd")
except ValueError as error:
    assert "nearest: c3d" in str(error)
"""
    assert "torch" not in loaded_by(f"exec({program!r})")


def test_import_touches_no_global_state() -> None:
    program = """
import decimal, locale, os, random, signal, warnings
def state():
    return (random.getstate(), list(warnings.filters), os.getcwd(), dict(os.environ), locale.setlocale(locale.LC_ALL),
            decimal.getcontext().prec, signal.getsignal(signal.SIGINT))
before = state()
import winograd
print(state() == before)
"""
    assert run_python(program).strip() == "True"


def test_import_is_fast(capsys: pytest.CaptureFixture[str]) -> None:
    program = "import time; s = time.process_time(); import winograd; print((time.process_time() - s) * 1e3)"
    times_ms = sorted(float(run_python(program)) for _ in range(3))
    with capsys.disabled():
        print(f" import winograd: {times_ms[0]:.1f} ms ", end="")
    assert times_ms[0] < MAX_IMPORT_MS


@pytest.mark.parametrize("name", winograd.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(winograd, name) is not None
    assert name in dir(winograd)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'winograd' has no attribute 'convolve'"):
        _ = winograd.convolve


@pytest.mark.parametrize("package", [winograd, winograd.networks], ids=lambda package: package.__name__)
def test_type_checkers_see_the_names_that_run_time_resolves(package: ModuleType) -> None:
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname or alias.name: statement.module
        for statement in guarded.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert {name: home for name, home in imported.items() if home != "winograd"} == package._HOMES
    assert set(imported) <= set(package.__all__) == set(dir(package))
    assert all(hasattr(package, name) for name in package.__all__)


def test_networks_have_their_names_in_every_way_of_importing_them() -> None:
    from winograd.networks import C3D, pretrained
    from winograd.networks.c3d import C3D as at_home

    assert C3D is winograd.networks.C3D is at_home is pickle.loads(pickle.dumps(C3D))
    assert pickle.loads(pickle.dumps(pretrained)) is pretrained
    with pytest.raises(AttributeError, match=r"^module 'winograd.networks' has no attribute 'C4D'$"):
        _ = winograd.networks.C4D
    with pytest.raises(ImportError, match="cannot import name 'C4D'"):
        exec("from winograd.networks import C4D")


@pytest.mark.parametrize("name", ["nn", "networks.describe", "networks.create('c3d')", "convert_"])
def test_missing_torch_names_the_extra(name: str) -> None:
    program = f"""
import sys
sys.modules["torch"] = None
import winograd
try:
    winograd.{name}
except ModuleNotFoundError as error:
    print(error)
"""
    message = run_python(program).strip()
    assert "needs torch" in message
    assert message.endswith("pip install 'winograd[torch]'")
    assert "\n" not in message


def test_version_is_the_distribution_s() -> None:
    assert metadata.version("winograd") == winograd.__version__


def test_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def commands_in_package() -> set[str]:
    modules = (path for path in PACKAGE.glob("*.py") if not path.stem.startswith("_"))
    return {path.stem for path in modules if "\ndef main(" in path.read_text()}


def test_every_command_is_listed() -> None:
    assert commands_in_package() == set(COMMANDS)


def test_help_lists_the_commands_on_stdout() -> None:
    done = subprocess.run([sys.executable, "-m", "winograd", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name in COMMANDS:
        assert f"python -m winograd.{name} " in done.stdout


@pytest.mark.parametrize("arguments", [[], ["no-such-command"]])
def test_without_a_command_usage_goes_to_stderr(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "winograd", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "python -m winograd.COMMAND" in done.stderr
