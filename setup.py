"""What the wheel carries beside the package: the files that lab.util.resources finds."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

#: Of the checkout, as far as they are there; in the wheel they lie in ``lab/resources``.
RESOURCES = ("images", "dockerfiles", "labs.yaml", "labs.lock", "published")


def shipped() -> list[str]:
    """Every file of the resources, by its path in the checkout."""
    tops = [Path(name) for name in RESOURCES]
    found = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*"))]
    return sorted(str(path) for path in found if path.is_file())


class BuildWithResources(build_py):
    """Also copies the resources, except for an editable install: that uses the checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for name, target in self._targets().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(name, target)

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *shipped()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        own = [] if self.editable_mode else self._targets().values()
        return [*super().get_outputs(include_bytecode), *own]

    def _targets(self) -> dict[str, str]:
        return {name: str(Path(self.build_lib, "lab/resources", name)) for name in shipped()}


setup(cmdclass={"build_py": BuildWithResources})
