"""The service of the compose example."""

import os

c = get_config()  # noqa: F821  given by traitlets

c.BinderService.mode = "docker"
c.BinderService.state_dir = "/srv/state"
c.BinderService.database_url = os.environ["DATABASE_URL"]
c.DockerMode.registry = os.environ["REGISTRY"]
c.DockerMode.image_prefix = os.environ["IMAGE_PREFIX"]
