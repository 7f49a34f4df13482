"""Build what the benchmark runs, from the sources of this checkout, into a folder of its own."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from panna_plus.native import building, cuda_building

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[2] / "csrc"
OPTIMIZED = ["-std=c++17", "-O2", "-fPIC", "-Wall", "-Wextra"]
# Without a GPU: csrc/cuda/emulation, optimized just enough to be quick to compile and to run.
EMULATED = ["-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-DPANNA_PORTABLE_ONLY", "-Wno-psabi"]
EMULATED += ["-Wno-unknown-pragmas"]
AS_CPP = ["-x", "c++"]


@dataclass
class Build:
    """Where everything is.

    Attributes
    ----------
    folder : Path
        Libraries and programs.
    is_emulated : bool
        The device is csrc/cuda/emulation.
    architecture : str
        Compute capability without the dot; empty: those of an installation.
    seconds : dict
        What was compiled -> how long that took.
    """

    folder: Path
    is_emulated: bool
    architecture: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    compilers: dict[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> Path:
        return self.folder / building.ENGINE_NAME

    @property
    def cuda(self) -> Path:
        return self.folder / cuda_building.LIBRARY_NAME

    @property
    def driver(self) -> Path:
        return self.folder / "driver"

    @property
    def driver_library(self) -> Path:
        return self.folder / "libdriver.so"

    @property
    def ceilings(self) -> Path:
        return self.folder / "ceilings"

    @property
    def parity_test(self) -> Path:
        return self.folder / "test_cuda"


class Builder:
    """Compiles for a GPU or for its emulation; keeps objects, so that a second run is quick."""

    def __init__(self, build: Build, say: Callable[[str], None]):
        self.build = build
        self.say = say
        self.objects = build.folder / "objects"
        self.host = building.Compiler(say)
        self.headers = building.headers_below(CSRC, HERE)
        self.cuda_objects: list[Path] = []
        if build.is_emulated:
            self.device, self.device_flags, self.link_flags = self.host, [*EMULATED, *AS_CPP], []
            self.includes = ["-I", str(CSRC / "cuda/emulation")]
        else:
            self._find_toolkit()
        build.compilers["g++"] = first_line(self.host.run(["--version"]))

    def _find_toolkit(self) -> None:
        toolkit = cuda_building.find_toolkit()
        if toolkit is None:
            places = ", ".join(str(place) for place in cuda_building.candidates())
            raise cuda_building.ToolkitError(f"no CUDA toolkit (looked for {places}): name its folder in CUDA_HOME")
        self.device = building.Compiler(self.say, toolkit.command(self.host.command))
        wanted = [self.build.architecture] if self.build.architecture in toolkit.architectures else []
        self.device_flags = cuda_building.device_flags(wanted or cuda_building.wanted_architectures(toolkit))
        self.link_flags = toolkit.link_flags
        self.includes = ["-isystem", str(toolkit.include)]
        self.build.compilers["nvcc"] = ".".join(str(part) for part in toolkit.version)

    def basics(self) -> None:
        """Build what every measurement needs; the first error ends it."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.timed, [self.engine, self.cuda]))
        self.timed(self.driver)

    def timed(self, step: Callable[[], None]) -> None:
        """Build one thing and take down how long that took."""
        start = time.perf_counter()
        step()
        self.build.seconds[step.__name__] = time.perf_counter() - start
        self.say(f"built: {step.__name__} in {self.build.seconds[step.__name__]:.0f} s")

    def engine(self) -> None:
        if not self.build.is_emulated:
            building.build_engine(CSRC, self.build.engine, self.objects / "engine", self.host, self.headers)
            return
        jobs = [job for job in building.listed_jobs(CSRC, "sources.txt", EMULATED) if not is_for_one_processor(job)]
        objects = self.host.compile_all(jobs, self.objects / "engine", self.headers)
        self._link(objects, self.build.engine, "panna_plus_*")

    def cuda(self) -> None:
        folder = self.objects / "cuda"
        if self.build.is_emulated:
            self.cuda_objects = self.host.compile_all(emulated_jobs(self.includes), folder, self.headers)
        else:
            for_host, for_device = building.cuda_jobs(CSRC, self.includes, self.device_flags)
            self.cuda_objects = self.device.compile_all(for_device, folder, self.headers)
            self.cuda_objects += self.host.compile_all(for_host, folder, self.headers)
        self._link(self.cuda_objects, self.build.cuda, "panna_plus_cuda_*")

    def driver(self) -> None:
        sources = sorted((HERE / "driver").glob("*.cpp"))
        jobs = [(source, [*OPTIMIZED, "-I", str(CSRC / "c_api")], source.stem) for source in sources]
        objects = self.host.compile_all(jobs, self.objects / "driver", self.headers)
        with_engine = [f"-L{self.build.folder}", f"-l:{building.ENGINE_NAME}", "-Wl,-rpath,$ORIGIN", "-pthread"]
        self.host.run([*map(str, objects), "-o", str(self.build.driver), *with_engine])
        self.host.link(objects, self.build.driver_library, "panna_plus_drive", with_engine)

    def ceilings(self) -> None:
        source, folder = HERE / "ceilings.cu", self.objects / "ceilings"
        flags = [*self.device_flags, "-I", str(CSRC), *(self.includes if self.build.is_emulated else [])]
        objects = self.device.compile_all([(source, flags, "ceilings")], folder, self.headers)
        self._program([*objects, *self.cuda_objects], self.build.ceilings)

    def parity_test(self) -> None:
        """Build csrc/tests/test_cuda.cpp, which compares the device with the plain loops of the CPU."""
        flags = [*OPTIMIZED, "-I", str(CSRC), "-I", str(CSRC / "tests"), *self.includes]
        flags += [] if self.build.is_emulated else ["-DPANNA_REAL_DEVICE"]
        reference = [CSRC / "cpu/panna_reference.cpp"]
        jobs = [(source, flags, source.stem) for source in [CSRC / "tests/test_cuda.cpp", *reference]]
        objects = self.host.compile_all(jobs, self.objects / "test", self.headers)
        self._program([*objects, *self.cuda_objects], self.build.parity_test)

    def operators(self) -> None:
        """Build the operators for training against the torch of this Python."""
        target = self.build.folder / building.torch_library_file("ops")
        building.build_against_torch("ops", CSRC, self.build.folder, target, self.objects / "ops", self.host)

    def _program(self, objects: list[Path], target: Path) -> None:
        self.host.run([*map(str, objects), "-o", str(target), *self.link_flags, "-pthread"])

    def _link(self, objects: list[Path], target: Path, exports: str) -> None:
        self.host.link(objects, target, exports, [*self.link_flags, *building.ENGINE_LIBRARIES])


def emulated_jobs(includes: list[str]) -> list[building.Job]:
    """Return the jobs of the CUDA library as C++."""
    jobs = building.listed_jobs(CSRC, "cuda/sources.txt", [*EMULATED, *includes])
    jobs = [(source, [*flags, *AS_CPP], name) for source, flags, name in jobs]
    emulator = CSRC / "cuda/emulation/emulation.cpp"
    return [*jobs, (emulator, [*EMULATED, *includes, "-I", str(CSRC)], "emulation")]


def is_for_one_processor(job: building.Job) -> bool:
    return any(flag.startswith("-march") for flag in job[1])


def first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
