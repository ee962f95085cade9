"""Image stores of every kind, each with a way to get an image into it."""

from __future__ import annotations

import io
import json
import os
import secrets
import tarfile
from abc import ABC, abstractmethod
from pathlib import Path

from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.clients.engine import Engine, EngineAddress
from binderhub_service.clients.registry import RegistryClient
from binderhub_service.common import labels
from binderhub_service.images import Images
from binderhub_service.images.docker import DockerImages
from binderhub_service.images.environments import MADE, EnvironmentImages
from binderhub_service.images.fake import FakeImages
from binderhub_service.images.registry import RegistryImages
from binderhub_service.models import Image
from tests.docker.servers.engine import TestEngine
from tests.harness.records import commit


class ImageStore(ABC):
    """A store of images, and how something gets into it."""

    images: Images

    def name(self, short: str) -> str:
        """Return a name that the store takes for one of its own."""
        return short

    @abstractmethod
    def put(self, name: str, key: str = "key") -> None:
        """Make an image complete."""

    async def close(self) -> None:
        """Leave nothing behind."""
        await self.images.close()


class FakeImageStore(ImageStore):
    """Names in memory."""

    def __init__(self) -> None:
        self.images: FakeImages = FakeImages()

    def put(self, name: str, key: str = "key") -> None:
        """Make an image complete."""
        self.images.there[name] = Image(name, key)


class EnvironmentImageStore(ImageStore):
    """Writes what the recipe writes, step by step: see `binderhub_service.images.environments`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images: EnvironmentImages = EnvironmentImages(root, "settings")
        self._builds = 0

    def put(self, name: str, key: str = "key", *, force: bool = False) -> None:
        """Make an image complete, with an environment that is there already unless it is forced."""
        link = self.root / "environments" / key
        if force or not link.exists():
            self.link("environments", key, self.make_environment(key))
        self.link("images", name, self.make_image(name, key, link.resolve()))

    def make_environment(self, key: str) -> Path:
        """Make an environment that nothing names yet."""
        made = self.root / "environments" / MADE / f"{key}.{self._build_id()}"
        (made / "bin").mkdir(parents=True)
        (made / "bin" / "python").touch()
        return made

    def make_image(self, name: str, key: str, environment: Path) -> Path:
        """Make an image that nothing names yet."""
        made = self.root / "images" / MADE / f"{name}.{self._build_id()}"
        (made / "content").mkdir(parents=True)
        manifest = {"environment": str(environment), "key": key, "content": str(made / "content"), "content_bytes": 1, "environment_bytes": 1}
        (made / "image.json").write_text(json.dumps(manifest))
        return made

    def _build_id(self) -> str:
        """Return the id of a build long ago: 0b1, 0b2 and so on."""
        self._builds += 1
        return f"0b{self._builds}"

    def link(self, folder: str, name: str, made: Path) -> None:
        """Give what was made its name."""
        link = self.root / folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(made)


class EngineImageStore(ImageStore):
    """A real engine's images, small ones that were never built."""

    def __init__(self, engine: TestEngine) -> None:
        self.engine = engine
        self._api = Engine(EngineAddress(os.environ["DOCKER_HOST"]))
        self.images: Images = DockerImages(self._api, self.name(""))

    def name(self, short: str) -> str:
        """Return a name that bears the test's mark."""
        return f"{self.engine.mark}-{short and f'{short}:1'}"

    def put(self, name: str, key: str = "key") -> None:
        """Import an image with a file of its own, labelled as those that are built."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            entry = tarfile.TarInfo("file")
            entry.size = 20
            archive.addfile(entry, io.BytesIO(secrets.token_bytes(20)))
        written = [f'LABEL "{labels.ENVIRONMENT}"="{key}"', f'LABEL "{labels.COMMIT}"="{commit()}"', 'CMD ["true"]']
        repository, _, tag = name.rpartition(":")
        self.engine.client.import_image_from_data(content.getvalue(), repository, tag, changes=written)

    async def close(self) -> None:
        """Remove all images."""
        await super().close()
        self.engine.clear()


class RegistryImageStore(EngineImageStore):
    """A real registry's images, which the engine has as well, because it made them."""

    def __init__(self, engine: TestEngine, registry: str, login: tuple[str, str] | None = None) -> None:
        self._registry = registry
        self._login = login and {"username": login[0], "password": login[1]}
        super().__init__(engine)
        client = RegistryClient(Credentials([Login(registry, *login)] if login else []))
        self.images = RegistryImages(client, self.name(""), local=DockerImages(self._api, self.name("")))

    def name(self, short: str) -> str:
        """Return a name in the registry that bears the test's mark."""
        return f"{self._registry}/{super().name(short)}"

    def put(self, name: str, key: str = "key") -> None:
        """Import an image and push it."""
        super().put(name, key)
        for line in self.engine.client.push(name, stream=True, decode=True, auth_config=self._login):
            assert "error" not in line, line
