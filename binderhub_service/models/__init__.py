"""The records that all folders use; frozen, and free of any framework."""

from .builds import GIVEN_IMAGE, PREPARED, Build, FindDigest, Image, Phase, Request, Source, State
from .events import Batch, Event, Kind, Report
from .legacy import ImageJob, NamedBuild, Template
from .operation import Control, PreparedEnvironment
from .people import Account, Caller
from .times import iso, now, seconds_between

__all__ = [
    "GIVEN_IMAGE",
    "PREPARED",
    "Account",
    "Batch",
    "Build",
    "Caller",
    "Control",
    "Event",
    "FindDigest",
    "Image",
    "ImageJob",
    "Kind",
    "NamedBuild",
    "Phase",
    "PreparedEnvironment",
    "Report",
    "Request",
    "Source",
    "State",
    "Template",
    "iso",
    "now",
    "seconds_between",
]
