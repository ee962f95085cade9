"""BinderSpawner: servers as pods of a cluster, from images that the service has made of repositories."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from kubernetes_asyncio.client import V1EnvVar
from kubespawner import KubeSpawner
from traitlets import Unicode, default

from binderhub_service.common.refusal import Refused

from .. import start
from ..choices import Choices
from ..local import working_copy
from ..mixin import RepoSpawner
from ..options import NAMES
from ..rejection import FAILED_DEPENDENCY, Rejection
from ..template import USUAL_SHARES
from .base import PodSpawner, literal
from .profiles import Profiles
from .rights import LEAST_RIGHTS

# Options of profiles that cannot be: they are the repository's, or choose what the service makes.
TAKEN = frozenset({*NAMES, "profile", "image"})
USERS_GROUP = 100


class BinderSpawner(RepoSpawner, PodSpawner):
    """Servers from repositories as pods: KubeSpawner with all its settings, but for the image.

    With a home that stays, i.e. a volume at `home_dir`, everybody works in copies of the repositories in it, which survive
    their servers: the image's own content stays where the image has it, so that nothing is hidden.
    """

    home_dir = Unicode(
        "/home/person",
        help="""Where the home that stays is in the pods, if `volume_mounts` put a volume there; it is `HOME` then.

        A copy of the repository is put into it when a server first starts and is never overwritten; it follows the
        repository while it is untouched. Without such a volume servers work in the image's own content, and all changes are
        gone when the server stops. Not where images have their own content, which the volume would hide.
        """,
    ).tag(config=True)
    hidden_home = Unicode(
        "/home/jovyan",
        help="""Where images have their own content, so that no volume must lie over it.

        A volume that `volume_mounts` put there, as the chart zero-to-jupyterhub does unless told otherwise, is mounted at
        `home_dir` instead, and so is all that is mounted below it. Empty: every volume is mounted where `volume_mounts` say.
        """,
    ).tag(config=True)

    starts_as = KubeSpawner

    @default("starts_at_once")
    def _any_number(self) -> int:
        """Let the cluster decide."""
        return 0

    @default("cmd")
    def _singleuser(self) -> list[str]:
        return [start.SINGLEUSER]

    @default("fs_gid")
    def _group_of_homes(self) -> int:
        """Let images' users of any number write to the volumes."""
        return USERS_GROUP

    @default("container_security_context")
    def _least_rights(self) -> dict[str, Any]:
        return dict(LEAST_RIGHTS)

    # What people choose

    async def get_choices(self) -> Choices:
        """Return the operator's profiles."""
        profiles = self._sorted_dict_values(self.profile_list)
        if callable(profiles):
            profiles = profiles(self)
        if hasattr(profiles, "__await__"):
            profiles = await profiles
        profiles = self._get_initialized_profile_list(profiles)
        return Profiles(profiles, partial(self._show_profiles, profiles))

    def _get_initialized_profile_list(self, profile_list: Any) -> Any:
        """Complete the profiles as KubeSpawner does, without options that cannot be."""
        profiles = super()._get_initialized_profile_list(profile_list)
        for profile in profiles or ():
            for name in TAKEN.intersection(profile.get("profile_options") or ()):
                self.log.debug("The option %s of the profile %s is left out.", name, profile["slug"])
                del profile["profile_options"][name]
        return profiles

    def _show_profiles(self, profiles: Any, chosen: Mapping[str, str]) -> str:
        """Return the profiles as KubeSpawner shows them, by the operator's own template if there is one."""
        stored, self.user_options = self.user_options, dict(chosen)  # what KubeSpawner shows as chosen
        try:
            return str(self._render_options_form(profiles))
        finally:
            self.user_options = stored

    async def load_user_options(self) -> None:
        """Apply the chosen profile; whatever it says of an image, the service's is the one."""
        try:
            await super().load_user_options()
        except Refused as error:
            raise Rejection(400, error.sentence) from None
        self.image = self.repo_build["image"]

    def _validate_user_options(self, profile_list: Any) -> None:
        """Validate what KubeSpawner leaves open, and as it does; both raise a `ValueError`."""
        Profiles(profile_list or ()).check(self.user_options)
        super()._validate_user_options(profile_list)

    # The start

    def use_image(self, build: Mapping[str, Any]) -> None:
        """Take the image, which the cluster pulls while the pod starts."""
        if "@sha256:" not in build["image"]:
            raise Rejection(
                FAILED_DEPENDENCY, "The image has no digest, so the cluster cannot pull it. Ask an administrator to set the service's registry."
            )
        self.image = build["image"]

    async def get_pod_manifest(self) -> Any:
        """Return the pod: what puts the copy in place, then the server's own command, and what it is for."""
        pod = await super().get_pod_manifest()
        server = pod.spec.containers[0]
        self._free_content(server.volume_mounts)
        volumes = [mount.mount_path for mount in server.volume_mounts]
        copy = self._copy() if self._lies_at(self.home_dir, volumes) else ""
        if copy and not any(variable.name == "HOME" for variable in server.env):
            server.env.append(V1EnvVar(name="HOME", value=self.home_dir))
        singleuser = [*map(literal, self.template.words), *self.get_args()] if self.template.words else server.args or [start.SINGLEUSER]
        self._bound(server.resources)
        ours = start.command((), str(self.repo_build.get("commit") or ""), copy=copy, volumes=volumes)
        server.args = [*map(literal, ours), *singleuser]
        pod.metadata.annotations |= {**start.written(self.repo_build, self.user.name, self.name), "binder.image": self.image}
        return pod

    def _bound(self, resources: Any) -> None:
        """Lower what the server may have to what its template asks for."""
        template = self.template
        if template.memory_bytes:
            memory = template.memory_limit(self.mem_limit)
            resources.limits = {**(resources.limits or {}), "memory": memory}
            if self.mem_guarantee and self.mem_guarantee > memory:
                resources.requests["memory"] = memory
        if template.shares and self.cpu_guarantee:
            resources.requests["cpu"] = min(self.cpu_guarantee, template.shares / USUAL_SHARES)

    def _copy(self) -> str:
        build = self.repo_build
        return str(working_copy.copy_of(Path(self.home_dir), self.name, build["repo"], build["ref"]))

    def _free_content(self, mounts: list[Any]) -> None:
        """Mount elsewhere what would lie over the image's content."""
        if not self.hidden_home or not self._lies_at(self.hidden_home, [mount.mount_path for mount in mounts]):
            return
        hidden = PurePosixPath(self.hidden_home)
        for mount in mounts:
            if (path := PurePosixPath(mount.mount_path)).is_relative_to(hidden):
                mount.mount_path = str(PurePosixPath(self.home_dir) / path.relative_to(hidden))

    @staticmethod
    def _lies_at(folder: str, volumes: list[str]) -> bool:
        return any(PurePosixPath(volume) == PurePosixPath(folder) for volume in volumes)
