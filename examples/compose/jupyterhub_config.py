"""The hub of the compose example: people sign in with a password, the service runs in a container of its own."""

import os

from spawner import configure

c = get_config()  # noqa: F821  given by JupyterHub

c.JupyterHub.bind_url = "http://0.0.0.0:8000"
c.JupyterHub.hub_connect_ip = "hub"  # what other containers call this one
c.JupyterHub.db_url = os.environ["DATABASE_URL"]
c.JupyterHub.cookie_secret_file = "/srv/state/cookie_secret"  # noqa: S105  # a path

# Anybody who knows the password is who they say: for a try among friends. Choose another authenticator for anything else.
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["PEOPLE_PASSWORD"]
c.SharedPasswordAuthenticator.admin_password = os.environ["ADMIN_PASSWORD"]
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"admin"}

# Servers belong to this project, and outlive a restart of the hub.
c.DockerRepoSpawner.prefix = os.environ["PROJECT"]
c.JupyterHub.cleanup_servers = False
c.Spawner.start_timeout = 120
c.DockerRepoSpawner.resource_choices = {"memory": ["1G", "2G", "4G"], "cpu": [1, 2]}

configure(
    c,
    state_dir="/srv/state",
    mode="docker",
    required=True,
    network=os.environ["SERVERS_NETWORK"],
    service_url="http://service:8585",
    service_token=os.environ["SERVICE_TOKEN"],
)
