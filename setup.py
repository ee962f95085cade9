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
    packages=find_packages(include=["binderhub_service", "binderhub_service.*", "spawner", "spawner.*"]),
    package_data={
        "binderhub_service": [
            "openapi.json",
            "event_schemas/*.json",
            "templates/**/*",
            "static/**/*",
            "store/migrations/*",
            "store/migrations/versions/*.py",
        ],
        "spawner": ["*.html", "*.sh"],
    },
    install_requires=[
        "jupyterhub>=5.5,<7",
        "tornado",
        "traitlets",
        "escapism",
        "sqlalchemy>=2",
        "alembic",
        "jinja2",
        "prometheus-client",
        "httpx",
        "httpx-sse",
        "psutil",
        "cachetools",
        "jupyter-events>=0.9",
    ],
    extras_require={
        "embedded": ["uv", "jupyterlab"],
        "docker": ["uv", "docker", "dockerspawner"],
        "kubernetes": ["jupyterhub-kubespawner>=7.1,<8", "kubernetes_asyncio", "aiohttp"],
        "oauth": ["oauthenticator"],
        "postgresql": ["psycopg[binary]"],
        "test": [
            "bcrypt",
            "pytest",
            "pytest-asyncio>=1",
            "pytest-cov",
            "pytest-timeout",
            "pytest-xdist",
            "hypothesis",
            "jupyter-repo2docker==2026.4.0",
            "openapi-spec-validator",
            "playwright",
            "pyyaml",
            "schemathesis",
            "websocket-client",
        ],
        "dev": ["mypy", "pre-commit", "ruff", "types-cachetools", "types-jsonschema", "types-psutil"],
    },
    entry_points={
        "console_scripts": ["binderhub-service = binderhub_service.app:main"],
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
