"""What people take for a repository and git cannot fetch: records with a DOI, sites made from repositories, notebooks elsewhere; pure."""

from __future__ import annotations

import re
from urllib.parse import SplitResult

from .refusal import Refused

_DOI = re.compile(r"(?:doi:|(?:https?://)?(?:dx\.|www\.)?doi\.org/)?10\.\d{4,9}/\S", re.IGNORECASE)
_SWHID = re.compile(r"swh:1:[a-z]{3}:", re.IGNORECASE)
_RECORDS = {
    "zenodo.org": "Zenodo",
    "figshare.com": "Figshare",
    "hydroshare.org": "HydroShare",
    "osf.io": "OSF",
    "archive.softwareheritage.org": "Software Heritage",
    "kaggle.com": "Kaggle",
    "colab.research.google.com": "Colab",
    "drive.google.com": "Google Drive",
    "nbviewer.org": "nbviewer",
    "nbviewer.jupyter.org": "nbviewer",
    "mybinder.org": "mybinder.org",
}
_SITES = {".github.io": "https://github.com", ".gitlab.io": "https://gitlab.com"}
# Files of a record are archives, which can be built.
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_HINT = "Paste the address of the Git repository that it was made from."


def refuse_record(text: str) -> None:
    """Check that a text is not the persistent identifier of a record.

    Raises:
        Refused: it is.
    """
    if _DOI.match(text):
        raise Refused("This names a record by its DOI, which cannot be used here.", _HINT)
    if _SWHID.match(text):
        raise Refused("This names a record of Software Heritage, which cannot be used here.", _HINT)


def refuse_site(url: SplitResult) -> None:
    """Check that an address is not one of a site that has no Git repositories.

    Raises:
        Refused: it is.
    """
    if "persistentId=" in url.query:
        raise Refused("This is the page of a record with a DOI, which cannot be used here.", _HINT)
    if url.path.lower().endswith(_ARCHIVES):
        return
    host = (url.hostname or "").lower()
    kept = next((name for place, name in _RECORDS.items() if host == place or host.endswith(f".{place}")), "")
    if kept and url.path.strip("/"):
        raise Refused(f"This is an address of {kept}, which has no Git repository there.", _HINT)
    forge = next((address for ending, address in _SITES.items() if host.endswith(ending)), "")
    if forge and not url.path.endswith(".git"):
        name = next(filter(None, url.path.split("/")), host)
        raise Refused(
            "This is a site that was made from a repository.",
            f"Paste the repository's own address; it may be {forge}/{host.partition('.')[0]}/{name}.",
        )
