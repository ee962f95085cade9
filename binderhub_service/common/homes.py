"""How the folder of people's homes is laid out, for the spawner, which makes them, and the service, which lists and removes them.

::

    STATE/people/<name>                      a home
    STATE/people/<name>/<server>/<copy>      a working copy of a repository
    STATE/people/.owners/<name>              the account of the hub that the home belongs to
    STATE/people/.names/<name>               what that account was called at its last start; empty once it is deleted
    STATE/people/.deleted/<name>.<time>      homes of deleted accounts that were set aside
"""

from __future__ import annotations

PEOPLE = "people"
OWNERS, NAMES, DELETED = ".owners", ".names", ".deleted"
