# make run     start the hub on this machine            (PORT=8000 STATE=.state MODE=embedded or docker REGISTRY= PUBLIC=)
#              LEGACY=1 serves the APIs of older services as well
# make link    print a new sign-in link for that hub    (STATE=.state)
# make test    run the tests                            (TESTS=tests JOBS=3 HUB= ARGS=)
# make compare build the repositories of tests/repos by repo2docker itself, and compare what servers find  (ARGS="-k post-build")
# make lint types bench docs clean
PYTHON ?= python3
PORT   ?= 8000
STATE  ?= .state
MODE   ?= embedded
# Docker mode's registry, e.g. 127.0.0.1:5000; empty: images stay in the engine.
REGISTRY ?=
# Anything: serve the APIs of binder-build and binder-registry as well.
LEGACY ?=
# Anything: let everybody who reaches the hub in without a login, each with a temporary user. In embedded mode never for strangers.
PUBLIC ?=
# With PUBLIC: names under which the hub is reached, e.g. through a tunnel, with commas between; addresses always work.
HOSTS  ?= localhost
export HOSTS
TESTS  ?= tests
# How many processes run tests side by side; 0: all in one.
JOBS   ?= 3
# A version of jupyterhub to test with, e.g. HUB=5.5; empty: the newest that is allowed.
HUB    ?=
# Anything: test with the oldest versions of all dependencies that setup.py allows.
OLDEST ?=
ARGS   ?=

test_env := .venv-test$(if $(HUB),-$(HUB))$(if $(OLDEST),-oldest)
comma    := ,
extras   := cli,embedded,docker,kubernetes,postgresql,public,test$(if $(HUB)$(OLDEST),,$(comma)dev)
# Python keeps what it has compiled, whatever the machine says: hubs, services and servers of the tests start in half the time.
export PYTHONDONTWRITEBYTECODE :=
# What is installed comes first on PATH: the proxy, then the environment's own programs.
in_env    = PATH="$(CURDIR)/.proxy/node_modules/.bin:$(CURDIR)/$(test_env)/bin:$$PATH"

.PHONY: run link test compare lint types bench docs clean prepare

run:
	@exec "$(PYTHON)" scripts/run.py --port "$(PORT)" --state "$(STATE)" --mode "$(MODE)" --registry "$(REGISTRY)" --legacy "$(LEGACY)" \
		$(if $(PUBLIC),--public)

link:
	@exec "$(PYTHON)" scripts/run.py --state "$(STATE)" --link

prepare:
	@"$(PYTHON)" scripts/prepare.py --venv "$(test_env)" --extras "$(extras)" --hub "$(HUB)" $(if $(OLDEST),--oldest)

test: prepare
	$(in_env) $(test_env)/bin/python -m pytest --numprocesses=$(JOBS) $(TESTS) $(ARGS)

compare: prepare
	$(in_env) COMPARE=1 $(test_env)/bin/python -m pytest tests/hub/test_beside_repo2docker.py $(ARGS)

lint: prepare
	$(test_env)/bin/ruff check .
	$(test_env)/bin/ruff format --check .

types: prepare
	$(test_env)/bin/mypy

bench: prepare
	$(in_env) $(test_env)/bin/python -m bench $(ARGS)

docs: prepare
	$(in_env) $(test_env)/bin/python scripts/references.py
	$(in_env) $(test_env)/bin/python chart/make_schema.py

clean:
	rm -rf .venv .venv-test* .proxy .npm-clients build dist *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
