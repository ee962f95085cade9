"""KubeSpawner's claims of volumes, each for one account of the hub, whatever its name is now, and for no later account of that name."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from kubernetes_asyncio.client import ApiException
from kubespawner import KubeSpawner

from ..account import ACCOUNT_LABEL, HOME_LABEL, HomeOwner, account_of_user

NOT_FOUND = 404
_LONGEST_NAME = 253


class ClaimSpawner(KubeSpawner):
    """KubeSpawner, whose claims say which account they are for; that of another account is neither mounted nor deleted.

    KubeSpawner remembers for each server which claim it has, so claims follow accounts that are renamed. Claims that it finds by a name
    are asked here whose they are. Where `pvc_name_template` names no person, the claim is everybody's, and nothing is asked.
    """

    @property
    def account(self) -> HomeOwner:
        """Whose server it is."""
        return account_of_user(self.user)

    @property
    def _is_personal(self) -> bool:
        return "user" in self.pvc_name_template

    @property
    def _home_labels(self) -> dict[str, str]:
        server = self.name if "server" in self.pvc_name_template else ""
        kind = hashlib.sha256(f"{self.pvc_name_template}/{server}".encode()).hexdigest()[:32]
        return {ACCOUNT_LABEL: self.account.key, HOME_LABEL: kind}

    def get_pvc_manifest(self) -> Any:
        """Return the claim, with whose it is."""
        claim = super().get_pvc_manifest()
        if self._is_personal:
            claim.metadata.labels = {**(claim.metadata.labels or {}), **self._home_labels}
        return claim

    async def _check_pvc_exists(self, pvc_name: str, namespace: str) -> bool:
        """Say whether a claim of this name is there for this account."""
        if not self._is_personal:
            return bool(await super()._check_pvc_exists(pvc_name, namespace))
        claim = await self._claim(pvc_name)
        return claim is not None and self._is_ours(claim)

    async def _make_create_pvc_request(self, pvc: Any, request_timeout: float) -> bool:
        """Take the account's claim if there is one, else make it; under a name of its own if the usual one is somebody else's."""
        if self._is_personal:
            try:
                async with asyncio.timeout(request_timeout):
                    self.pvc_name = await self._name_for(pvc.metadata.name)
            except TimeoutError:
                return False
            pvc.metadata.name = self.pvc_name
        return bool(await super()._make_create_pvc_request(pvc, request_timeout))

    async def _make_delete_pvc_request(self, pvc_name: str, request_timeout: float) -> bool:
        """Delete what a deleted account has, and no claim of this name that is somebody else's."""
        if not self._is_personal:
            return bool(await super()._make_delete_pvc_request(pvc_name, request_timeout))
        try:
            async with asyncio.timeout(request_timeout):
                names = {*await self._labelled(), *([pvc_name] if await self._check_pvc_exists(pvc_name, self.namespace) else [])}
        except TimeoutError:
            return False
        self.log.info("Of the account %s, these claims are deleted: %s", self.user.name, ", ".join(sorted(names)) or "none")
        return all([await super(ClaimSpawner, self)._make_delete_pvc_request(name, request_timeout) for name in names])

    async def get_pod_manifest(self) -> Any:
        """Return the pod, in which the account's claim takes the place of one of the usual name."""
        pod = await super().get_pod_manifest()
        usual = self._expand_user_properties(self.pvc_name_template)
        for volume in pod.spec.volumes or ():
            source = volume.persistent_volume_claim  # as the operator wrote it
            if self.storage_pvc_ensure and source and source["claimName"] == usual:
                volume.persistent_volume_claim = {**source, "claimName": self.pvc_name}
        return pod

    async def _name_for(self, usual: str) -> str:
        if labelled := await self._labelled():
            return labelled[0]
        claim = await self._claim(usual)
        if claim is None or self._is_ours(claim):
            return usual
        key = self.account.key
        name = f"{usual[: _LONGEST_NAME - len(key) - 1]}-{key}"
        self.log.warning("The claim %s is of an earlier account named %s, so the new one gets %s.", usual, self.user.name, name)
        return name

    async def _labelled(self) -> list[str]:
        labels = ",".join(f"{name}={value}" for name, value in self._home_labels.items())
        found = await self.api.list_namespaced_persistent_volume_claim(self.namespace, label_selector=labels)
        return sorted(claim.metadata.name for claim in found.items)

    async def _claim(self, name: str) -> Any:
        """Return a claim, or None if no claim has this name."""
        try:
            return await self.api.read_namespaced_persistent_volume_claim(name=name, namespace=self.namespace)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def _is_ours(self, claim: Any) -> bool:
        written = str((claim.metadata.labels or {}).get(ACCOUNT_LABEL, ""))
        return self.account.owns(written, claim.metadata.creation_timestamp)
