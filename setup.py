"""What the distribution is; how it is checked is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

readme = Path(__file__).parent / "README.md"

setup(
    name="binderspawner",
    version="0.1.0",
    description="Name a repository, land in a server made from it: a JupyterHub service and a spawner.",
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["binder_client", "binder_client.*", "binderhub_service", "binderhub_service.*", "spawner", "spawner.*"]),
    package_data={
        "binderhub_service": [
            "openapi.json",
            "monitoring/event_schemas/*.json",
            "templates/**/*",
            "static/**/*",
            "store/migrations/*",
            "store/migrations/versions/*.py",
        ],
        "spawner": ["*.html", "*.sh"],
    },
    # Lower bounds are tested by `make test OLDEST=1`. Upper bounds stand where tests/project/test_private_apis.py says what is used that may change.
    install_requires=[
        "jupyterhub>=5.5,<7",
        "tornado>=6.4",
        "traitlets>=5.14",
        "escapism>=1.0.1",
        "sqlalchemy>=2.0.30",
        "alembic>=1.13",
        "jinja2>=3.1.3",
        "prometheus-client>=0.20",
        "httpx>=0.27",
        "httpx-sse>=0.4.2",
        "psutil>=7.0",
        "cachetools>=5.3.3",
        "jupyter-events>=0.12",
        "python-multipart>=0.0.20",
        "pyjwt>=2.8",
    ],
    extras_require={
        "cli": ["click>=8.1", "rich>=13.9.4"],
        "embedded": ["uv>=0.7", "jupyterlab>=4.2"],
        "docker": ["uv>=0.5", "docker>=7.1", "dockerspawner>=13,<15"],
        "kubernetes": ["jupyterhub-kubespawner>=7.1,<8", "kubernetes_asyncio>=36", "aiohttp>=3.10", "socksio>=1.0"],
        "public": ["jupyterhub-idle-culler>=1.4"],
        "oauth": ["oauthenticator>=17"],
        "postgresql": ["psycopg[binary]>=3.2"],
        "test": [
            "bcrypt>=4.1",
            "pytest>=8.2",
            "pytest-asyncio>=1.1",
            "pytest-cov>=5",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "jupyter-repo2docker==2026.4.0",
            "jupyterhub-nativeauthenticator>=1.3",
            "oauthenticator>=17",
            "openapi-spec-validator>=0.9",
            "pexpect>=4.9",
            "playwright>=1.44",
            "pyyaml>=6.0.1",
            "trustme>=1.1",
            "schemathesis>=4.3",
            "websocket-client>=1.8",
        ],
        "dev": ["mypy", "pre-commit", "ruff", "types-cachetools", "types-jsonschema", "types-psutil"],
    },
    entry_points={
        "console_scripts": ["binder = binder_client.program:main", "binderhub-service = binderhub_service.startup:main"],
        "repo2docker.engines": ["buildah = binderhub_service.worker.buildah_engine:BuildahEngine"],
        "jupyterhub.spawners": [
            "repo-process = spawner.local.spawner:ProcessSpawner",
            "repo-docker = spawner.docker.spawner:DockerRepoSpawner",
            "repo-kubernetes = spawner.kubernetes.spawner:BinderSpawner",
        ],
    },
    classifiers=[
        "Framework :: Jupyter :: JupyterHub",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
