"""Compile C++ libraries with plain compiler calls: what setup.py does, and what a first use of torch operators does.

Imports nothing of the package: setup.py loads this file by its path, in environments that have nothing but setuptools.
"""

import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# (source, flags, object name)
Job = tuple[Path, list[str], str]

# The run path is relative, absent or that of torch, and build paths do not reach the messages.
LINK_FLAGS = ["-shared", "-Wl,-z,relro"]
TORCH_FLAGS = ["-std=c++20", "-O2", "-fPIC", "-Wall", "-Wextra", "-fvisibility=hidden"]
ENGINE_NAME = "libpanna_plus.so"
ENGINE_LIBRARIES = ["-pthread", "-ldl"]
# Libraries that need torch, and what they link besides it.
TORCH_LIBRARIES = {"ops": [f"-l:{ENGINE_NAME}"], "torchscript": []}


class CompilationError(Exception):
    """A compiler that is missing or failed; the text holds the command and what it said."""


class Compiler:
    """A compiler.

    Parameters
    ----------
    on_warning : callable (str)
        Receives what the compiler says about sources that it compiles.
    command : list of str
        Without it the C++ compiler of the environment: variable CXX, else g++.
    """

    def __init__(self, on_warning: Callable[[str], None] = lambda _: None, command: list[str] | None = None) -> None:
        self.command = command or shlex.split(os.environ.get("CXX", "g++"))
        self.on_warning = on_warning

    def is_present(self) -> bool:
        return shutil.which(self.command[0]) is not None

    def run(self, arguments: Iterable[str]) -> str:
        """Return what the compiler says.

        Raises
        ------
        CompilationError
            If it is missing or fails.
        """
        command = [*self.command, *arguments]
        if not self.is_present():
            raise CompilationError(f"no C++ compiler {self.command[0]!r} (Debian, Ubuntu: apt install g++)")
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise CompilationError(f"this command failed:\n{shlex.join(command)}\n{result.stderr}")
        return result.stdout + result.stderr

    def compile_all(self, jobs: list[Job], folder: Path, headers: Iterable[Path]) -> list[Path]:
        """Compile in parallel; objects that are newer than their source and the `headers` are kept."""
        folder.mkdir(parents=True, exist_ok=True)
        newest_header = max((header.stat().st_mtime for header in headers), default=0.0)
        version = self.run(["--version"])

        def compile_one(job: Job) -> Path:
            source, flags, name = job
            key = hashlib.sha256("\0".join([version, str(source), *flags]).encode()).hexdigest()[:12]
            target = folder / f"{name}-{key}.o"
            if not target.exists() or target.stat().st_mtime < max(newest_header, source.stat().st_mtime):
                partial = target.with_suffix(f".{os.getpid()}.part")
                warnings = self.run([*flags, "-c", str(source), "-o", str(partial)])
                partial.replace(target)
                if warnings:
                    self.on_warning(warnings)
            return target

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(compile_one, jobs))

    def link(self, objects: list[Path], target: Path, exports: str, libraries: Iterable[str] = ()) -> None:
        """Link a shared object that shows only the symbols `exports`.

        The old file is replaced in one step, since a process may have it open.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}.part")
        script = objects[0].with_suffix(f".{os.getpid()}.map")
        script.write_text(f"{{ global: {exports}; local: *; }};\n")
        names = ["-Wl,--version-script=" + str(script), f"-Wl,-soname,{target.name}"]
        self.run([*LINK_FLAGS, *names, *map(str, objects), "-o", str(partial), *libraries])
        script.unlink()
        partial.replace(target)


def headers_below(*folders: Path) -> list[Path]:
    """List the headers of folders and their subfolders."""
    return [file for folder in folders for file in folder.rglob("*") if file.suffix in (".h", ".inc")]


def meaningful_lines(path: Path) -> list[str]:
    """Return the lines of a list without comments and empty lines."""
    lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def listed_jobs(csrc: Path, name: str, common: list[str]) -> list[Job]:
    """Return the jobs of a list of sources, one per line, relative to `csrc`.

    Further flags for a source stand behind it; `-o NAME` names its object, so that one source can be compiled several
    times.
    """
    jobs = []
    for line in meaningful_lines(csrc / name):
        source, *flags = shlex.split(line)
        target = Path(source).with_suffix("").as_posix().replace("/", "_")
        if "-o" in flags:
            place = flags.index("-o")
            target, flags = f"{target}_{flags[place + 1]}", flags[:place] + flags[place + 2 :]
        prefix = f"-ffile-prefix-map={csrc.parent}/="
        jobs.append((csrc / source, [*common, "-I", str(csrc), prefix, *flags], target))
    return jobs


def common_flags(csrc: Path) -> list[str]:
    """Return the flags of all sources of the engine and of the C++ part of the CUDA library."""
    return [flag for line in meaningful_lines(csrc / "flags.txt") for flag in shlex.split(line)]


def build_engine(csrc: Path, target: Path, objects: Path, compiler: Compiler, headers: Iterable[Path]) -> None:
    """Build the native engine for this kind of processor: all of its instruction sets.

    Raises
    ------
    CompilationError
    """
    jobs = listed_jobs(csrc, "sources.txt", common_flags(csrc))
    is_x86 = platform.machine() in ("x86_64", "AMD64")
    jobs = [job for job in jobs if is_x86 or not any(flag.startswith("-march=x86-64") for flag in job[1])]
    compiler.link(compiler.compile_all(jobs, objects, headers), target, "panna_plus_*", ENGINE_LIBRARIES)


def cuda_jobs(csrc: Path, includes: list[str], device_flags: list[str]) -> tuple[list[Job], list[Job]]:
    """Return the jobs of the CUDA part: those of the C++ compiler and those of nvcc.

    Parameters
    ----------
    csrc : Path
    includes : list of str
        How the C++ compiler finds the headers of CUDA.
    device_flags : list of str
        Those of nvcc.
    """
    flags = f"-fPIC,-fvisibility=hidden,-ffile-prefix-map={csrc.parent}/="
    for_device = [*device_flags, "-Xcompiler", flags, "-I", str(csrc)]
    jobs = listed_jobs(csrc, "cuda/sources.txt", [*common_flags(csrc), *includes])
    host = [job for job in jobs if job[0].suffix == ".cpp"]
    return host, [(source, for_device, name) for source, _, name in jobs if source.suffix == ".cu"]


def torch_folder() -> Path | None:
    """Return the folder of the installed torch, found without importing it, or None."""
    spec = importlib.util.find_spec("torch")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return Path(folders[0]) if folders and (Path(folders[0]) / "include/torch/library.h").exists() else None


def torch_version(torch: Path) -> str:
    """Return the version of the torch in a folder, for example '2.13.0+cpu'."""
    found = re.search(r"^__version__ = '(.+)'", (torch / "version.py").read_text(), re.MULTILINE)
    if not found:
        raise CompilationError(f"no version in {torch / 'version.py'}")
    return found.group(1)


def source_hash(csrc: Path) -> str:
    """Return a hash over everything that a library built from `csrc` may depend on."""
    kinds = (".h", ".inc", ".cpp", ".cu", ".txt")
    names = sorted(p.relative_to(csrc) for p in csrc.rglob("*") if p.suffix in kinds)
    # The folder of that name in csrc, not one that the checkout lies in.
    content = b"".join(str(n).encode() + (csrc / n).read_bytes() for n in names if "tests" not in n.parts)
    return hashlib.sha256(content).hexdigest()[:16]


def torch_build_key(csrc: Path, torch: Path) -> str:
    """Return what a library built against torch must have been built from to be loaded; it knows the place of torch."""
    return f"torch {torch_version(torch)} in {torch} sources {source_hash(csrc)}"


def torch_library_file(name: str) -> str:
    """Return the file name of a library of TORCH_LIBRARIES."""
    return f"libpanna_plus_{name}.so"


def build_against_torch(
    name: str, csrc: Path, engine_folder: Path, target: Path, objects: Path, compiler: Compiler | None = None
) -> None:
    """Build a library of TORCH_LIBRARIES from the sources in ``torch/<name>_sources.txt``.

    Parameters
    ----------
    name : str
    csrc : Path
        The sources.
    engine_folder : Path
        Where the engine lies.
    target : Path
        The library; beside it a file with its `torch_build_key` is written.
    objects : Path
        Where objects are kept.

    Raises
    ------
    CompilationError
        If there is no torch or no compiler, or the compiler fails.
    """
    torch = torch_folder()
    if torch is None:
        raise CompilationError("torch and its headers were not found: install torch into this environment")
    includes = [part for f in ("include", "include/torch/csrc/api/include") for part in ("-isystem", str(torch / f))]
    compiler = compiler or Compiler()
    jobs = listed_jobs(csrc, f"torch/{name}_sources.txt", [*TORCH_FLAGS, *includes])
    compiled = compiler.compile_all(jobs, objects, headers_below(csrc))
    of_torch = [f"-L{torch / 'lib'}", f"-Wl,-rpath,{torch / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10"]
    compiler.link(compiled, target, "panna_plus_*", [f"-L{engine_folder}", *TORCH_LIBRARIES[name], *of_torch])
    record_of(target).write_text(torch_build_key(csrc, torch) + "\n")


def record_of(library: Path) -> Path:
    """Return the file that says what a library was built from."""
    return library.with_suffix(".built")
